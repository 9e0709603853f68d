"""The use of memory tick by tick, by which dram's idle energy is divided.

A module draws its idle power for every bit it holds, whoever reads it; so idle energy follows the
memory that is set aside, and dynamic energy the CPU time, as in the package.
"""

from collections.abc import Callable, Mapping

from carbonaware_agent.attribution.shares import NodeUse, PodUse
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.workloads.pods import PodDirectory

_DOMAIN = "dram"
# At 250 pods a look costs 2.1 ms: 0.01 % of a core every 20 s, but 40 % of the budget every second.
_LOOK_EVERY_US = 20 * 1_000_000


class MemoryUse:
    """Claims on memory: the larger of what a pod requested and what it had at the last look.

    look: memory in use by pod, in KiB. total_kib: the machine's, for where the API server does not
    say what pods can reserve; 0 if unknown.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        directory: PodDirectory,
        look: Callable[[], Mapping[str, int]],
        total_kib: int,
    ) -> None:
        self._snapshot = snapshot
        self._directory = directory
        self._look = look
        self._total_kib = total_kib
        self._used_kib: Mapping[str, int] = {}
        self._looked_us: int | None = None

    def advance(self, use: NodeUse, duration_us: int, boottime_us: int) -> dict[str, NodeUse]:
        """The use of the dram domain over the interval that ends now; empty on a node without one.

        use: of the node over that interval, with pods that ended in it.
        """
        if all(domain.stream.domain != _DOMAIN for domain in self._snapshot.domains.values()):
            return {}
        if self._looked_us is None or boottime_us - self._looked_us >= _LOOK_EVERY_US:
            # Pods that ended keep what they had, as their last interval is still to be divided.
            last = {pod.pod: self._used_kib.get(pod.pod, 0) for pod in use.pods}
            self._used_kib = last | dict(self._look())
            self._looked_us = boottime_us
        records, used_kib = self._snapshot.pods, self._used_kib
        pods = tuple(
            [
                PodUse(
                    pod,
                    busy_us,
                    max(records[pod].memory_request, used_kib.get(pod, 0)) * present_us,
                    present_us,
                )
                for pod, busy_us, _, present_us in use.pods
            ]
        )
        allocatable_kib = self._directory.allocatable_kib or self._total_kib
        return {_DOMAIN: NodeUse(pods, use.busy_us, allocatable_kib * duration_us, binding=True)}
