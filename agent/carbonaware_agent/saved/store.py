"""The state folder: one agent at a time, the snapshot and the journal in it, saved in order."""

import fcntl
import logging
import os
from pathlib import Path

from carbonaware_agent.saved.journal import Journal
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.saved.snapshot_files import SnapshotFiles
from carbonaware_agent.saved.snapshot_format import Encoder, SnapshotUnreadableError

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
        self._files = SnapshotFiles(folder)
        # A file of its own, since the snapshot's are others after a while.
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise StateFolderInUseError(f"{folder} is in use by another agent") from error
        self.journal = Journal(folder / "marks.jsonl", period_us)
        self.restored = True
        self._encoder = Encoder()
        # At first None: so what a new agent saves first is on disk.
        self._synced_us: int | None = None
        self._compacted_us = 0

    def load(self, wall_us: int) -> Snapshot | None:
        """The last snapshot, and the journal in line with it; None where there is none to use."""
        snapshot = None
        try:
            snapshot = self._files.newest()
        except SnapshotUnreadableError as error:
            self.restored = False
            _log.error(
                "saved state is unreadable; counting begins anew", extra={"reason": str(error)}
            )
        else:
            if snapshot is None:
                _log.info("no saved state; counting begins at 0")
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
        snapshot.saves += 1
        content = self._encoder.encode(snapshot)
        if sync or self._sync_is_due(snapshot.boottime_us):
            self._files.replace(content)
            self._synced_us = snapshot.boottime_us
        else:
            self._files.overwrite(content)
        return content

    def _sync_is_due(self, now_us: int) -> bool:
        return self._synced_us is None or abs(now_us - self._synced_us) >= _SYNC_EVERY_US

    def close(self) -> None:
        """Let another agent use the folder."""
        os.close(self._lock)
