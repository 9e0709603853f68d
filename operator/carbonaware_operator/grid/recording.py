"""A recorded series, played at any speed from the creation of the CarbonZone on.

What is current is a function of creation, speed and time alone, so that an operator that restarts,
or a second replica, plays the same bar.
"""

import csv
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.errors import SignalMalformed, SignalMisconfigured
from carbonaware_operator.grid.points import Point, PointKind, intensity_of
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant, parse_instant

MAX_BYTES = 64 * 1024 * 1024
MAX_POINTS = 100_000
"""Newest points of one answer; older ones are left out, which the archive shows as a gap."""

_STALE_SECONDS = 10.0  # bridges the hop to the worker thread that fetches the next row
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Series:
    """Equidistant rows of one column, mgCO2e/kWh; `step` is the recorded length of a row."""

    column: str
    step: timedelta
    values: tuple[MilligramsPerKWh, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """Plays a series; `speed` recorded seconds pass in one real second."""

    series: Series
    created: Instant
    speed: int
    loop: bool
    factors: EmissionFactors | None = None

    @property
    def source(self) -> str:
        """The column is part of it: another column is another series."""
        return f"Recording/{self.series.column}"

    @property
    def cadence(self) -> Cadence:
        """One question for each row, at most one a second."""
        row = self.series.step.total_seconds() / self.speed
        return Cadence(poll=max(1.0, row), stale=_STALE_SECONDS)

    def check(self) -> Access:
        """What was recorded; that it can be read was found out by making the provider."""
        rows, step = len(self.series.values), self.series.step
        end = "starts again at its end" if self.loop else "ends there for good"
        return Access((f"recording, {rows} rows of {step}; {end}",))

    def points(self, start: Instant, end: Instant) -> list[Point]:
        """The rows that are played in [start, end]; none before the creation."""
        if end < self.created:
            return []
        last = self._row_at(end)
        if not self.loop:
            last = min(last, len(self.series.values) - 1)
        first = self._row_at(max(start, self.created))
        return [self._point(row) for row in range(max(first, last - MAX_POINTS + 1), last + 1)]

    def _row_at(self, instant: Instant) -> int:
        """The row that is played at an instant, counted on through every round of the loop."""
        return (instant - self.created) * self.speed // self.series.step

    def _starts(self, row: int) -> Instant:
        recorded = row * (self.series.step // _MICROSECOND)
        # Rounded up: the row that is played at this instant must be this row, not the one before.
        return self.created + -(recorded // -self.speed) * _MICROSECOND

    def _point(self, row: int) -> Point:
        return Point(
            self._starts(row),
            self._starts(row + 1),
            self.series.values[row % len(self.series.values)],
            PointKind.ACTUAL,
            self.source,
            self.factors,
        )


def read_file(path: str, folder: Path | None) -> str:
    """The text of a recording at the operator.

    folder: the one below which recordings lie; None where files are not allowed.
    Raises SignalMisconfigured when the file may not be read or has no text.
    """
    if folder is None:
        raise SignalMisconfigured(
            f"file {path} must be allowed: the administrator starts the operator with"
            " `--recordings-folder`; or use `configMapRef`"
        )
    try:
        text = _bytes_below(folder, path).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SignalMisconfigured(
            f"file {path} does not exist at the operator; mount it there, or use `configMapRef`"
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise SignalMisconfigured(f"file {path} must be readable for the operator") from error
    except UnicodeDecodeError as error:
        raise SignalMalformed(f"file {path} must be text in UTF-8") from error
    return text


def _bytes_below(folder: Path, path: str) -> bytes:
    """The content of a regular file below a folder, wherever links on the way lead."""
    real = (folder / path).resolve(strict=True)
    if not real.is_relative_to(folder.resolve()):
        raise SignalMisconfigured(f"file {path} must lie below {folder} at the operator")
    with open(real, "rb", opener=_open_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SignalMisconfigured(f"file {path} must be a regular file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise SignalMisconfigured(f"file {path} must be at most {MAX_BYTES} bytes long")
    return content


def _open_at_once(path: str, flags: int) -> int:
    # A FIFO that nobody writes to would hold the thread for ever without O_NONBLOCK.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def read_series(text: str, column: str | None, *, origin: str) -> Series:
    """Read a CSV with a header row; lines that begin with `#` are comments.

    The first column is the start of each row, an instant with its offset, ascending in equal
    steps. `column` names the one with gCO2e/kWh, by default the second. `origin` names the text
    in messages.
    Raises SignalMalformed, SignalMisconfigured.
    """
    rows = _rows(text, origin)
    _, header = next(rows, (0, [""]))
    index = _index(header, column, origin)
    table = _Table(origin, f"column {column!r}" if column else "second column")
    starts, values = [], []
    for line, cells in rows:
        starts.append(table.instant(line, cells[0]))
        values.append(table.intensity(line, cells[index] if index < len(cells) else ""))
        table.check_step(line, starts)
    if len(values) < 2:
        raise SignalMalformed(f"{origin} must have at least two rows below its header")
    return Series(header[index], starts[1] - starts[0], tuple(values))


def _rows(text: str, origin: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells, without comments and empty lines."""
    for line, content in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if content.strip() and not content.startswith("#"):
            yield line, _cells(line, content, origin)


def _cells(line: int, content: str, origin: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([content], strict=True))]
    except csv.Error as error:
        raise SignalMalformed(f"{origin}, line {line}: must be comma-separated values") from error


def _index(header: Iterable[str], column: str | None, origin: str) -> int:
    names = list(header)
    if column is None and len(names) > 1:
        return 1
    if column in names[1:]:
        return names.index(column, 1)
    wanted = "a second column" if column is None else f"a column {column!r} after the first one"
    raise SignalMisconfigured(f"{origin} must have {wanted}; set `column` to one that it has")


@dataclass(frozen=True, slots=True)
class _Table:
    """Where a cell stands, for messages.

    No message holds a cell, nor does the error it is raised from: a file of secrets may have been
    named by mistake, and messages end up in the status of the zone.
    """

    origin: str
    value_column: str

    def instant(self, line: int, cell: str) -> Instant:
        try:
            return parse_instant(cell)
        except ValueError:
            raise self._malformed(
                line, "first column", "must be an ISO 8601 instant with its offset"
            ) from None

    def intensity(self, line: int, cell: str) -> MilligramsPerKWh:
        try:
            return intensity_of(float(cell))
        except ValueError:
            raise self._malformed(
                line, self.value_column, "must be a number from 0 to 5000, in gCO2e/kWh"
            ) from None

    def check_step(self, line: int, starts: list[Instant]) -> None:
        if len(starts) < 2:
            return
        step = starts[-1] - starts[-2]
        if step <= timedelta(0) or step != starts[1] - starts[0]:
            raise self._malformed(
                line, "first column", "must be later than the row before, always by the same"
            )

    def _malformed(self, line: int, column: str, must: str) -> SignalMalformed:
        return SignalMalformed(f"{self.origin}, line {line}, {column}: {must}")
