"""Traces: CSV files of hourly values, read for a command; what is wrong is said with its place."""

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.grid.points import MAX_GRAMS_PER_KWH
from carbonaware_operator.quantities.instants import Instant, parse_instant


@dataclass(frozen=True, slots=True)
class Bounds:
    """What values may be; `unit` says of what."""

    least: float
    most: float
    unit: str


INTENSITY = Bounds(0, MAX_GRAMS_PER_KWH, "gCO2e/kWh")
PRICE = Bounds(-100_000, 100_000, "currency per MWh")
"""European auctions end at -500 and 5000 EUR/MWh; other currencies are smaller."""


def read_trace(path: str, column: str | None, bounds: Bounds) -> list[tuple[Instant, float]]:
    """The starts and the values of the rows of a CSV file with a header row.

    The first column is the start of each row, an instant with its offset, ascending; `column`
    names the one with the values, by default the second. An empty cell is a gap, NaN.
    Raises CommandError with file, line and column.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return list(_points(file, path, column, bounds))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} must be text in UTF-8") from error
    except csv.Error as error:
        raise CommandError(f"{path} must be comma-separated values: {error}") from error


def _points(
    lines: Iterable[str], path: str, column: str | None, bounds: Bounds
) -> Iterator[tuple[Instant, float]]:
    rows = csv.reader(lines, strict=True)
    header: list[str] = next(rows, [])
    index = _index([name.strip() for name in header], path, column)
    last: Instant | None = None
    for cells in rows:
        if not cells:
            continue
        place = f"{path}, line {rows.line_num}"
        start = _instant(cells[0].strip(), f"{place}, column {header[0].strip()!r}")
        if last is not None and start <= last:
            raise CommandError(f"{place}: each row must be later than the row before")
        cell = cells[index].strip() if index < len(cells) else ""
        yield start, _value(cell, bounds, f"{place}, column {header[index].strip()!r}")
        last = start


def _index(names: list[str], path: str, column: str | None) -> int:
    if len(names) < 2:
        raise CommandError(f"{path} must have a header with at least two columns")
    if column is None:
        return 1
    if column not in names[1:]:
        raise CommandError(f"{path} has no column {column!r}; it has {', '.join(names[1:])}")
    return names.index(column, 1)


def _instant(cell: str, place: str) -> Instant:
    try:
        return parse_instant(cell)
    except ValueError as error:
        raise CommandError(f"{place}: must be an ISO 8601 instant with its offset") from error


def _value(cell: str, bounds: Bounds, place: str) -> float:
    if not cell:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not bounds.least <= value <= bounds.most:  # NaN is not
        raise CommandError(
            f"{place}: must be a number from {bounds.least} to {bounds.most}, in {bounds.unit}"
        )
    return value
