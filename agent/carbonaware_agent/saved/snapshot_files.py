"""The files that hold the snapshot: one that is surely on disk, and two that are written in turns.

Replacing a file each second makes the file system write it out each time; on ext4 that took a
fifth of a tick, and wrote 5 GB a day. So once a minute the snapshot is replaced and synced, and in
between two files are overwritten in place, which stays in memory. What is complete and newest
counts: a kill tears at most the file that was being written, and a loss of power leaves the
replaced one, as before.
"""

import logging
import os
from pathlib import Path

from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.saved.snapshot_format import SnapshotUnreadableError, decode

_log = logging.getLogger(__name__)


class SnapshotFiles:
    """The snapshot's files in a folder. Every method raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._synced = folder / "state.json"
        self._in_turns = [folder / "state.0.json", folder / "state.1.json"]

    def newest(self) -> Snapshot | None:
        """The complete snapshot that was saved last; None if there never was one.

        Raises SnapshotUnreadableError: there are files, and none of them is complete. They are
        then set aside.
        """
        found: list[Snapshot] = []
        damaged: dict[Path, SnapshotUnreadableError] = {}
        for file in (self._synced, *self._in_turns):
            try:
                found.append(decode(file.read_bytes()))
            except FileNotFoundError:
                continue
            except SnapshotUnreadableError as error:
                damaged[file] = error
        if damaged and not found:
            for file in damaged:
                file.replace(file.with_name(file.name + ".damaged"))
            raise next(iter(damaged.values()))
        return max(found, key=lambda snapshot: snapshot.saves, default=None)

    def replace(self, content: bytes) -> None:
        """Put a snapshot on disk, in the place of the last one that was."""
        temporary = self._synced.with_suffix(".new")
        # Unbuffered: closing a buffered file after a failed write would try to write again.
        with temporary.open("wb", buffering=0) as file:
            _write(file.fileno(), content)
            os.fsync(file.fileno())
        temporary.replace(self._synced)
        _sync_folder(self._folder)

    def overwrite(self, content: bytes) -> None:
        """Leave a snapshot to the system, which has it on disk within half a minute."""
        descriptor = os.open(self._in_turns[0], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, content)
            os.ftruncate(descriptor, len(content))
        finally:
            os.close(descriptor)
        # Only now: what was shown last must not be overwritten by what may fail.
        self._in_turns.reverse()


def _write(descriptor: int, content: bytes) -> None:
    if os.write(descriptor, content) != len(content):
        raise OSError("the snapshot was not written whole")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
