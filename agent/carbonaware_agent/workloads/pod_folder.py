"""One folder of cgroups that belong to pods, each with its usage file kept open.

The folder is listed anew only when it changed or when a cgroup in it ended.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from carbonaware_agent.kept_file import KeptFile

_GONE = (errno.ENODEV, errno.ENOENT)
# Digits of 64 bits.
_LONGEST = 20
_V2_WORD = b"usage_usec "
_TOO_MANY = (errno.EMFILE, errno.ENFILE)


class CgroupUse(NamedTuple):
    """Cumulative CPU time of one cgroup in microseconds, and the slice that holds it.

    renewed: it was removed and made again since the last reading.
    """

    usage_us: int
    parent: str
    renewed: bool = False


class PodFolder:
    """The cgroups in a folder, by name; pod_of tells whose a cgroup is by its name.

    pods: uid by name. unread: names of pods whose files could not be opened, as too many were.
    """

    def __init__(self, path: Path, file_name: str, pod_of: Callable[[str], str | None]) -> None:
        self.path = path
        self.pods: dict[str, str] = {}
        self.unread: set[str] = set()
        self._file_name = file_name
        self._pod_of = pod_of
        self._files: dict[str, KeptFile] = {}
        self._own: KeptFile | None = None
        self._signature: tuple[int, int] | None = None

    def refresh(self) -> set[str]:
        """Open what is new and close what is gone; returns what else lies there, if it changed.

        Raises OSError.
        """
        # The kernel's cgroup folders do not always change their times, but their link count.
        status = self.path.stat()
        signature = (status.st_mtime_ns, status.st_nlink)
        if signature == self._signature:
            return set()
        names = {entry.name for entry in os.scandir(self.path) if entry.is_dir()}
        for gone in self._files.keys() - names:
            self._end(gone)
        self.unread.clear()
        pods = {name: pod for name in names - self._files.keys() if (pod := self._pod_of(name))}
        adopted = [self._adopt(name, pod) for name, pod in sorted(pods.items())]
        self._signature = signature if all(adopted) else None
        return names - self._files.keys() - pods.keys()

    def read(self, parent: str) -> dict[str, CgroupUse]:
        """What each cgroup used, by its name; parent: the name of this folder's slice.

        Raises OSError: one that is there cannot be read.
        """
        uses = {}
        for name, file in list(self._files.items()):
            try:
                uses[name] = CgroupUse(_usage_us(file.read()), parent)
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                usage_us = self._usage_of_successor(name)
                if usage_us is not None:
                    uses[name] = CgroupUse(usage_us, parent, renewed=True)
        return uses

    def read_own(self) -> int:
        """What the folder's own cgroup used. Raises OSError."""
        if self._own is None:
            self._own = KeptFile(self.path / self._file_name)
        return _usage_us(self._own.read())

    def close(self) -> None:
        """Give all descriptors back."""
        for file in (*self._files.values(), *([self._own] if self._own else [])):
            file.close()

    def _adopt(self, name: str, pod: str) -> bool:
        """Take a pod's cgroup in; False when it could not be done yet."""
        try:
            self._files[name] = KeptFile(self.path / name / self._file_name, vital=False)
        except OSError as error:
            if error.errno in _TOO_MANY:
                self.unread.add(name)
            elif error.errno not in _GONE:
                raise
            return False
        self.pods[name] = pod
        return True

    def _usage_of_successor(self, name: str) -> int | None:
        """The usage of a cgroup that took the place of one that is gone; None if none did."""
        pod = self.pods[name]
        self._end(name)
        if not self._adopt(name, pod):
            return None
        try:
            return _usage_us(self._files[name].read())
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return None

    def _end(self, name: str) -> None:
        self._files.pop(name).close()
        del self.pods[name]
        self._signature = None


def _usage_us(content: bytes) -> int:
    """The value of cpuacct.usage (ns) or of cpu.stat's first line (us).

    Raises OSError: the file is empty, as it is for a moment while a simulated tree is written.
    """
    # Of both forms the number ends with the first line; a tick comes here for every pod.
    begin = len(_V2_WORD) if content.startswith(_V2_WORD) else 0
    end = content.find(b"\n", begin)
    number = content[begin : end if end >= 0 else None].strip()
    if not number.isdigit() or len(number) > _LONGEST:
        raise OSError(errno.EIO, "a usage file without a number")
    return int(number) if begin else int(number) // 1000
