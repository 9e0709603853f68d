"""CPU time of pods from their cgroups: one kept file per pod, no process is looked at.

A node has one hierarchy that counts: cpuacct (version 1) if the pods' tree is there, else version
2.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from carbonaware_agent.workloads import cgroup_names
from carbonaware_agent.workloads.cgroup_tree import PodsTree, find_tree
from carbonaware_agent.workloads.loose_containers import LooseContainers
from carbonaware_agent.workloads.pod_folder import CgroupUse, PodFolder

_log = logging.getLogger(__name__)
_ROOT = "kubepods"


class CgroupsUnreadableError(Exception):
    """The pods' tree exists but cannot be listed or read now."""


@dataclass(slots=True)
class CgroupReading:
    """Pods by the uid in their cgroup's name; slices by name, `kubepods` first of all.

    A slice's parent is empty for the root. A pod with containers outside the tree has an empty
    parent: nothing remembers what they used. unread: how many pods could not be read for want of
    descriptors; what they use stays the system's.
    """

    pods: dict[str, CgroupUse] = field(default_factory=dict)
    slices: dict[str, CgroupUse] = field(default_factory=dict)
    unread: int = 0


class Cgroups:
    """The pods' cgroups of one node, read again and again."""

    def __init__(self, mount: Path) -> None:
        self._mount = mount
        self._tree: PodsTree | None = None
        self._slices: dict[str, PodFolder] = {}
        self._loose: LooseContainers | None = None
        self._unread = 0

    def read(self) -> CgroupReading:
        """All pods, then the slices that hold them: so a slice never shows less than its pods.

        Raises CgroupsUnreadableError; the next call then looks for the tree anew. A node whose
        kubelet never started has no pods.
        """
        if not self._tree_stands():
            # Files of a tree that was removed stay open and would show its last values for ever.
            self._open()
        try:
            reading = self._read()
        except OSError as error:
            self._tree = None
            raise CgroupsUnreadableError(f"pods' cgroups: {error}") from error
        self._tell_unread(reading.unread)
        return reading

    def memory_kib(self) -> dict[str, int]:
        """Memory that each pod has in use, page cache included, in KiB.

        A pod whose cgroup is gone, or does not count memory, is left out. These files are not kept
        open: at one look in 20 s that would double the descriptors to save 0.008 % of a core.
        """
        found: dict[str, int] = {}
        for folder in self._folders():
            place, file_name = self._memory_place(folder.path)
            for name, pod in folder.pods.items():
                try:
                    used_kib = _content_of(f"{place}/{name}/{file_name}") // 1024
                except (OSError, ValueError):
                    continue
                found[pod] = found.get(pod, 0) + used_kib
        return found

    def _folders(self) -> Iterator[PodFolder]:
        yield from self._slices.values()
        if self._loose is not None:
            yield self._loose.folder

    def _memory_place(self, folder: Path) -> tuple[str, str]:
        """Where a folder's memory is counted; version 1 has a hierarchy of its own for it."""
        hierarchy = self._mount / "memory"
        if self._tree is not None and hierarchy.is_dir():
            return str(hierarchy / folder.relative_to(self._tree.base)), "memory.usage_in_bytes"
        return str(folder), "memory.current"

    def _tree_stands(self) -> bool:
        tree = self._tree
        return tree is not None and any(f and f.is_dir() for f in (tree.root, tree.loose))

    def _open(self) -> None:
        for folder in self._folders():
            folder.close()
        self._slices, self._loose = {}, None
        self._tree = tree = find_tree(self._mount)
        if tree is not None and tree.root is not None:
            self._slices[_ROOT] = self._slice(tree.root, tree)
        if tree is not None and tree.loose is not None:
            self._loose = LooseContainers(tree.loose, tree.file_name)

    def _slice(self, path: Path, tree: PodsTree) -> PodFolder:
        return PodFolder(path, tree.file_name, cgroup_names.pod_of)

    def _read(self) -> CgroupReading:
        reading = CgroupReading()
        self._refresh()
        for name, folder in self._slices.items():
            uses = folder.read(name)
            reading.pods.update({folder.pods[cgroup]: use for cgroup, use in uses.items()})
        if self._loose is not None:
            for pod, usage_us in self._loose.read().items():
                within_us = reading.pods[pod].usage_us if pod in reading.pods else 0
                reading.pods[pod] = CgroupUse(within_us + usage_us, "")
        for name, folder in reversed(self._slices.items()):
            parent = "" if name == _ROOT else _ROOT
            reading.slices[name] = CgroupUse(folder.read_own(), parent)
        reading.unread = sum(len(folder.unread) for folder in self._folders())
        return reading

    def _refresh(self) -> None:
        if self._tree is None or _ROOT not in self._slices:
            return
        root = self._slices[_ROOT]
        for name in root.refresh():
            qos = cgroup_names.qos_of(name)
            if qos is not None and qos not in self._slices:
                self._slices[qos] = self._slice(root.path / name, self._tree)
        for name, folder in self._slices.items():
            if name != _ROOT:
                folder.refresh()

    def _tell_unread(self, count: int) -> None:
        if count and not self._unread:
            _log.error(
                "too many open files: some pods are not measured; raise the limit (ulimit -n)",
                extra={"pods": count},
            )
        self._unread = count


def _content_of(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(descriptor, 64))
    finally:
        os.close(descriptor)
