"""The reference page of the operator's metrics, made from them: `make generate` writes it."""

import sys
from pathlib import Path

from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics

HEAD = """# Metrics of the operator

Generated from the code by `make generate`; do not edit. Served on `/metrics` of `--listen`. Units
are base units, CO2e in
grams. No job name and no uid is a label: those are unbounded.

| name | type | labels | help |
| --- | --- | --- | --- |
"""


def rendered() -> str:
    """The page, as Markdown."""
    metrics = OperatorMetrics(JobStore(), ZoneStore(), "0")
    rows = []
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(metrics.labels_of(family.name)) or "-"
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return HEAD + "\n".join(sorted(rows)) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rendered())
