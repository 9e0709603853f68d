"""The state folder: one agent at a time, the snapshot and the journal in it, saved in order."""

import fcntl
import logging
import os
from pathlib import Path

from carbonaware_agent.saved.journal import Journal
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.saved.snapshot_format import Encoder, SnapshotUnreadableError, decode

_log = logging.getLogger(__name__)
_SYNC_EVERY_US = 60_000_000
_COMPACT_EVERY_US = 24 * 3600 * 1_000_000


class StateFolderInUseError(Exception):
    """Another agent holds the state folder."""


class StateFolder:
    """What is saved on the node. Raises OSError, or StateFolderInUseError on opening.

    restored: False when a snapshot was there but could not be read, so that counting began anew.
    """

    def __init__(self, folder: Path, period_us: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._file = folder / "state.json"
        # A file of its own, since the state file is another one after each rename.
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise StateFolderInUseError(f"{folder} is in use by another agent") from error
        self.journal = Journal(folder / "marks.jsonl", period_us)
        self.restored = True
        self._encoder = Encoder()
        self._synced_us = 0
        self._compacted_us = 0

    def load(self, wall_us: int) -> Snapshot | None:
        """The last snapshot, and the journal in line with it; None where there is none to use."""
        snapshot = None
        try:
            snapshot = decode(self._file.read_bytes())
        except FileNotFoundError:
            _log.info("no saved state; counting begins at 0")
        except SnapshotUnreadableError as error:
            self.restored = False
            self._file.replace(self._folder / "state.json.damaged")
            _log.error(
                "saved state is unreadable; counting begins anew", extra={"reason": str(error)}
            )
        self.journal.load(snapshot, wall_us)
        self._compacted_us = wall_us
        return snapshot

    def save(self, snapshot: Snapshot, *, sync: bool = False) -> bytes:
        """Save the journal, then the snapshot; returns the bytes that are now in the file.

        sync: also have it on disk; done every 60 s anyway.
        """
        if snapshot.wall_us - self._compacted_us >= _COMPACT_EVERY_US:
            self.journal.compact(snapshot.wall_us)
            self._compacted_us = snapshot.wall_us
        # The journal first: a snapshot that closed a period must never be without its marks.
        self.journal.save()
        content = self._encoder.encode(snapshot)
        sync = sync or abs(snapshot.boottime_us - self._synced_us) >= _SYNC_EVERY_US
        temporary = self._folder / "state.json.new"
        # Unbuffered: closing a buffered file after a failed write would try to write again.
        with temporary.open("wb", buffering=0) as file:
            if file.write(content) != len(content):
                raise OSError("the snapshot was not written whole")
            if sync:
                os.fsync(file.fileno())
        temporary.replace(self._file)
        if sync:
            _sync_folder(self._folder)
            self._synced_us = snapshot.boottime_us
        return content

    def close(self) -> None:
        """Let another agent use the folder."""
        os.close(self._lock)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
