"""Recording rules and alerts: sound in themselves, and explained."""

import re
from pathlib import Path

import pytest

from deploy.monitoring.alerts import ALERTS, Alert
from deploy.monitoring.recording import RULES, Recording
from promql import TARGET, known_series, result_labels, uses

ROOT = Path(__file__).parents[2]
KNOWN = known_series()
RATES = {"rate", "increase", "irate"}

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.record)


class TestAlert:
    @each_alert
    def test_has_a_runbook_of_its_own(self, alert: Alert) -> None:
        """What it means, how to check, what to do."""
        text = (ROOT / alert.runbook).read_text()

        assert text.startswith(f"# {alert.name}\n")
        assert ["## Meaning", "## Check", "## Act"] == re.findall("^## .*$", text, re.MULTILINE)
        assert "```console\n$ " in text

    @each_alert
    def test_says_what_happened_and_what_follows(self, alert: Alert) -> None:
        """The summary in one line, the description in sentences."""
        assert 10 < len(alert.summary) < 100
        assert alert.description.endswith(".")

    @each_alert
    def test_waits_for_more_than_one_scrape(self, alert: Alert) -> None:
        """What is gone for one scrape, as at a restart of Prometheus, wakes nobody."""
        assert re.fullmatch(r"[1-9][0-9]*[mh]", alert.hold)
        assert alert.hold != "1m"

    @each_alert
    def test_compares(self, alert: Alert) -> None:
        """An expression without comparison fires as long as it has a value."""
        assert re.search(r"[<>]|==|absent", alert.expr)

    @each_alert
    def test_speaks_only_of_labels_that_are_left(self, alert: Alert) -> None:
        """A label that the expression sums away prints as nothing."""
        left = result_labels(alert.expr)
        said = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description))

        assert said <= (TARGET if left is None else left)


class TestRecording:
    @each_rule
    def test_is_named_by_level_metric_and_operation(self, rule: Recording) -> None:
        """`level:metric:operation`, the level being what it is summed by."""
        level, metric, operation = rule.record.split(":")

        assert level in (result_labels(rule.expr) or ())
        assert any(
            metric in (use.name, f"{use.name.removesuffix('_total')}") for use in uses(rule.expr)
        )
        assert operation in ("sum", "min", "rate5m")

    @each_rule
    def test_feeds_a_dashboard(self, rule: Recording) -> None:
        """A series that nobody reads costs memory for nothing."""
        boards = (ROOT / "helm/carbonaware/dashboards").glob("*.json")

        assert any(rule.record in board.read_text() for board in boards)

    @each_rule
    def test_reads_series_and_labels_that_exist(self, rule: Recording) -> None:
        """Counters by their rate, gauges of replicas by their extreme."""
        for use in uses(rule.expr):
            series = KNOWN[use.name]
            assert use.grouped_by <= series.labels | TARGET
            assert (series.kind == "counter") == bool(RATES & set(use.functions))
            if series.kind == "gauge":
                assert {"max", "min"} & set(use.functions)
