"""PURE: what the counters of an imagined machine show after some load.

Energy is a function of two integers, elapsed time and processor time, so its counters are exact:
energy = idle power x elapsed + slope x busy time / cores.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

TICK_USEC = 10_000  # /proc/stat counts in 1/100 s, USER_HZ on every common architecture
MAX_ENERGY_RANGE_UJ = 262_143_328_850  # what Intel server packages report; the counter wraps there

_GROUPS = {"Guaranteed": "kubepods", "Burstable": "kubepods/burstable"}


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod while it has a control group.

    qos: its status.qosClass.
    cpu_millis: thousandths of a core that it would use if the machine had them free.
    """

    uid: str
    qos: str
    cpu_millis: int

    @property
    def slice(self) -> str:
        """The control group that holds the pod's own, below the hierarchy's root."""
        return _GROUPS.get(self.qos, "kubepods/besteffort")

    @property
    def group(self) -> str:
        """The pod's control group below the hierarchy's root."""
        return f"{self.slice}/pod{self.uid}"


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """A domain that draws idle power and, linearly in utilisation, up to full power; milliwatts."""

    idle_mw: int
    full_mw: int

    def energy_uj(self, elapsed_usec: int, busy_usec: int, cores: int) -> int:
        """Energy since boot, in microjoules, never wrapped.

        busy_usec: processor time summed over all cores.
        """
        dynamic_nj = (self.full_mw - self.idle_mw) * busy_usec // cores
        return (self.idle_mw * elapsed_usec + dynamic_nj) // 1000


PACKAGE = PowerCurve(idle_mw=40_000, full_mw=150_000)
DRAM = PowerCurve(idle_mw=4_000, full_mw=14_000)


@dataclass(slots=True)
class Machine:
    """Counters of the machine since its boot.

    cores: number of processors.
    system_millis: what the machine uses outside pods, in thousandths of a core.
    usage_usec: processor time by control group, in microseconds; groups of ended pods are gone,
        their slices keep what they used.
    """

    cores: int = 8
    system_millis: int = 80
    elapsed_usec: int = 0
    busy_usec: int = 0
    usage_usec: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("", "kubepods", "kubepods/burstable", "kubepods/besteffort"), 0
        )
    )

    def advance(self, usec: int, pods: Collection[RunningPod]) -> None:
        """Let the given pods run for some microseconds.

        Where they ask for more than the machine has, each gets its proportion.
        """
        self._drop_ended(pods)
        asked = self.system_millis + sum(pod.cpu_millis for pod in pods)
        capacity = self.cores * 1000
        self._charge((), self.system_millis * usec * capacity // (max(asked, capacity) * 1000))
        for pod in pods:
            used = pod.cpu_millis * usec * capacity // (max(asked, capacity) * 1000)
            self.usage_usec.setdefault(pod.group, 0)
            self._charge({pod.group, pod.slice, "kubepods"}, used)
        self.elapsed_usec += usec

    @property
    def package_uj(self) -> int:
        """What the package's counter shows, in microjoules."""
        return self._shown(PACKAGE)

    @property
    def dram_uj(self) -> int:
        """What the memory's counter shows, in microjoules."""
        return self._shown(DRAM)

    def _charge(self, groups: Collection[str], usec: int) -> None:
        self.busy_usec += usec
        for group in (*groups, ""):
            self.usage_usec[group] += usec

    def _drop_ended(self, pods: Collection[RunningPod]) -> None:
        alive = {pod.group for pod in pods}
        for group in [g for g in self.usage_usec if "/pod" in g and g not in alive]:
            del self.usage_usec[group]

    def _shown(self, domain: PowerCurve) -> int:
        total = domain.energy_uj(self.elapsed_usec, self.busy_usec, self.cores)
        return total % MAX_ENERGY_RANGE_UJ
