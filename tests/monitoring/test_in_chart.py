"""Dashboards and rules as the chart renders them, with and without published documentation."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart_builders import objects

URL = "https://docs.example.org/carbonaware"


def rendered(docs_url: str) -> list[dict[str, Any]]:
    """The chart's objects with dashboards and rules on."""
    on = {"dashboards": {"enabled": True}, "prometheusRule": {"enabled": True}}
    return objects(monitoring={"docsUrl": docs_url, **on})


def dashboards(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The dashboards in ConfigMaps for Grafana's sidecar."""
    maps = [o for o in found if "grafana_dashboard" in o["metadata"].get("labels", {})]
    return [json.loads(text) for each in maps for text in each["data"].values()]


def rule_groups(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The groups of all PrometheusRules."""
    return [g for o in found if o["kind"] == "PrometheusRule" for g in o["spec"]["groups"]]


def runbooks(found: list[dict[str, Any]]) -> set[str]:
    """Where alerts send whom they wake."""
    rules = [rule for group in rule_groups(found) for rule in group["rules"]]
    return {r["annotations"]["runbook_url"].rpartition("/")[0] for r in rules if "alert" in r}


def links(board: dict[str, Any]) -> set[str]:
    """Where the links of a board's panels begin."""
    return {link["url"].partition("/")[0] for p in board["panels"] for link in p.get("links", ())}


class TestWithPublishedDocumentation:
    def test_links_begin_with_where_it_is(self) -> None:
        """The variable in front of them has that value; runbooks have it in full."""
        found = rendered(URL)

        boards = dashboards(found)
        assert 4 == len(boards)
        for board in boards:
            (docs,) = [v for v in board["templating"]["list"] if v["name"] == "docs"]
            assert (URL, {"${docs}"}) == (docs["query"], links(board))
        assert {f"{URL}/runbooks"} == runbooks(found)


class TestWithoutIt:
    def test_no_link_leads_nowhere(self) -> None:
        """Panels have none, and alerts name the path in the sources."""
        found = rendered("")

        assert [set()] * 4 == [links(board) for board in dashboards(found)]
        assert {"docs/runbooks"} == runbooks(found)


def test_prometheus_can_read_what_is_rendered(tmp_path: Path) -> None:
    """Templates of alerts survive Helm's own."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: `python -m testbed deps` installs Debian's package prometheus")
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": rule_groups(rendered(URL))}))

    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "{{ $labels.zone }}" in file.read_text()
