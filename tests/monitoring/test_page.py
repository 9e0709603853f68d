"""What docs/monitoring.md tells users to paste: queries and a Prometheus configuration."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from promql import TARGET, known_series, recipes, uses

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/monitoring.md").read_text()
KNOWN = known_series()


def test_there_are_recipes_for_five_questions() -> None:
    """One of them needs two queries."""
    assert 6 == len(recipes())


@pytest.mark.parametrize("query", recipes())
def test_a_recipe_asks_for_what_there_is(query: str) -> None:
    """Series and labels that exist, and counters by their increase."""
    for use in uses(query):
        series = KNOWN[use.name]
        assert use.matchers | use.grouped_by <= series.labels | TARGET
        assert series.kind == "counter"
        assert use.functions[-1] in ("increase", "rate")


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    """With the rule files beside it, as the page says.

    Debian builds Prometheus without discovery in Kubernetes: fixed targets stand in for it.
    """
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: `python -m testbed deps` installs Debian's package prometheus")
    (found,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    discovery = re.compile(r"kubernetes_sd_configs: \[.*\]$", re.MULTILINE)
    checkable = discovery.sub("static_configs: [{targets: []}]", found)
    (tmp_path / "prometheus.yaml").write_text(checkable)
    shutil.copytree(ROOT / "helm/carbonaware/rules", tmp_path / "carbonaware")

    argv = [promtool, "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
