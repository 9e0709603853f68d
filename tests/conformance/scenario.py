"""What a scenario says: a node's load, its machine, its faults. What is true follows from it.

Seconds count from the first reading. The simulation moves in quarters of a second, so every time
in a scenario must be a multiple of that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from conformance.curves import MEDIAN, Curve

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
    request. qos: the slice that holds it, or guaranteed. gpu: index of the GPU it holds, whole, by
    turns or with some of its seven slices. gpu_watts: what it makes that draw beyond idle. told:
    whether the API server speaks of it.
    """

    name: str
    cores: Course = NOTHING
    begin: float = 0.0
    end: float | None = None
    request: int = 0
    memory_gib: int = 0
    qos: str = "burstable"
    gpu: int | None = None
    slices: int = 0
    gpu_watts: Course = NOTHING
    told: bool = True


class Sharing(StrEnum):
    """How pods hold a GPU: one alone, several by turns, or each a MIG partition of its own."""

    WHOLE = "whole"
    TURNS = "turns"
    PARTITIONS = "partitions"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of the node and what it draws while it does nothing.

    activity: whether the driver tells who was active, in proportion to the power that it caused.
    """

    uuid: str
    idle_watts: float = 70.0
    sharing: Sharing = Sharing.WHOLE
    activity: bool = True


@dataclass(frozen=True, slots=True)
class Machine:
    """The node.

    maximum_watts: all packages together. tells_maximum: whether the kernel shows it, as on Intel.
    dram_watts: idle and full load.
    """

    vcpus: int = 16
    curve: Curve = MEDIAN
    maximum_watts: float = 300.0
    tells_maximum: bool = True
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
    was measured on a sibling at 0, 10, 50, 80 and 100 %; or maximum power, for the median shape.
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
    be read, or with `failing` only those of that domain. killed: spans without agent. cuts: seconds
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
