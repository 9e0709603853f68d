"""The reference page of the agent's metrics, made from their table: `make generate` writes it."""

import sys
from collections.abc import Iterable
from pathlib import Path

from carbonaware_agent.serving.families import ACCOUNTING, METRICS, Family

_HEAD = """# Metrics of the agent

Generated from the code by `make generate`; do not edit. Units are base units. Joules are exact
decimals with six digits, as the agent counts in whole microjoules. `domain` is a part of the node
(`package-0`, `dram-0`, `gpu/<uuid>`, `other`) on series of the node, and a kind of domain
(`package`, `dram`, `gpu/<uuid>`, `other`) on series of pods and owners. `source` says how the
energy is known, `boundary` what it includes: the chip, or the whole server at the wall.
"""
_PAGES = (
    (
        "For Prometheus: `/metrics`",
        "Owners are dropped six hours after their last pod ended, pods after ten minutes.",
        METRICS,
    ),
    (
        "For the operator: `/metrics/accounting?since=<unix seconds>`",
        "Marks of the periods that ended after `since`. Closed series stay for 30 days.",
        ACCOUNTING,
    ),
)
_COLUMNS = "| name | type | labels | help |\n| --- | --- | --- | --- |\n"


def rendered() -> str:
    """The page, as Markdown."""
    sections = (
        f"\n## {title}\n{text}\n\n{_COLUMNS}{''.join(_rows(families))}"
        for title, text, families in _PAGES
    )
    return _HEAD + "".join(sections)


def _rows(families: Iterable[Family]) -> Iterable[str]:
    for family in sorted(families, key=lambda family: family.name):
        labels = ", ".join(family.labels) or "-"
        yield f"| `{family.name}` | {family.kind} | {labels} | {family.text} |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rendered())
