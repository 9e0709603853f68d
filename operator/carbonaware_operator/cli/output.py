"""Tables for people, JSON and YAML for programs; colour only on a terminal that wants it."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "-"
DOCUMENTS = ("json", "yaml")
"""The forms of output that are for programs."""

_GAP = "   "
_COLOURS = {
    "Held": "33",
    "Starting": "33",
    "Suspending": "33",
    "Suspended": "33",
    "Running": "32",
    "Failed": "31",
    "no": "31",
    "holds": "33",
    "fails": "31",
    "starts": "32",
    "pass": "32",
}
"""Words -> parameters of the escape sequence SGR: 31 red, 32 green, 33 yellow."""


def print_document(document: dict[str, Any], form: str) -> None:
    """Write a document to stdout as `json` or `yaml`."""
    if form == "yaml":
        import yaml  # a sixth of the start-up time of commands that print a table

        sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths of a table's columns, kept so that later rows stand under the first."""

    widths: tuple[int, ...]

    def line(self, cells: Sequence[str], *, coloured: bool = False) -> str:
        """One row. Lines are never folded: a terminal wraps them, a pipe gets a row per line."""
        texts = [printable(cell) for cell in cells]
        padded = [
            _painted(text, coloured) + " " * (width - len(text))
            for text, width in zip(texts, self.widths, strict=True)
        ]
        return _GAP.join(padded).rstrip()


def columns_of(rows: Sequence[Sequence[str]]) -> Columns:
    """The columns into which all of these rows fit."""
    return Columns(
        tuple(max(len(printable(cell)) for cell in column) for column in zip(*rows, strict=True))
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 0) -> Columns:
    """Write an aligned table to stdout; an empty header is left out."""
    columns = columns_of([header, *rows] if header else rows)
    if header:
        sys.stdout.write(" " * indent + columns.line(header) + "\n")
    print_rows(columns, rows, indent)
    return columns


def print_rows(columns: Columns, rows: Sequence[Sequence[str]], indent: int = 0) -> None:
    """Write further rows of a table."""
    coloured = _wants_colour()
    for row in rows:
        sys.stdout.write(" " * indent + columns.line(row, coloured=coloured) + "\n")
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(printable(text) + "\n")


def print_note(text: str) -> None:
    """Write one line to stderr, so that stdout holds nothing but the answer."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    """Text without control characters: what objects say must not drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _painted(text: str, coloured: bool) -> str:
    colour = _COLOURS.get(text)
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured and colour else text


def _wants_colour() -> bool:
    """See https://no-color.org and https://force-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    )
