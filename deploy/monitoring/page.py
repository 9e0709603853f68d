"""The reference of dashboards, alerts and recording rules, made from them."""

from collections.abc import Iterable, Iterator, Sequence

from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.board import Board, Panel
from deploy.monitoring.recording import RULES

_HEAD = """# Dashboards, alerts and recording rules

Generated from the code by `make generate`; do not edit. [Monitoring](monitoring.md) says how to
load them.
"""


def rendered(boards: Sequence[Board]) -> str:
    """The page, as Markdown."""
    parts = [_HEAD, *map(_board, boards), _alerts(), _recording()]
    return "\n".join(parts)


def _board(board: Board) -> str:
    rows = (_panel(panel) for panel in board.panels)
    table = _table(("panel", "question it answers", "unit", "query"), rows)
    return f"## {board.title.rpartition('/ ')[2]}\n{board.description}\n\n{table}"


def _panel(panel: Panel) -> Iterator[str]:
    yield f"[{panel.title}]({panel.more})"
    yield panel.question
    yield panel.unit.word
    yield "<br>".join(f"`{query.expr}`" for query in panel.queries)


def _alerts() -> str:
    rows = (
        (f"[{a.name}]({a.runbook.removeprefix('docs/')})", a.severity.value, a.hold, f"`{a.expr}`")
        for a in ALERTS
    )
    return "## Alerts\n" + _table(("alert and runbook", "severity", "for", "expression"), rows)


def _recording() -> str:
    rows = ((f"`{rule.record}`", rule.meaning, f"`{rule.expr}`") for rule in RULES)
    return "## Recording rules\n" + _table(("series", "meaning", "expression"), rows)


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---"] * len(head), *(tuple(row) for row in rows)]
    # A bar inside a cell would end it.
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
