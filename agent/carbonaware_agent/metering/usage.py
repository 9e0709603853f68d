"""CPU time by pod and tick: what moved in the cgroups, and the tails of pods that ended."""

from collections.abc import Iterable, Mapping

from carbonaware_agent.attribution.apportion import apportion
from carbonaware_agent.attribution.shares import NodeUse, PodUse
from carbonaware_agent.attribution.tails import ParentSlice
from carbonaware_agent.metering.owners import KEPT_AFTER_LAST_POD_US, OwnerSeries
from carbonaware_agent.saved.snapshot import PodRecord, Snapshot
from carbonaware_agent.workloads.cgroups import CgroupReading
from carbonaware_agent.workloads.pod_folder import CgroupUse
from carbonaware_agent.workloads.pods import Pod, PodDirectory

# Long enough for any scraper to see a pod's last value.
_ENDED_POD_KEPT_US = 600 * 1_000_000
# The longest pause of the watch: an API server that can be reached names a new pod within it.
_NAMELESS_US = 30 * 1_000_000


class PodUsage:
    """Keeps the pods and slices of a snapshot in step with their cgroups and the API server."""

    def __init__(
        self, snapshot: Snapshot, owners: OwnerSeries, directory: PodDirectory, vcpus: int
    ) -> None:
        self._snapshot = snapshot
        self._owners = owners
        self._directory = directory
        self._vcpus = vcpus
        self._nameless_since_us: dict[str, int] = {}
        self._described_revision = -1

    def begin(self, reading: CgroupReading) -> None:
        """Take what pods used so far as a baseline: it is nobody's energy."""
        snapshot = self._snapshot
        snapshot.pods = {
            cgroup: PodRecord(use.usage_us, use.parent) for cgroup, use in reading.pods.items()
        }
        snapshot.slices = {
            name: ParentSlice.baseline(use.usage_us) for name, use in reading.slices.items()
        }

    def advance(
        self, reading: CgroupReading, *, busy_us: int, duration_us: int, boottime_us: int
    ) -> NodeUse:
        """Take a reading; returns what each pod used since the last one.

        busy_us: of the whole node over the same time.
        """
        cap_us = self._vcpus * duration_us
        busy, newborn, renewed = self._take_usage(reading.pods, cap_us)
        gone = {cgroup for cgroup in self._running() if cgroup not in reading.pods}
        gone |= self._take_api_news(reading.pods, newborn, boottime_us)
        self._show_nameless(boottime_us)
        for cgroup, tail_us in self._tails(reading.slices, busy, gone | renewed, cap_us).items():
            busy[cgroup] = busy.get(cgroup, 0) + tail_us
        self._end(gone, boottime_us)
        # When in the interval a pod began or ended is not known; half of it is right on average.
        partly = newborn | gone
        uses = []
        for cgroup, used_us in busy.items():
            present_us = duration_us // 2 if cgroup in partly else duration_us
            reserved_us = self._snapshot.pods[cgroup].request * present_us // 1000
            uses.append(PodUse(cgroup, used_us, reserved_us, present_us))
        return NodeUse(tuple(uses), busy_us, self._allocatable() * duration_us // 1000)

    def forget_ended(self, boottime_us: int) -> None:
        """Drop pods that ended ten minutes ago; those without a known owner six hours ago.

        None is dropped while a domain cannot be read, as part of its energy will be theirs.
        """
        pods = self._snapshot.pods
        if any(domain.missed for domain in self._snapshot.domains.values()):
            return
        for cgroup, pod in list(pods.items()):
            if pod.ended_us is None:
                continue
            kept_us = _ENDED_POD_KEPT_US if pod.owner else KEPT_AFTER_LAST_POD_US
            if boottime_us - pod.ended_us > kept_us:
                del pods[cgroup]

    def _running(self) -> Iterable[str]:
        return (cgroup for cgroup, pod in self._snapshot.pods.items() if pod.ended_us is None)

    def _take_usage(
        self, uses: Mapping[str, CgroupUse], cap_us: int
    ) -> tuple[dict[str, int], set[str], set[str]]:
        """CPU time of each pod since the last tick, and which pods' cgroups are new or renewed.

        A static pod that is restarted gets a new cgroup of the same name, which counts from 0.
        """
        pods = self._snapshot.pods
        busy, newborn, renewed = {}, set(), set()
        for cgroup, use in uses.items():
            pod = pods.get(cgroup)
            if pod is None:
                newborn.add(cgroup)
                pod = pods[cgroup] = PodRecord(_begun_us(use, cap_us), use.parent)
            elif pod.ended_us is not None:
                newborn.add(cgroup)
                pod.usage_us, pod.parent = _begun_us(use, cap_us), use.parent
                pod.ended_us = None
            elif use.renewed or use.usage_us < pod.usage_us:
                renewed.add(cgroup)
                pod.usage_us, pod.parent = _begun_us(use, cap_us), use.parent
            busy[cgroup] = min(use.usage_us - pod.usage_us, cap_us)
            pod.usage_us = use.usage_us
        return busy, newborn, renewed

    def _take_api_news(
        self, running: Iterable[str], newborn: Iterable[str], boottime_us: int
    ) -> set[str]:
        """Describe pods that the API server told of; returns those that no tick saw running."""
        revision = self._directory.revision
        # Of 250 pods hardly one changes in a second; to describe them all takes a tenth of a tick.
        changed = newborn if revision == self._described_revision else running
        self._described_revision = revision
        for cgroup in changed:
            self._describe(cgroup, self._directory.find(cgroup), boottime_us)
        unseen = set()
        for ended in self._directory.take_ended():
            if ended.cgroup_uid not in self._snapshot.pods and ended.ran:
                self._snapshot.pods[ended.cgroup_uid] = PodRecord(0, ended.slice)
                unseen.add(ended.cgroup_uid)
            self._describe(ended.cgroup_uid, ended, boottime_us)
        return unseen

    def _end(self, gone: Iterable[str], boottime_us: int) -> None:
        for cgroup in gone:
            pod = self._snapshot.pods[cgroup]
            pod.ended_us = boottime_us
            if pod.owner is not None:
                self._owners.see(pod.owner, boottime_us)

    def _show_nameless(self, boottime_us: int) -> None:
        """Let a pod that nobody named in time be shown by its cgroup's uid, from then on for good.

        Until then its series are held back: one that got its names later would be another series,
        and what was used before would be in both.
        """
        self._nameless_since_us = {
            cgroup: self._nameless_since_us.get(cgroup, boottime_us)
            for cgroup, pod in self._snapshot.pods.items()
            if not pod.uid
        }
        for cgroup, since_us in self._nameless_since_us.items():
            if boottime_us - since_us >= _NAMELESS_US:
                self._snapshot.pods[cgroup].uid = cgroup

    def _describe(self, cgroup: str, described: Pod | None, boottime_us: int) -> None:
        pod = self._snapshot.pods.get(cgroup)
        if pod is None or described is None:
            return
        if not pod.uid:
            pod.uid, pod.namespace, pod.name = described.uid, described.namespace, described.name
        if pod.owner is None:
            self._owners.join(pod, described.owner)
            self._owners.see(described.owner, boottime_us)
        # Whoever takes a static pod's place later must not change what it is billed for.
        if pod.uid == described.uid or not pod.request:
            pod.request = described.cpu_request
            pod.memory_request = described.memory_request

    def _tails(
        self, slices: dict[str, CgroupUse], busy: dict[str, int], ended: set[str], cap_us: int
    ) -> dict[str, int]:
        """CPU time that pods used between the last tick and the end of their cgroup."""
        known = self._snapshot.slices
        pods = self._snapshot.pods
        # A slice is credited with what its pods used and what the slices in it used.
        credited = dict.fromkeys(slices, 0)
        for cgroup, used_us in busy.items():
            if pods[cgroup].parent in credited:
                credited[pods[cgroup].parent] += used_us
        for name, use in slices.items():
            parent = known.get(name)
            if parent is None or use.usage_us < parent.usage_us:
                parent = known[name] = ParentSlice.baseline(_begun_us(use, cap_us))
            if use.parent:
                credited[use.parent] += use.usage_us - parent.usage_us
        tails = dict.fromkeys(ended, 0)
        for name, use in slices.items():
            here = [cgroup for cgroup in ended if pods[cgroup].parent == name]
            tail_us = known[name].settle(
                use.usage_us, credited[name], ended=bool(here), cap_us=cap_us
            )
            if tail_us:
                tails |= self._divide(tail_us, sorted(here))
        return tails

    def _divide(self, tail_us: int, ended: list[str]) -> dict[str, int]:
        """A slice's tail by the requests of the pods that ended in it."""
        requests = [self._snapshot.pods[cgroup].request for cgroup in ended]
        weights = requests if any(requests) else [1] * len(ended)
        return dict(zip(ended, apportion(tail_us, weights), strict=True))

    def _allocatable(self) -> int:
        """Millicores that pods can reserve; all CPUs where the API server did not say."""
        return self._directory.allocatable_millicores or self._vcpus * 1000


def _begun_us(use: CgroupUse, cap_us: int) -> int:
    """What a cgroup that seems to be new had used when it began: nothing, if it can be new at all.

    One that shows far more CPU time than there was since the last tick is older: its counter was
    set back, or it could not be opened before. What it had used by then is nobody's.
    """
    return 0 if use.usage_us <= 2 * cap_us else use.usage_us
