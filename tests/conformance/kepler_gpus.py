"""Kepler's division of GPU power among processes, as far as the scenarios use it.

Source: sustainable-computing-io/kepler, internal/device/gpu/nvidia/collector.go and
internal/monitor/process.go. In its favour, activity within a MIG partition is exact.
"""

from collections.abc import Mapping

from conformance.node import Reading
from conformance.scenario import Scenario


class KeplerGpus:
    """One sample of active power times the interval, by activity or in equal parts.

    Active power is what a GPU draws beyond the least it drew while no process was on it; all of it
    while no such moment was seen.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._gpus = scenario.machine.gpus
        self._holders = {
            gpu.uuid: [pod.name for pod in scenario.pods if pod.gpu == index]
            for index, gpu in enumerate(self._gpus)
        }
        self.restart()

    def restart(self) -> None:
        """All of it is in memory."""
        self._before: Reading | None = None
        self._idle_watts: dict[str, float] = {}
        self._pods: dict[str, float] = {}

    def take(self, now: Reading) -> None:
        """Add this sample's power for the time since the one before."""
        before, self._before = self._before, now
        for gpu in self._gpus:
            watts = now.gpu_watts[gpu.uuid]
            holders = [pod for pod in self._holders[gpu.uuid] if pod in now.gpu_active]
            if not holders:
                # Kepler asks for processes on the GPU; here every holder has one.
                least_watts = self._idle_watts.get(gpu.uuid, watts)
                self._idle_watts[gpu.uuid] = min(least_watts, watts)
            elif before is not None:
                active_uj = (watts - self._idle_watts.get(gpu.uuid, 0.0)) * 1e6
                activities = {pod: now.gpu_active[pod] * gpu.activity for pod in holders}
                self._add(active_uj * (now.second - before.second), activities)

    def pods(self) -> Mapping[str, float]:
        """Microjoules by pod."""
        return self._pods

    def _add(self, energy_uj: float, activities: Mapping[str, float]) -> None:
        whole = sum(activities.values())
        for pod, activity in activities.items():
            share = activity / whole if whole else 1 / len(activities)
            self._pods[pod] = self._pods.get(pod, 0.0) + energy_uj * share
