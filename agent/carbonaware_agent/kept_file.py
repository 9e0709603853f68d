"""Files of the kernel: one that is read every tick is kept open, and read in one call."""

import os
from pathlib import Path


class KeptFile:
    """A small file of proc, sysfs or a cgroup, kept open. Every method raises OSError."""

    __slots__ = ("_descriptor",)

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

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
