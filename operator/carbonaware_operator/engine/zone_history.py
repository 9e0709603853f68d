"""The history of one zone in memory, and its copy in the cluster."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from carbonaware_operator.api.zone import History
from carbonaware_operator.cluster.zones import ZoneObjects, archive_name
from carbonaware_operator.grid.archive import Archive, ArchiveError
from carbonaware_operator.grid.points import Point
from carbonaware_operator.grid.provider import Source
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import period_start

log = logging.getLogger(__name__)


class ZoneHistory:
    """Keeps the archive of one zone.

    A saved archive of another source, of other emission factors or of another length of period is
    of no use any more: its values must not be mixed with the new ones. It is dropped with a line
    in the log, and overwritten.
    """

    def __init__(
        self, zone_name: str, *, period_seconds: int, backfill: timedelta, now: Instant
    ) -> None:
        self.archive: Archive | None = None
        self.saved: History | None = None
        """What the copy in the cluster holds, as far as it is known."""
        self.read = False
        """Until the copy has been read it must not be written: it may know more than we do."""
        self.zone_name, self._period_seconds = zone_name, period_seconds
        self._backfill = backfill
        self._taken_in = self._written_in = period_start(now, period_seconds)
        self._written = b""

    def begin(self, provider: Source) -> None:
        """Go on with the archive if it is of this provider's kind, else begin a new one."""
        fresh = Archive(
            source=provider.source, factors=provider.factors, period_seconds=self._period_seconds
        )
        if self.archive is None or not self.archive.same_kind(fresh):
            if self.archive is not None:
                self._log_dropped(self.archive)
            self.archive = fresh

    async def read_copy(self, objects: ZoneObjects) -> None:
        """Take over what was saved; needs `begin`. Raises ApiError."""
        encoded = await objects.archive(self.zone_name)
        saved = self._decoded(encoded) if encoded else None
        self.read = True
        if saved is None or self.archive is None:
            return
        if not self.archive.same_kind(saved):
            self._log_dropped(saved)
            return
        self.archive.adopt(saved)
        self._written, self.saved = encoded or b"", self._history(saved)

    def take(self, points: Sequence[Point], now: Instant, revised: timedelta) -> None:
        """Add points; what ended longer ago than values are revised is settled."""
        if self.archive is not None:
            self.archive.add(points)
            self.archive.settle(now - revised)
            self._taken_in = period_start(now, self._period_seconds)

    def ask_from(self, now: Instant, newest_end: Instant | None, revised: timedelta) -> Instant:
        """From when on to ask the source: what is missing and what may be revised.

        newest_end: the end of the newest point that it gave, None before its first answer.
        """
        oldest = now - self._backfill
        known = newest_end or (self.archive.known_until if self.archive else None) or oldest
        return max(oldest, min(known, now - revised))

    def due(self) -> bool:
        """True when a period has closed since the copy was written, and its last values came."""
        return self.read and self._taken_in > self._written_in

    async def write_copy(self, objects: ZoneObjects, now: Instant) -> None:
        """Save the archive if it has changed. Raises ApiError."""
        if self.archive is None or not self.read:
            return
        encoded = self.archive.encode()
        if encoded != self._written:
            history = self._history(self.archive)  # more may come in during the write
            await objects.write_archive(self.zone_name, encoded)
            self._written, self.saved = encoded, history
        self._written_in = period_start(now, self._period_seconds)

    def _history(self, archive: Archive) -> History:
        periods = sum(1 for _ in archive.known())
        return History(periods=periods, archive=archive_name(self.zone_name))

    def _decoded(self, encoded: bytes) -> Archive | None:
        try:
            return Archive.decode(encoded)
        except ArchiveError as error:
            log.warning("archive dropped", extra={"zone": self.zone_name, "error": str(error)})
            return None

    def _log_dropped(self, archive: Archive) -> None:
        log.warning(
            "archive dropped: it is of another kind",
            extra={
                "zone": self.zone_name,
                "source": archive.source,
                "factors": archive.factors,
                "period_seconds": archive.period_seconds,
            },
        )
