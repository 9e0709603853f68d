"""Files of the kernel: one that is read every tick is kept open, and read in one call."""

import errno
import os
import resource
from pathlib import Path

# An agent with many files open must still be able to save its state and to answer scrapers.
_LEFT_FREE = 64


class KeptFile:
    """A small file of proc, sysfs or a cgroup, kept open. Every method raises OSError.

    EMFILE comes while some descriptors are left, unless the file is vital.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, path: Path, *, vital: bool = True) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The kernel gives the lowest number that is free, so it tells how many are in use.
        if not vital and limit != resource.RLIM_INFINITY and self._descriptor >= limit - _LEFT_FREE:
            self.close()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    def read(self, size: int = 64) -> bytes:
        """The file's beginning as it is now; ENODEV says that a cgroup is gone."""
        return os.pread(self._descriptor, size, 0)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


def beginning(path: Path, size: int = 256) -> str:
    """A file's first characters, without white space around them, however large it is.

    Raises OSError, or ValueError: it is no text.
    """
    with path.open("rb", buffering=0) as file:
        return file.read(size).decode().strip()
