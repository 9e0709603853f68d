"""The scenarios, as tables: a node's load, its machine, its faults. What is true follows from it.

Seconds count from the first reading. The simulation moves in quarters of a second, so every time
in a scenario must be a multiple of that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from conformance.curves import MEDIAN, STEEP, Curve

# By second, how many processors are kept busy, or how many watts are drawn.
Course = Callable[[float], float]
Span = tuple[float, float]

RANGE_INTEL_UJ = 262_143_328_850  # 32 bits of 61 uJ
RANGE_AMD_UJ = 65_532_610_987  # 32 bits of 15.3 uJ


def steady(value: float) -> Course:
    """Always the same."""
    return lambda second: value


NOTHING = steady(0)
FEW_DAEMONS = steady(0.1)


def stairs(*steps: Span) -> Course:
    """(second, value) from which each value holds; nothing before the first."""
    return lambda second: next((value for start, value in reversed(steps) if start <= second), 0.0)


def bursts(value: float, *, every: float, lasting: float, after: float = 0.0) -> Course:
    """Begins `after` seconds, then comes back `every` so many; nothing in between."""
    return lambda second: value if (second - after) % every < lasting else 0.0


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod from its cgroup's creation to its removal.

    cores: processors it keeps busy. request: CPU request in millicores. memory_gib: memory
    request. qos: the slice that holds it, or guaranteed. gpu: index of the GPU it holds whole.
    gpu_watts: what that draws beyond idle. told: whether the API server speaks of it.
    """

    name: str
    cores: Course = NOTHING
    begin: float = 0.0
    end: float | None = None
    request: int = 0
    memory_gib: int = 0
    qos: str = "burstable"
    gpu: int | None = None
    gpu_watts: Course = NOTHING
    told: bool = True


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of the node and what it draws while it does nothing."""

    uuid: str
    idle_watts: float


@dataclass(frozen=True, slots=True)
class Machine:
    """The node. maximum_watts: all packages together. dram_watts: idle and full load."""

    vcpus: int = 16
    curve: Curve = MEDIAN
    maximum_watts: float = 300.0
    sockets: int = 1
    memory_gib: int = 64
    dram_watts: Span | None = None
    range_uj: int = RANGE_INTEL_UJ
    begin_uj: int = 100_000_000_000
    gpus: tuple[Gpu, ...] = ()


class Knowledge(StrEnum):
    """What the agent knows of the machine.

    With counters: its idle power, set after a calibration; nothing, so that it learns idle power;
    or its maximum power, of which it takes the median idle share. Without counters: a curve that
    was measured on a sibling at 0, 10, 50 and 100 %; or maximum power, for the median shape.
    """

    CALIBRATED = "calibrated"
    LEARNED = "learned"
    ESTIMATED = "estimated"
    CURVE = "curve"
    SHAPE = "shape"

    @property
    def counters(self) -> bool:
        """Whether there are RAPL counters."""
        return self not in (Knowledge.CURVE, Knowledge.SHAPE)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens on a node.

    daemons: processors that the host itself keeps busy. unreadable: spans in which no counter can
    be read, or with `failing` only those of that zone. killed: spans without agent. cuts: seconds
    at which the state is noted. hour_at: second at which an hour ends.
    """

    name: str
    pods: tuple[Pod, ...]
    seconds: int = 120
    tick: float = 1.0
    machine: Machine = Machine()
    daemons: Course = FEW_DAEMONS
    knowledge: Knowledge = Knowledge.CALIBRATED
    unreadable: tuple[Span, ...] = ()
    failing: str = ""
    killed: tuple[Span, ...] = ()
    cuts: tuple[int, ...] = ()
    hour_at: float = 3000.0


LEVELS = (10, 20, 30, 50, 70, 100)
_LEVEL_SECONDS = 20
# Long enough to learn idle power: 300 quiet samples, then a minute at 6 % load.
_QUIET_SECONDS = 310
_LIGHT_SECONDS = 70
_LIGHT_LOAD = 6
# 2 % of the processors, as kubelet, a container runtime and node agents take.
_DAEMON_CORES = 0.3


def load_levels(curve: Curve, knowledge: Knowledge) -> Scenario:
    """Each load level in turn, by three pods; before it a quiet time where idle has to be learned.

    Cut at the beginning of each level and at the end.
    """
    learning = knowledge == Knowledge.LEARNED
    quiet = _QUIET_SECONDS + _LIGHT_SECONDS if learning else 0
    machine = Machine(curve=curve)
    starts = [quiet + position * _LEVEL_SECONDS for position in range(len(LEVELS) + 1)]
    loads = [(_QUIET_SECONDS, _LIGHT_LOAD)] if learning else []
    loads += zip(starts, LEVELS, strict=False)

    def course(share: float) -> Course:
        return stairs(
            *(
                (second, (load / 100 * machine.vcpus - _DAEMON_CORES) * share)
                for second, load in loads
            )
        )

    return Scenario(
        name=f"load levels, {curve.name}, {knowledge}",
        pods=tuple(
            Pod(f"share-{share:.0%}", course(share), request=2000) for share in (0.5, 0.3, 0.2)
        ),
        seconds=starts[-1],
        machine=machine,
        daemons=steady(_DAEMON_CORES),
        knowledge=knowledge,
        cuts=tuple(starts),
        # What was learned comes into force when an hour ends.
        hour_at=quiet - 2 if quiet else 3000.0,
    )


_WEB = Pod("web", bursts(1.5, every=7, lasting=2.5), request=1000, memory_gib=4)
_TRAINING = Pod("training", steady(4), request=4000, memory_gib=32, qos="guaranteed")


SCENARIOS = (
    Scenario(
        "steady pods beside host daemons",
        (_WEB, _TRAINING, Pod("free-rider", steady(0.5), qos="besteffort")),
        daemons=steady(0.6),
    ),
    Scenario(
        "pods burst within a tick and take turns",
        tuple(
            Pod(f"turn-{turn}", bursts(9, every=1, lasting=0.25, after=turn / 4), request=500)
            for turn in range(3)
        ),
    ),
    Scenario(
        "a reading every five seconds while load swings",
        (_WEB, Pod("swing", bursts(12, every=11, lasting=4), request=2000)),
        tick=5.0,
        seconds=300,
    ),
    Scenario(
        "an Intel counter of 262 kJ wraps",
        (_TRAINING, Pod("batch", steady(8), request=8000)),
        machine=Machine(begin_uj=RANGE_INTEL_UJ - 10_000_000_000),
    ),
    Scenario(
        "an AMD counter of 65.5 kJ wraps every four minutes",
        (_TRAINING, Pod("batch", steady(11), request=8000)),
        machine=Machine(range_uj=RANGE_AMD_UJ, begin_uj=RANGE_AMD_UJ - 30_000_000_000),
        seconds=480,
    ),
    Scenario(
        "two sockets with memory wrap at different times",
        (_WEB, _TRAINING),
        machine=Machine(
            sockets=2,
            dram_watts=(12, 40),
            range_uj=RANGE_AMD_UJ,
            begin_uj=RANGE_AMD_UJ - 7_000_000_000,
        ),
    ),
    Scenario(
        "no counter can be read for twenty seconds",
        (_WEB, _TRAINING),
        unreadable=((40, 60), (80, 81)),
    ),
    Scenario(
        "one of two sockets cannot be read",
        (_WEB, _TRAINING),
        machine=Machine(sockets=2),
        unreadable=((40, 50),),
        failing="package-0",
    ),
    Scenario(
        "the agent is killed for half a minute",
        (_WEB, _TRAINING, Pod("new", steady(2), begin=50, request=1000)),
        killed=((40, 70),),
    ),
    Scenario(
        "the agent is killed for ten minutes and the counter wraps twice",
        (_TRAINING, Pod("batch", steady(8), request=8000)),
        machine=Machine(range_uj=RANGE_AMD_UJ, begin_uj=RANGE_AMD_UJ - 9_000_000_000),
        killed=((30, 630),),
        seconds=660,
    ),
    Scenario(
        "a pod does nothing for a while and the node is quiet",
        (Pod("naps", stairs((0, 3), (40, 0), (80, 3)), request=1000),),
        daemons=stairs((0, 0.2), (50, 0), (70, 0.2)),
    ),
    Scenario(
        "jobs of seven and a half seconds, one after the other",
        (
            _WEB,
            *(
                Pod(f"job-{n}", steady(6), begin=4.25 + 9.5 * n, end=11.75 + 9.5 * n, request=2000)
                for n in range(11)
            ),
        ),
    ),
    Scenario(
        "pods that live between two ticks",
        (
            _WEB,
            *(
                Pod(f"blink-{n}", steady(8), begin=5.25 + 10 * n, end=5.75 + 10 * n, request=500)
                for n in range(11)
            ),
        ),
    ),
    Scenario(
        "a pod that ended leaves the page after ten minutes",
        (_WEB, Pod("done", steady(5), begin=20, end=62.5, request=1000)),
        tick=5.0,
        seconds=720,
    ),
    Scenario(
        "a pod of which the API server says nothing",
        (_TRAINING, Pod("unknown", steady(2), told=False)),
    ),
    Scenario(
        "more is reserved than the node has",
        tuple(Pod(f"greedy-{n}", steady(n), request=8000) for n in range(3)),
    ),
    Scenario(
        "idle power is estimated on a machine that is not like the median",
        (_WEB, _TRAINING),
        machine=Machine(curve=STEEP),
        knowledge=Knowledge.ESTIMATED,
    ),
    Scenario(
        "a pod burns a whole GPU and no CPU",
        (
            _WEB,
            Pod(
                "inference",
                begin=20,
                end=100,
                request=100,
                gpu=0,
                gpu_watts=bursts(400, every=5, lasting=2.5),
            ),
        ),
        machine=Machine(gpus=(Gpu("GPU-0", 70.0),)),
    ),
)
