"""Follows who holds which GPU, in a thread of its own, since kubelet and NVML may be slow."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from carbonaware_agent.attribution.devices import Holding
from carbonaware_agent.clock import Clock
from carbonaware_agent.gpus.holdings import (
    CardFacts,
    GpuPicture,
    Hold,
    Joined,
    Sample,
    holding,
    join,
    sole_holder,
    used,
)
from carbonaware_agent.sources.nvml_activity import Activity, ActivitySampler, Layout
from carbonaware_agent.sources.nvml_devices import Gpu
from carbonaware_agent.workloads.device_ids import Card
from carbonaware_agent.workloads.pod_resources import PodResourcesError, list_allocations
from carbonaware_agent.workloads.pods import PodDirectory
from carbonaware_agent.workloads.process_pods import pod_of_process

_log = logging.getLogger(__name__)
# Kubelet hands devices out before a pod's containers are created, which is a change of the pod.
_LOOK_EVERY_SECONDS = 10.0
# A burst of changes, as when a node starts, is one question.
_SETTLE_SECONDS = 1.0
_SAMPLE_EVERY_US = 10_000_000


class GpuWatch:
    """Keeps `picture` up to date; it is None until the holders are known for the first time.

    gpus: the cards that are measured now. pods_known: whether the directory is as full as it will
    be. socket: kubelet's; on a node without its folder a pod that was given all GPUs holds them.
    following: whether the last answer was good; None where none is needed.
    """

    def __init__(
        self,
        clock: Clock,
        gpus: Callable[[], Sequence[Gpu]],
        directory: PodDirectory,
        pods_known: Callable[[], bool],
        *,
        socket: Path,
        proc: Path,
    ) -> None:
        self._clock = clock
        self._gpus = gpus
        self._directory = directory
        self._pods_known = pods_known
        self._socket = socket
        self._pod_of_process = partial(pod_of_process, proc)
        self._sampler: ActivitySampler | None = None
        self._cards: list[Card] = []
        self._samples: dict[str, Sample] = {}
        self._sampled_us: int | None = None
        self._unresolved: frozenset[str] = frozenset()
        self.picture: GpuPicture | None = None
        self.following: bool | None = None

    def start(self, pause: Callable[[float], bool]) -> None:
        """Follow in a thread that ends with the process."""
        threading.Thread(target=self.run, args=(pause,), name="gpu-watch", daemon=True).start()

    def run(self, pause: Callable[[float], bool]) -> None:
        """Look after each change of a pod, and else every 10 s, until `pause` says to end."""
        while True:
            self.look()
            self._directory.changed.wait(_LOOK_EVERY_SECONDS)
            if pause(_SETTLE_SECONDS):
                return
            # Before the look: what changes during it is a reason for another one.
            self._directory.changed.clear()

    def look(self) -> None:
        """Ask for everything that is due, and make a new picture of it."""
        gpus = self._gpus()
        if not gpus:
            self.picture, self._cards, self.following = None, [], None
            return
        if self._sampler is None or [gpu for gpu, _ in self._cards] != list(gpus):
            # What was sampled belongs to a driver that may have been reloaded.
            self._sampler = ActivitySampler()
            self._partition(self._sampler, gpus)
        joined = self._joined(self._sampler)
        if joined is not None:
            self._sample(self._sampler, joined.holds)
            self._show(joined)

    def _partition(self, sampler: ActivitySampler, gpus: Iterable[Gpu]) -> None:
        """Enumerating MIG devices is slow, so it is done for new cards and for unknown devices."""
        self._cards = [(gpu, sampler.layout(gpu)) for gpu in gpus]

    def _joined(self, sampler: ActivitySampler) -> Joined | None:
        """The holds as of now; None while they cannot be known."""
        # Taken before kubelet is asked: a pod that came later cannot be the one of its answer.
        pods = {(pod.namespace, pod.name): pod for pod in self._directory.all()}
        if not pods and not self._pods_known():
            return None
        if not self._socket.parent.is_dir():
            self.following = None
            return Joined(sole_holder(pods.values(), self._cards), frozenset())
        try:
            allocations = list_allocations(self._socket)
        except PodResourcesError as error:
            if self.following is not False:
                _log.warning("GPU holders are not followed", extra={"reason": str(error)})
            self.following = False
            return None
        self.following = True
        joined = join(allocations, self._cards, pods)
        if joined.unresolved - self._unresolved:
            self._partition(sampler, [gpu for gpu, _ in self._cards])
            joined = join(allocations, self._cards, pods)
        if joined.unresolved - self._unresolved:
            devices = ", ".join(sorted(joined.unresolved))
            _log.warning("devices of pods that are no known GPU", extra={"devices": devices})
        self._unresolved = joined.unresolved
        return joined

    def _sample(self, sampler: ActivitySampler, holds: Mapping[str, Sequence[Hold]]) -> None:
        now_us = self._clock.boottime_us()
        if self._sampled_us is not None and now_us - self._sampled_us < _SAMPLE_EVERY_US:
            return
        self._sampled_us = now_us
        shared = {uuid for uuid, held in holds.items() if len({hold.holder for hold in held}) > 1}
        self._samples = {
            gpu.uuid: self._sampled(sampler.activity(gpu, layout, shared), holds.get(gpu.uuid, ()))
            for gpu, layout in self._cards
        }

    def _sampled(self, activity: Activity, holds: Sequence[Hold]) -> Sample:
        used_by = used(activity.processes, holds, self._pod_of_process)
        return Sample(frozenset(holds), activity, used_by)

    def _show(self, joined: Joined) -> None:
        self.picture = GpuPicture(
            {gpu.domain.name: self._holding(gpu, layout, joined) for gpu, layout in self._cards},
            {gpu.domain.name: self._facts(gpu) for gpu, _ in self._cards},
            len(joined.unresolved),
        )

    def _holding(self, gpu: Gpu, layout: Layout, joined: Joined) -> Holding:
        sample = self._samples.get(gpu.uuid, Sample())
        return holding(layout, joined.holds.get(gpu.uuid, ()), sample)

    def _facts(self, gpu: Gpu) -> CardFacts:
        sample = self._samples.get(gpu.uuid, Sample())
        return CardFacts(gpu.uuid, gpu.model, sample.activity.utilization)
