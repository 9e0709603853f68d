"""PromQL as the lint of dashboards and rules sees it: which series a query touches, and how."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql

from carbonaware_agent.serving.families import METRICS
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics
from deploy.monitoring.recording import RULES

# What a viewer's dashboard puts in place of Grafana's variables.
VARIABLES = {
    "$__rate_interval": "5m",
    "$__range": "1h",
    "$datasource": "prometheus",
    "$namespace": ".*",
    "$zone": ".*",
    "$node": ".*",
}
# Labels that the scrape adds; `honorLabels` lets a metric's own win.
TARGET = {"job", "instance", "namespace", "pod", "node"}
_PARTS = {"_bucket": ("le",), "_sum": (), "_count": ()}


@dataclass(frozen=True, slots=True)
class Series:
    """A metric that can be asked for. kind: counter, gauge, or recorded."""

    kind: str
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Use:
    """One selector of a query. functions: those around it, the outermost first."""

    name: str
    matchers: frozenset[str]
    functions: tuple[str, ...]
    grouped_by: frozenset[str]


def filled_in(query: str, variables: dict[str, str] | None = None) -> str:
    """A panel's query as Grafana sends it."""
    for name, value in (VARIABLES | (variables or {})).items():
        query = query.replace(name, value)
    return query


def uses(query: str) -> list[Use]:
    """Every selector of a query."""
    return list(_uses(promql.parse(filled_in(query)), (), frozenset()))


def recipes(namespace: str = "ml") -> list[str]:
    """The queries that docs/monitoring.md gives to a team, for its namespace."""
    page = (Path(__file__).parent.parent / "docs/monitoring.md").read_text()
    section = page.partition("## For your team")[2].partition("\n## ")[0]
    found = re.findall(r"`([^`]*\([^`]*\{[^`]*)`", section)
    return [query.replace('namespace="ml"', f'namespace="{namespace}"') for query in found]


def selectors(query: str) -> list[str]:
    """The text of every selector of a query."""
    found: list[str] = []

    def note(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(node.prettify())
        return True

    promql.walk(promql.parse(query), note)
    return found


def result_labels(query: str) -> frozenset[str] | None:
    """Labels of what a query answers; None where that cannot be told from its outside."""
    match promql.parse(filled_in(query)):
        case promql.AggregateExpr(modifier=by):
            return frozenset(by.labels) if by else frozenset()
        case promql.ParenExpr(expr=inner) | promql.UnaryExpr(expr=inner):
            return result_labels(inner.prettify())
        case promql.BinaryExpr(lhs=left, rhs=promql.NumberLiteral()):
            return result_labels(left.prettify())
        case _:
            return None


def _uses(node: Any, functions: tuple[str, ...], by: frozenset[str]) -> Iterator[Use]:
    match node:
        case promql.VectorSelector():
            names = frozenset(matcher.name for matcher in node.matchers.matchers)
            yield Use(node.name, names, functions, by)
        case promql.MatrixSelector():
            yield from _uses(node.vector_selector, functions, by)
        case promql.SubqueryExpr() | promql.ParenExpr() | promql.UnaryExpr():
            yield from _uses(node.expr, functions, by)
        case promql.AggregateExpr():
            labels = frozenset(node.modifier.labels if node.modifier else ())
            yield from _uses(node.expr, (*functions, str(node.op)), by | labels)
        case promql.Call():
            for argument in node.args:
                yield from _uses(argument, (*functions, node.func.name), by)
        case promql.BinaryExpr():
            matching = node.modifier.matching if node.modifier else None
            labels = by | frozenset(matching.labels if matching else ())
            yield from _uses(node.lhs, functions, labels)
            yield from _uses(node.rhs, functions, labels)


def known_series() -> dict[str, Series]:
    """Every metric that operator and agents show, and every recorded one."""
    known = {"up": Series("gauge", frozenset())}
    operator = OperatorMetrics(JobStore(), ZoneStore(), "0")
    for family in operator.registry.collect():
        labels = operator.labels_of(family.name)
        if family.type == "histogram":
            for part, more in _PARTS.items():
                known[family.name + part] = Series("counter", frozenset((*labels, *more)))
        else:
            name = family.name + ("_total" if family.type == "counter" else "")
            known[name] = Series(family.type, frozenset(labels))
    known |= {f.name: Series(f.kind, frozenset(f.labels)) for f in METRICS}
    return known | {
        r.record: Series("recorded", result_labels(r.expr) or frozenset()) for r in RULES
    }
