"""The scenarios of processors and memory, as tables."""

from conformance.curves import LOW, Curve
from conformance.scenario import (
    RANGE_AMD_UJ,
    RANGE_INTEL_UJ,
    Course,
    Knowledge,
    Machine,
    Pod,
    Scenario,
    bursts,
    stairs,
    steady,
)

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
        "the agent misses the busiest time; no maximum power is told",
        (Pod("batch", stairs((0, 3), (80, 14)), request=8000),),
        machine=Machine(
            range_uj=RANGE_AMD_UJ,
            begin_uj=RANGE_AMD_UJ - 9_000_000_000,
            tells_maximum=False,
        ),
        killed=((80, 680),),
        seconds=700,
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
        "idle power is estimated on a machine that tells no maximum power",
        (_WEB, _TRAINING),
        machine=Machine(tells_maximum=False),
        knowledge=Knowledge.ESTIMATED,
        seconds=600,
    ),
    Scenario(
        "idle power is estimated on a machine that is not like the median",
        (_WEB, _TRAINING),
        machine=Machine(curve=LOW),
        knowledge=Knowledge.ESTIMATED,
    ),
)
