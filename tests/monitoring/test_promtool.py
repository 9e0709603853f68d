"""Recording rules and alerts as Prometheus itself reads and evaluates them."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.monitoring.alerts import ALERTS, Alert

ROOT = Path(__file__).parents[2]
RULES = ROOT / "helm/carbonaware/rules"
CASES = Path(__file__).parent / "rules.test.yaml"


@pytest.fixture(scope="module")
def promtool() -> str:
    """The program of Debian's package prometheus."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: `python -m testbed deps` installs Debian's package prometheus")
    return found


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_can_read_the_rules(promtool: str) -> None:
    """Names, expressions and templates."""
    assert "SUCCESS" in _run(promtool, "check", "rules", *map(str, sorted(RULES.glob("*.yaml"))))


def test_each_alert_fires_when_it_should_and_only_then(promtool: str) -> None:
    """The cases are in `rules.test.yaml`, with the texts that are sent."""
    _run(promtool, "test", "rules", str(CASES))


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_each_alert_has_a_case_of_either_kind(alert: Alert) -> None:
    """One that fires and one that does not."""
    cases = [
        bool(case.get("exp_alerts"))
        for test in yaml.safe_load(CASES.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert.name
    ]
    assert {True, False} == set(cases)
