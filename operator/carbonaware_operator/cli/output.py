"""Tables for people, JSON and YAML for programs; colour only on a terminal that wants it."""

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

MISSING = "-"

_STYLES = {
    "Held": "yellow",
    "Suspended": "yellow",
    "Running": "green",
    "Failed": "red",
    "no": "red",
    "holds": "yellow",
    "fails": "red",
    "starts": "green",
    "pass": "green",
}

# Lines are never folded: a terminal wraps what is too long, and a pipe gets one object per line.
_WIDTH = 10_000


def print_document(document: dict[str, Any], form: str) -> None:
    """Write a document to stdout as `json` or `yaml`."""
    if form == "yaml":
        sys.stdout.write(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 0) -> None:
    """Write an aligned table to stdout; an empty header is left out."""
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 3, 0, 0),
        show_header=bool(header),
        header_style="none",
    )
    width = len(rows[0]) if rows else len(header)
    for name in header or [""] * width:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console = _console(sys.stdout)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(" " * indent + line.rstrip() + "\n")


def print_line(text: str = "") -> None:
    """Write one line to stdout."""
    sys.stdout.write(printable(text) + "\n")


def print_note(text: str) -> None:
    """Write one line to stderr, so that stdout holds nothing but the answer."""
    sys.stderr.write(printable(text) + "\n")


def printable(text: str) -> str:
    """Text without control characters: what objects say must not drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _cell(value: str) -> Text:
    return Text(printable(value), style=_STYLES.get(value, ""))


def _console(stream: TextIO) -> Console:
    return Console(file=stream, width=_WIDTH, highlight=False)
