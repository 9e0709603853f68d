"""Owner series over time: their values at the end of each accounting period, and closed series.

A file of its own, to which lines are added when a period closes, because it is larger than the
snapshot and changes rarely. Lines are on disk before the snapshot that follows from them; lines
that a crash left ahead of the snapshot are dropped when both are read again.
"""

import contextlib
import errno
import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from carbonaware_agent.saved.snapshot import SeriesKey, Snapshot
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import Owner

_log = logging.getLogger(__name__)
RETENTION_US = 30 * 24 * 3600 * 1_000_000
CLOSED_KEPT = 10_000


class Mark(NamedTuple):
    """A series' cumulative value at the end of the period that began at `start_us`."""

    start_us: int
    value_uj: int


@dataclass(slots=True)
class History:
    """One series: who it belongs to, its marks, and its last value and time once it is closed."""

    key: SeriesKey
    marks: list[Mark] = field(default_factory=list)
    total_uj: int | None = None
    closed_us: int | None = None


class Journal:
    """The marks and closed series of a node, by epoch. Every method that writes raises OSError.

    period_us: length of the accounting period; marks of another length are of no use and dropped.
    """

    def __init__(self, file: Path, period_us: int) -> None:
        self._file = file
        self._period_us = period_us
        self._lock = threading.Lock()
        self._histories: dict[str, History] = {}
        self._unsaved: list[list[Any]] = []
        self._size = 0

    def load(self, snapshot: Snapshot | None, wall_us: int) -> None:
        """Read the file, bring it in line with the snapshot and write it anew.

        Without a snapshot every series is closed at its last mark: what it counted since is lost.
        """
        with contextlib.suppress(FileNotFoundError):
            self._replay(self._file.read_bytes().splitlines())
        if snapshot is None:
            for history in self._histories.values():
                if history.closed_us is None:
                    history.total_uj = max((mark.value_uj for mark in history.marks), default=0)
                    history.closed_us = wall_us
        else:
            self._histories = dict(_aligned(self._histories, snapshot))
        self.compact(wall_us)

    def mark(self, epoch: str, key: SeriesKey, mark: Mark) -> None:
        """Note a series' value at the end of a period; saved by the next `save`."""
        with self._lock:
            self._history(epoch, key).marks.append(mark)
        self._unsaved.append(["mark", epoch, *mark])

    def close(self, epoch: str, key: SeriesKey, total_uj: int, wall_us: int) -> None:
        """Note that a series will not grow any more; saved by the next `save`."""
        with self._lock:
            history = self._history(epoch, key)
            history.total_uj, history.closed_us = total_uj, wall_us
        self._unsaved.append(["close", epoch, total_uj, wall_us])

    def histories(self) -> list[tuple[str, History]]:
        """All series that have marks or are closed, with their epochs."""
        with self._lock:
            return list(self._histories.items())

    def save(self) -> None:
        """Add what is new to the file, and have it on disk."""
        if not self._unsaved:
            return
        lines = b"".join(_line(row) for row in self._unsaved)
        with self._file.open("ab", buffering=0) as file:
            try:
                if file.write(lines) != len(lines):
                    raise OSError(errno.ENOSPC, "the journal was not written whole")
                os.fsync(file.fileno())
            except OSError:
                # Half a line must not be followed by a whole one.
                file.truncate(self._size)
                raise
        self._size += len(lines)
        self._unsaved.clear()

    def compact(self, wall_us: int) -> None:
        """Forget what is older than 30 days and write the file anew."""
        with self._lock:
            self._histories = _kept(self._histories, wall_us - RETENTION_US)
        content = b"".join(_line(row) for row in self._rows())
        # Written beside and renamed: a crash leaves the old file or the new one.
        temporary = self._file.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._file)
        self._size = len(content)
        self._unsaved.clear()

    def _history(self, epoch: str, key: SeriesKey) -> History:
        if epoch not in self._histories:
            self._histories[epoch] = History(key)
            self._unsaved.append(["series", epoch, *key])
        return self._histories[epoch]

    def _rows(self) -> Iterator[list[Any]]:
        yield ["period", self._period_us]
        for epoch, history in self._histories.items():
            yield ["series", epoch, *history.key]
            for mark in history.marks:
                yield ["mark", epoch, *mark]
            if history.closed_us is not None:
                yield ["close", epoch, history.total_uj, history.closed_us]

    def _replay(self, lines: list[bytes]) -> None:
        """Take all lines that are whole: a crash cuts off the last one, a bad disk any."""
        same_period = True
        for line in lines:
            try:
                match json.loads(line):
                    case ["period", int(period_us)]:
                        same_period = period_us == self._period_us
                    case ["mark", *_] if not same_period:
                        pass
                    case row:
                        self._replay_row(row)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                _log.warning("damaged line of the journal", extra={"reason": repr(error)[:200]})

    def _replay_row(self, row: Any) -> None:
        """Take one line. Raises ValueError, TypeError or KeyError: it is damaged."""
        match row:
            case ["series", str(epoch), [*owner], [*stream]]:
                self._histories[epoch] = History(_key(owner, stream))
            case ["mark", epoch, int(start_us), int(value_uj)] if value_uj >= 0:
                self._histories[epoch].marks.append(Mark(start_us, value_uj))
            case ["close", epoch, int(total_uj), int(closed_us)] if total_uj >= 0:
                history = self._histories[epoch]
                history.total_uj, history.closed_us = total_uj, closed_us
            case _:
                raise ValueError(f"no line of the journal: {row!r}")


def _key(owner: list[Any], stream: list[Any]) -> SeriesKey:
    """Raises ValueError or TypeError: they are none."""
    if not all(isinstance(word, str) for word in (*owner, *stream)):
        raise ValueError("owners and streams are named by texts")
    return Owner(*owner), Stream(*stream)


def _line(row: list[Any]) -> bytes:
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _aligned(histories: dict[str, History], snapshot: Snapshot) -> Iterator[tuple[str, History]]:
    """Without what the tick wrote that was cut off before its snapshot.

    A series that the snapshot knows is open, and no period is closed that is open there. One that
    it does not know was closed before, or began in that tick and will begin again.
    """
    live = {record.epoch for record in snapshot.series.values()}
    for epoch, history in histories.items():
        if epoch in live:
            marks = [mark for mark in history.marks if mark.start_us < snapshot.open_us]
            if marks:
                yield epoch, History(history.key, marks)
        elif history.closed_us is not None:
            yield epoch, history


def _kept(histories: dict[str, History], oldest_us: int) -> dict[str, History]:
    """The series and marks to keep: 30 days, and the 10,000 that were closed last."""
    closed = sorted(
        (history.closed_us, epoch)
        for epoch, history in histories.items()
        if history.closed_us is not None
    )
    surplus = {epoch for _, epoch in closed[: max(0, len(closed) - CLOSED_KEPT)]}
    kept = {}
    for epoch, history in histories.items():
        if epoch in surplus or (history.closed_us or oldest_us) < oldest_us:
            continue
        # An open series keeps its last mark, which its next one is read against.
        recent = [mark for mark in history.marks if mark.start_us >= oldest_us]
        history.marks = recent or history.marks[-1:]
        kept[epoch] = history
    return kept
