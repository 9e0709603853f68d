"""PURE but for one reader: the recorded day that the demo plays, and the limits that suit it.

A recorded hour passes in five seconds, so that a day fits into two minutes.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from testbed.errors import TestbedError

SPEED = 720
"""Recorded seconds that pass in a real one."""
HOUR_SECONDS = 3600 / SPEED
"""Real seconds in which a recorded hour passes."""

_EARLIEST, _LATEST = 8, 14  # recorded hours after which the grid must get clean
_CLEAN_HOURS = 3  # how long it must stay clean: as long as the job runs
_SHORTEST, _LONGEST = 24, 48  # hours; the demo plays 36 at most
_PERCENTILES = (30, 25, 35, 20, 40, 15, 45, 10)
_RATIOS = (0.8, 0.95, 1.0)  # clean hours against the first ones; a flat grid has to do as well
_HOUR = timedelta(hours=1)


class TraceError(TestbedError):
    """The file cannot be played; the message names file, line and column."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Hourly intensities, played from the first on and again after the last.

    grams: gCO2e/kWh.
    clean_limit: first undercut after 8 to 14 hours, then for some hours.
    dirty_limit: far below every hour.
    """

    title: str
    grams: tuple[float, ...]
    clean_limit: int
    dirty_limit: int

    def hour_at(self, seconds: float) -> int:
        """The index of the hour that plays some real seconds after the start."""
        return int(max(0.0, seconds) / HOUR_SECONDS) % len(self.grams)

    def csv(self) -> str:
        """The file as a CarbonZone's recording takes it."""
        start = datetime(2026, 1, 1)  # noqa: DTZ001 - a label: only distances count
        rows = [
            f"{start + number * _HOUR:%Y-%m-%dT%H:%MZ},{grams:g}"
            for number, grams in enumerate(self.grams)
        ]
        return "\n".join(["time,gramsPerKWh", *rows]) + "\n"


@dataclass(frozen=True, slots=True)
class Hour:
    """One row of a file; grams is None where the cell is empty."""

    start: datetime
    grams: float | None


def typical_day() -> Trace:
    """A day of a grid with much sun: clean at noon, dirtiest in the evening."""
    # As long as the job that starts at once may take: what it saves must be exactly nothing.
    night = (340, 340, 340, 340, 340, 340, 340)
    morning = (360, 330, 300)
    noon = (160, 140, 120, 125, 140, 160)
    evening = (220, 300, 380, 430, 450, 440, 410, 380)
    return Trace("a typical day", (*night, *morning, *noon, *evening), 200, 40)


def from_file(path: Path, column: str | None = None) -> Trace:
    """The first day of an hourly file on which waiting for a cleaner grid can be shown.

    column: where the intensities are; without it, the first numeric column after the time.
    Raises TraceError: the file is not hourly intensities, or has no such day.
    """
    hours = read_hours(path, column)
    stretches = _stretches(hours)
    if not stretches:
        raise TraceError(f"{path}: must have 24 rows that are an hour apart, without a gap")
    midnights = [s for s in stretches if s[0].start.hour == 0]
    for ratio in _RATIOS:
        for candidates in (midnights, stretches):
            for stretch in candidates:
                grams = tuple(hour.grams or 0.0 for hour in stretch)
                limit = _clean_limit(grams, ratio)
                if limit is not None:
                    day = f"{path.name}, {stretch[0].start:%Y-%m-%d %H:%M}"
                    return Trace(day, grams, limit, int(min(grams)) // 3)
    raise TraceError(
        f"{path}: on no day the grid is first cleaner than before after {_EARLIEST} to {_LATEST} "
        f"hours and stays so for {_CLEAN_HOURS}; take another file or another column"
    )


def read_hours(path: Path, column: str | None = None) -> list[Hour]:
    """Every row of a file whose first column is the time.

    Raises TraceError: the file cannot be read, or a cell is no time or no intensity.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error
    if len(rows) < 2:
        raise TraceError(f"{path}: must have a line of column names and then one per hour")
    position = _position(path, rows, column)
    return [
        _hour(path, number, rows[0], row, position)
        for number, row in enumerate(rows[1:], start=2)
        if row
    ]


def _position(path: Path, rows: list[list[str]], column: str | None) -> int:
    names = rows[0]
    if column is not None:
        if column not in names[1:]:
            known = ", ".join(names[1:])
            raise TraceError(f"{path}, line 1: has no column {column!r}; it must be one of {known}")
        return names.index(column, 1)
    for position, cell in enumerate(rows[1][1:], start=1):
        if _number(cell) is not None:
            return position
    raise TraceError(f"{path}, line 2: must have a number in a column after the first, the time")


def _hour(path: Path, line: int, names: list[str], row: list[str], position: int) -> Hour:
    def refuse(column: int, what: str) -> TraceError:
        cell = row[column] if column < len(row) else ""
        name = names[column] if column < len(names) else column + 1
        return TraceError(f"{path}, line {line}, column {name}: {what}, not {cell!r}")

    try:
        start = datetime.fromisoformat(row[0].strip())
    except ValueError as error:
        raise refuse(0, "must be a time such as 2026-01-01T00:00Z") from error
    if position >= len(row) or not row[position].strip():
        return Hour(start, None)
    grams = _number(row[position])
    if grams is None or not 0 <= grams <= 5000:
        raise refuse(position, "must be a number from 0 to 5000 gCO2e/kWh")
    return Hour(start, grams)


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _stretches(hours: Sequence[Hour]) -> list[Sequence[Hour]]:
    """From every hour that begins a day without a gap, that day and what follows it."""
    found: list[Sequence[Hour]] = []
    length = 0
    for index in range(len(hours) - 1, -1, -1):
        following = index + 1 < len(hours) and _is_next(hours[index], hours[index + 1])
        length = 0 if hours[index].grams is None else length + 1 if following else 1
        if length >= _SHORTEST:
            found.append(hours[index : index + min(length, _LONGEST)])
    return found[::-1]


def _is_next(hour: Hour, after: Hour) -> bool:
    if (hour.start.tzinfo is None) != (after.start.tzinfo is None):
        return False
    return after.start - hour.start == _HOUR


def _clean_limit(grams: Sequence[float], ratio: float) -> int | None:
    """A limit that is first undercut at the right time and for long enough; None without."""
    ranked = sorted(grams[:24])
    for percentile in _PERCENTILES:
        limit = math.ceil(ranked[len(ranked) * percentile // 100])
        dirty = next(number for number, value in enumerate(grams) if value <= limit)
        clean = grams[dirty : dirty + _CLEAN_HOURS]
        if not _EARLIEST <= dirty <= _LATEST or any(value > limit for value in clean):
            continue
        first = grams[:_CLEAN_HOURS]
        if sum(clean) < ratio * sum(first) and min(grams[: _LATEST + 1]) >= 1:
            return limit
    return None
