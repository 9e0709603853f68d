"""Measured loads and powers from a CSV file, with errors that name line and column."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from carbonaware_agent.calibration.models import PowerRow

_FEWEST_ROWS = 5


class BadTableError(Exception):
    """The table cannot be used; the message names the line and the column."""


def read_rows(file: Path, load_column: str, power_column: str) -> list[PowerRow]:
    """The rows of a file whose first line names its columns; lines that begin with # are skipped.

    Loads are shares of 0 to 1, or percent where the column's name contains `percent` or `%`.
    Raises BadTableError, or OSError: the file cannot be read.
    """
    divisor = 100 if "percent" in load_column.lower() or "%" in load_column else 1
    rows = []
    for line, fields in _lines(file, load_column, power_column):
        load = _number(fields.get(load_column), line, load_column) / divisor
        watts = _number(fields.get(power_column), line, power_column)
        if not 0 <= load <= 1:
            raise BadTableError(
                f"line {line}, column {load_column}: {fields[load_column]} must be 0 to {divisor}"
                " (a column in percent must have `percent` or `%` in its name)"
            )
        if watts <= 0:
            raise BadTableError(f"line {line}, column {power_column}: {watts:g} must be above 0")
        rows.append(PowerRow(load, watts))
    if len(rows) < _FEWEST_ROWS:
        raise BadTableError(f"{file} has {len(rows)} rows; at least {_FEWEST_ROWS} are needed")
    return rows


def _lines(file: Path, *columns: str) -> Iterator[tuple[int, dict[str, str]]]:
    with file.open(encoding="utf-8", newline="") as opened:
        reader = csv.reader(opened)
        header: list[str] | None = None
        for fields in reader:
            if not fields or fields[0].startswith("#"):
                continue
            if header is None:
                header = [field.strip() for field in fields]
                _require(header, columns)
            else:
                yield reader.line_num, dict(zip(header, fields, strict=False))


def _require(header: list[str], columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in header:
            raise BadTableError(f"there is no column {column}; there are: {', '.join(header)}")


def _number(text: str | None, line: int, column: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadTableError(f"line {line}, column {column}: {text!r} is not a number")
    return value
