"""CPU time of pods from their cgroups: one kept file per pod, no process is looked at.

A node has one hierarchy that counts: cpuacct (version 1) if the pods' tree is there, else version
2. Folders are listed anew only when they changed or when a cgroup in them ended.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from carbonaware_agent.kept_file import KeptFile
from carbonaware_agent.workloads import cgroup_names

_V1_CONTROLLERS = ("cpuacct", "cpu,cpuacct", "cpuacct,cpu")
# kubelet's own root, the folder of a nested node (kind) and one custom root above it.
_SEARCH_DEPTH = 4
_GONE = (errno.ENODEV, errno.ENOENT)


class CgroupsUnreadableError(Exception):
    """The pods' tree exists but cannot be listed or read now."""


class CgroupUse(NamedTuple):
    """Cumulative CPU time of one cgroup in microseconds, and the slice that holds it.

    renewed: it was removed and made again since the last reading.
    """

    usage_us: int
    parent: str
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class CgroupReading:
    """Pods by the uid in their cgroup's name; slices by name, `kubepods` first of all.

    A slice's parent is empty for the root. A pod outside the tree has an empty parent: nothing
    remembers what it used.
    """

    pods: dict[str, CgroupUse] = field(default_factory=dict)
    slices: dict[str, CgroupUse] = field(default_factory=dict)


@dataclass(slots=True)
class _Folder:
    """A cgroup that holds pods, and the files of those pods by folder name."""

    path: Path
    name: str
    parent: str
    loose: bool = False
    signature: tuple[int, int] | None = None
    own: KeptFile | None = None
    pods: dict[str, tuple[str, KeptFile]] = field(default_factory=dict)


class Cgroups:
    """The pods' cgroups of one node, read again and again."""

    def __init__(self, mount: Path) -> None:
        self._mount = mount
        self._root: Path | None = None
        self._base = mount
        self._file_name = ""
        self._folders: list[_Folder] = []
        self._ended_us: dict[str, int] = {}
        self._last_us: dict[tuple[str, str], int] = {}

    def read(self) -> CgroupReading:
        """All pods, then the slices that hold them: so a slice never shows less than its pods.

        Raises CgroupsUnreadableError; the next call then looks for the tree anew. A node whose
        kubelet never started has no pods.
        """
        if self._root is None or not self._root.is_dir():
            # Files of a tree that was removed stay open and would show its last values for ever.
            self._open()
        try:
            for folder in self._folders:
                self._list(folder)
            reading = CgroupReading()
            for folder in self._folders:
                self._read_pods(folder, reading.pods)
            for folder in reversed(self._folders):
                self._read_slice(folder, reading.slices)
        except OSError as error:
            self._root = None
            raise CgroupsUnreadableError(f"pods' cgroups: {error}") from error
        return reading

    def memory_kib(self) -> dict[str, int]:
        """Memory that each pod has in use, page cache included, in KiB.

        A pod whose cgroup is gone, or does not count memory, is left out. These files are not kept
        open: at one look in 20 s that would double the descriptors to save 0.008 % of a core.
        """
        found: dict[str, int] = {}
        for folder in self._folders:
            place, file_name = self._memory_place(folder.path)
            for name, (pod, _) in folder.pods.items():
                try:
                    used_kib = _content_of(f"{place}/{name}/{file_name}") // 1024
                except (OSError, ValueError):
                    continue
                found[pod] = found.get(pod, 0) + used_kib
        return found

    def _memory_place(self, folder: Path) -> tuple[str, str]:
        """Where a folder's memory is counted; version 1 has a hierarchy of its own for it."""
        hierarchy = self._mount / "memory"
        if hierarchy.is_dir():
            return str(hierarchy / folder.relative_to(self._base)), "memory.usage_in_bytes"
        return str(folder), "memory.current"

    def _open(self) -> None:
        for folder in self._folders:
            _close(folder)
        self._folders = []
        self._root = None
        for base, file_name in _hierarchies(self._mount):
            root, loose = _find(base)
            if root is not None:
                self._root, self._base, self._file_name = root, base, file_name
                self._folders = [_Folder(root, "kubepods", "", loose=loose)]
                return

    def _list(self, folder: _Folder) -> None:
        """Open what is new below a folder and close what is gone."""
        # The kernel's cgroup folders do not always change their times, but their link count.
        status = folder.path.stat()
        signature = (status.st_mtime_ns, status.st_nlink)
        if signature == folder.signature:
            return
        complete = True
        names = {entry.name for entry in os.scandir(folder.path) if entry.is_dir()}
        for gone in folder.pods.keys() - names:
            self._end(folder, gone)
        for name in sorted(names - folder.pods.keys()):
            complete &= self._adopt(folder, name)
        folder.signature = signature if complete else None

    def _adopt(self, folder: _Folder, name: str) -> bool:
        """Take a new folder in; False when it is not complete yet."""
        qos = None if folder.loose or folder.parent else cgroup_names.qos_of(name)
        if qos is not None:
            if all(known.name != qos for known in self._folders):
                self._folders.append(_Folder(folder.path / name, qos, folder.name))
            return True
        named = cgroup_names.pod_of_loose_container if folder.loose else cgroup_names.pod_of
        pod = named(name)
        if pod is None:
            return True
        try:
            folder.pods[name] = (pod, KeptFile(folder.path / name / self._file_name))
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return False
        return True

    def _read_pods(self, folder: _Folder, pods: dict[str, CgroupUse]) -> None:
        parent = "" if folder.loose else folder.name
        for name, (pod, file) in list(folder.pods.items()):
            usage_us = _usage_if_there(file)
            renewed = usage_us is None
            if usage_us is None:
                usage_us = self._reopened(folder, name)
            if usage_us is None:
                continue
            if folder.loose:
                usage_us = self._with_ended(folder, name, pod, usage_us, pods)
            pods[pod] = CgroupUse(usage_us, parent, renewed)

    def _reopened(self, folder: _Folder, name: str) -> int | None:
        """The usage of a new cgroup that took the place of one that is gone; None if none did."""
        self._end(folder, name)
        self._adopt(folder, name)
        return _usage_if_there(folder.pods[name][1]) if name in folder.pods else None

    def _with_ended(
        self, folder: _Folder, name: str, pod: str, usage_us: int, pods: dict[str, CgroupUse]
    ) -> int:
        """A loose pod's usage: this container, those read before it and those that ended."""
        self._last_us[folder.name, name] = usage_us
        if pod in pods:
            return pods[pod].usage_us + usage_us
        return self._ended_us.get(pod, 0) + usage_us

    def _read_slice(self, folder: _Folder, slices: dict[str, CgroupUse]) -> None:
        if folder.loose:
            return
        if folder.own is None:
            folder.own = KeptFile(folder.path / self._file_name)
        slices[folder.name] = CgroupUse(_usage_us(folder.own.read()), folder.parent)

    def _end(self, folder: _Folder, name: str) -> None:
        pod, file = folder.pods.pop(name)
        file.close()
        folder.signature = None
        if not folder.loose:
            return
        last_us = self._last_us.pop((folder.name, name), 0)
        if any(other == pod for other, _ in folder.pods.values()):
            self._ended_us[pod] = self._ended_us.get(pod, 0) + last_us
        else:
            self._ended_us.pop(pod, None)


def _content_of(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(descriptor, 64))
    finally:
        os.close(descriptor)


def _usage_if_there(file: KeptFile) -> int | None:
    """A cgroup's usage; None when the cgroup is gone. Raises OSError: it cannot be read."""
    try:
        return _usage_us(file.read())
    except OSError as error:
        if error.errno not in _GONE:
            raise
        return None


def _usage_us(content: bytes) -> int:
    """The value of cpuacct.usage (ns) or of cpu.stat's first line (us).

    Raises OSError: the file is empty, as it is for a moment while a simulated tree is written.
    """
    words = content.split(None, 2)
    if not words or not words[-1 if len(words) == 1 else 1].isdigit():
        raise OSError(errno.EIO, "a usage file without a number")
    return int(words[1]) if words[0] == b"usage_usec" else int(words[0]) // 1000


def _hierarchies(mount: Path) -> Iterator[tuple[Path, str]]:
    """The trees that may hold pods, with the name of the usage file there, in order."""
    for controllers in _V1_CONTROLLERS:
        yield mount / controllers, "cpuacct.usage"
    for base in (mount, mount / "unified"):
        if (base / "cgroup.controllers").exists():
            yield base, "cpu.stat"


def _find(base: Path) -> tuple[Path | None, bool]:
    """The pods' root nearest to the top; else a folder with containers outside any tree."""
    level = [base]
    loose: Path | None = None
    for _ in range(_SEARCH_DEPTH):
        children = [child for folder in level for child in _children(folder)]
        for child in children:
            if cgroup_names.is_pods_root(child.name):
                return child, False
            if loose is None and cgroup_names.pod_of_loose_container(child.name):
                loose = child.parent
        level = children
    return loose, loose is not None


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []


def _close(folder: _Folder) -> None:
    if folder.own is not None:
        folder.own.close()
    for _, file in folder.pods.values():
        file.close()
