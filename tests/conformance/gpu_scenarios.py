"""The scenarios of GPUs, as tables. For the first minute nobody holds one, so idle power shows."""

from conformance.scenario import Gpu, Machine, Pod, Scenario, Sharing, bursts, stairs, steady

_BEGIN = 70.0
_WEB = Pod("web", steady(1.5), request=1000)


def _shared(name: str, sharing: Sharing, *, activity: bool = True) -> Scenario:
    """Two pods on one GPU: one with three slices or turns like the other, one with a single one.

    They change what they draw once, in the middle.
    """
    return Scenario(
        name,
        (
            Pod(
                "large",
                begin=_BEGIN,
                gpu=0,
                slices=3,
                gpu_watts=stairs((_BEGIN, 240), (110, 90)),
            ),
            Pod("small", begin=_BEGIN, gpu=0, slices=1, gpu_watts=steady(60)),
        ),
        seconds=150,
        machine=Machine(gpus=(Gpu("GPU-0", sharing=sharing, activity=activity),)),
    )


GPU_SCENARIOS = (
    Scenario(
        "a pod burns a whole GPU and no CPU",
        (
            _WEB,
            Pod(
                "inference",
                begin=_BEGIN,
                end=130,
                request=100,
                gpu=0,
                gpu_watts=bursts(400, every=5, lasting=2.5),
            ),
        ),
        seconds=150,
        machine=Machine(gpus=(Gpu("GPU-0"),)),
    ),
    Scenario(
        "two GPUs, one at work and one reserved for nothing",
        (
            Pod("training", steady(1), begin=_BEGIN, gpu=0, gpu_watts=steady(350)),
            Pod("forgotten", begin=_BEGIN, gpu=1),
        ),
        seconds=150,
        machine=Machine(gpus=(Gpu("GPU-0"), Gpu("GPU-1"))),
    ),
    _shared("two pods take turns, seen by their processes", Sharing.TURNS),
    _shared("two pods take turns, unseen", Sharing.TURNS, activity=False),
    _shared("MIG partitions of 3 and 1 of 7 slices, activity told", Sharing.PARTITIONS),
    _shared(
        "MIG partitions of 3 and 1 of 7 slices, nothing told", Sharing.PARTITIONS, activity=False
    ),
)
