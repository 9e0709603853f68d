"""The chart's README: how to install it, and a table of its values."""

import json
from collections.abc import Sequence
from pathlib import Path

from deploy.chart.values import Entry

_HEAD = Path(__file__).with_name("readme_head.md")
_LONGEST_DEFAULT = 60


def rendered(entries: Sequence[Entry]) -> str:
    """The page as Markdown."""
    lines = [_HEAD.read_text().rstrip(), "", "## Values"]
    for entry in entries:
        if len(entry.path) == 1:
            lines += _section(entry, [e for e in entries if e.path[0] == entry.path[0]])
    return "\n".join(lines) + "\n"


def _section(top: Entry, entries: Sequence[Entry]) -> list[str]:
    head = ["", f"### {top.path[0]}", "", *([top.text, ""] if top.is_group else [])]
    rows = [_row(entry) for entry in entries if not entry.is_group or entry is not top]
    return [*head, "| value | default | |", "| --- | --- | --- |", *rows]


def _row(entry: Entry) -> str:
    default = "**required**" if entry.required else _shown(entry)
    text = entry.text.replace("|", "\\|")
    return f"| `{'.'.join(entry.path)}` | {default} | {text} |"


def _shown(entry: Entry) -> str:
    if entry.is_group:
        return ""
    text = json.dumps(entry.default)
    return f"`{text}`" if len(text) <= _LONGEST_DEFAULT else "see values.yaml"
