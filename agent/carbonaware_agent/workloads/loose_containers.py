"""Containers whose cgroups stand outside the pods' tree, summed by pod.

So it is where containerd was left on the cgroupfs driver under a systemd kubelet: kubelet makes
the pods' slices, and they stay empty. Nothing remembers what such a container used when it ends.
"""

from pathlib import Path

from carbonaware_agent.workloads.cgroup_names import pod_of_loose_container
from carbonaware_agent.workloads.pod_folder import PodFolder


class LooseContainers:
    """The containers of one folder. Every method raises OSError."""

    def __init__(self, path: Path, file_name: str) -> None:
        self.folder = PodFolder(path, file_name, pod_of_loose_container)
        self._last: dict[str, tuple[str, int]] = {}
        self._ended_us: dict[str, int] = {}

    def read(self) -> dict[str, int]:
        """CPU time by pod, with that of its containers that ended while others ran on."""
        self.folder.refresh()
        uses, pods = self.folder.read(""), self.folder.pods
        now = {name: (pods[name], use.usage_us) for name, use in uses.items()}
        living = {pod for pod, _ in now.values()}
        for pod, last_us in (self._last[name] for name in self._last.keys() - now.keys()):
            self._ended_us[pod] = self._ended_us.get(pod, 0) + last_us
        self._ended_us = {pod: us for pod, us in self._ended_us.items() if pod in living}
        self._last = now
        sums = {pod: self._ended_us.get(pod, 0) for pod in living}
        for pod, usage_us in now.values():
            sums[pod] += usage_us
        return sums
