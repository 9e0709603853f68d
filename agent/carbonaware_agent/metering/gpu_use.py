"""The use of GPUs tick by tick: holders while they exist, and what is certain over gaps."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from carbonaware_agent.attribution.devices import Holding, device_use
from carbonaware_agent.attribution.shares import NodeUse
from carbonaware_agent.gpus.holdings import GpuPicture
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.sources.sensor import Stream


def is_gpu(stream: Stream) -> bool:
    """Whether a stream is a GPU's."""
    return stream.domain.startswith("gpu/")


class GpuUse:
    """Keeps the holdings of a snapshot in step with the picture of the GPUs."""

    def __init__(self, snapshot: Snapshot, picture: Callable[[], GpuPicture | None]) -> None:
        self._snapshot = snapshot
        self._picture = picture

    def advance(self, use: NodeUse, duration_us: int, boottime_us: int) -> dict[str, NodeUse]:
        """The use of each GPU's domain over the interval that ends now, by domain.

        use: of the node over that interval, with pods that ended in it.
        """
        domains = {
            domain.stream.domain
            for domain in self._snapshot.domains.values()
            if is_gpu(domain.stream)
        }
        if not domains:
            return {}
        present_us = {pod.pod: pod.present_us for pod in use.pods}
        gone = {pod for pod in present_us if self._snapshot.pods[pod].ended_us == boottime_us}
        picture = self._picture()
        holdings = self._snapshot.holdings
        for domain in domains:
            last = holdings.get(domain, Holding())
            # Without a picture, as right after a restart, who held a GPU holds it still.
            now = last if picture is None else picture.holdings.get(domain, Holding())
            if self._namesake(last, now, present_us.keys() - gone):
                now = last
            holdings[domain] = _settled(last, now, present_us, gone)
        return {domain: device_use(holdings[domain], present_us, duration_us) for domain in domains}

    def _namesake(self, last: Holding, now: Holding, living: Collection[str]) -> bool:
        """Whether a device seems to have passed to a pod of the same name while the first lives.

        Kubelet tells names alone, and a pod that was deleted by force still runs for a while.
        """
        before = {claim.pod for claim in last.claims if claim.pod in living}
        # A pod that the API server never named is like no other.
        names = {self._name(pod) for pod in before} - {("", "")}
        after = {claim.pod for claim in now.claims if claim.pod in living}
        return any(self._name(pod) in names for pod in after - before)

    def _name(self, pod: str) -> tuple[str, str]:
        record = self._snapshot.pods[pod]
        return record.namespace, record.name


def _settled(
    last: Holding, now: Holding, present_us: Mapping[str, int], gone: Collection[str]
) -> Holding:
    """Who held a device in the interval.

    A pod holds a device until its cgroup is gone, whatever kubelet or the API server say before,
    so that its last moments are its own.
    """
    before = {claim.pod for claim in last.claims if claim.pod in present_us}
    after = {claim.pod for claim in now.claims if claim.pod in present_us}
    if not before - after:
        return now
    if after <= before:
        # While nobody new came, the last holding stands until all who left it are gone.
        return last if not after or before.intersection(gone) else now
    if (last.method, last.whole) != (now.method, now.whole):
        return now
    leaving = tuple(c for c in last.claims if c.pod in gone and c.pod not in after)
    return replace(now, claims=now.claims + leaving)
