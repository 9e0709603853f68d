"""Every panel of every dashboard, held to what peers' linters ask and to what ours should.

The rules are those of Grafana's dashboard-linter and of pint that catch a panel which is empty,
wrong or unreadable, applied to the files that are shipped.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.monitoring.__main__ import files
from promql import TARGET, Use, known_series, uses

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "helm/carbonaware/dashboards"
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
KNOWN = known_series()
SOURCE = {"type": "prometheus", "uid": "$datasource"}
RATES = {"rate", "increase", "irate"}

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def queries(board: dict[str, Any]) -> list[str]:
    """All queries of a board, those of its annotations too."""
    panels = [t["expr"] for p in board["panels"] for t in p.get("targets", ())]
    return panels + [a["expr"] for a in board["annotations"]["list"]]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of a board without the headings of its rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def offenders(board: dict[str, Any], allowed: Callable[[Use], bool]) -> list[tuple[str, Use]]:
    """The selectors of a board's queries that a rule does not allow, with their query."""
    return [(text, u) for text in queries(board) for u in uses(text) if not allowed(u)]


@pytest.mark.parametrize("path", files(), ids=str)
def test_the_shipped_file_is_what_the_code_says(path: Path) -> None:
    """After a change of the code, `make generate` writes it anew."""
    assert files()[path] == (ROOT / path).read_text()


class TestBoard:
    def test_there_are_four(self) -> None:
        """Overview, Jobs and namespaces, Nodes and GPUs, Operator health."""
        assert set(BOARDS) == {
            f"carbonaware-{name}" for name in ("overview", "jobs", "nodes", "operator")
        }

    @each_board
    def test_cannot_be_edited_where_an_upgrade_would_undo_it(self, board: dict[str, Any]) -> None:
        """Who wants another board copies it."""
        assert board["editable"] is False

    @each_board
    def test_names_no_data_source(self, board: dict[str, Any]) -> None:
        """`__inputs` fail where a sidecar loads the file; a variable does not."""
        assert "__inputs" not in board
        text = json.dumps(board)
        assert text.count('"uid": "$datasource"') == text.count('"type": "prometheus"')

    @each_board
    def test_marks_releases_on_its_time_axis(self, board: dict[str, Any]) -> None:
        """So that a step in power or emissions has its cause beside it."""
        (releases,) = board["annotations"]["list"]

        assert releases["enable"]
        assert ":carbonaware_job_releases:" in releases["expr"]

    @each_board
    def test_has_variables_that_follow_the_time_range(self, board: dict[str, Any]) -> None:
        """A namespace of last week can be chosen when last week is shown; several, or all."""
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                assert (2, True, True) == (
                    variable["refresh"],
                    variable["multi"],
                    variable["includeAll"],
                )
                metric, label = re.findall(r"[\w:]+", variable["query"])[1:]
                assert label in KNOWN[metric].labels | TARGET

    @each_board
    def test_lays_no_panel_on_another(self, board: dict[str, Any]) -> None:
        """Each cell of the grid belongs to one panel."""
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in board["panels"])
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])

    @each_board
    def test_can_lie_in_a_config_map(self, board: dict[str, Any]) -> None:
        """Which holds one mebibyte; and nothing in it is null, which Grafana's schema refuses."""
        text = json.dumps(board)

        assert len(text) < 2**20
        assert "null" not in text


class TestPanel:
    @each_board
    def test_says_what_it_answers(self, board: dict[str, Any]) -> None:
        """A title, a question, a unit."""
        for panel in panels(board):
            assert panel["title"]
            assert "?" in panel["description"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"] not in ("", "none"), panel["title"]

    @each_board
    def test_links_to_a_page_that_exists(self, board: dict[str, Any]) -> None:
        """Documentation or runbook; where they lie is the variable `docs`."""
        for panel in panels(board):
            (link,) = panel["links"]
            folder, _, page = link["url"].partition("/")
            assert folder == "${docs}", panel["title"]
            assert (ROOT / "docs" / page).is_file(), panel["title"]
        assert "docs" in [variable["name"] for variable in board["templating"]["list"]]

    @each_board
    def test_asks_the_chosen_data_source(self, board: dict[str, Any]) -> None:
        """The panel and each of its queries; each query names what it shows."""
        for panel in panels(board):
            assert panel["targets"], panel["title"]
            assert all(each["datasource"] == SOURCE for each in (panel, *panel["targets"]))
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]

    @each_board
    def test_follows_every_variable_of_its_board(self, board: dict[str, Any]) -> None:
        """A panel that ignores the filter shows what the viewer did not choose."""
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                matcher = '{0}=~"${0}"'.format(variable["name"])
                expressions = [t["expr"] for panel in panels(board) for t in panel["targets"]]
                assert [] == [each for each in expressions if matcher not in each]


class TestQuery:
    @each_board
    def test_has_no_interval_of_its_own(self, board: dict[str, Any]) -> None:
        """`[5m]` is empty where the scrape interval is longer; `$__rate_interval` is not."""
        found = {each for text in queries(board) for each in re.findall(r"\[([^\]]*)\]", text)}

        assert found <= {"$__rate_interval", "$__range:1m"}

    @each_board
    def test_asks_for_series_that_exist(self, board: dict[str, Any]) -> None:
        """Of operator or agent, or recorded by a rule."""
        assert [] == offenders(board, lambda use: use.name in KNOWN)

    @each_board
    def test_uses_labels_that_its_series_have(self, board: dict[str, Any]) -> None:
        """In matchers and groupings; a label that is not there silently matches nothing."""

        def allowed(use: Use) -> bool:
            series = KNOWN[use.name]
            labels = series.labels | (set() if series.kind == "recorded" else TARGET)
            # Nobody knows what the scrape job of an installation is called.
            return use.matchers <= labels - {"job", "instance"} and use.grouped_by <= labels

        assert [] == offenders(board, allowed)

    @each_board
    def test_takes_the_rate_of_counters_and_of_nothing_else(self, board: dict[str, Any]) -> None:
        """A raw counter shows when it was last reset; a gauge has no rate, nor has a sum."""

        def allowed(use: Use) -> bool:
            if KNOWN[use.name].kind == "counter":
                return bool(RATES & set(use.functions[-1:]))
            return not RATES & set(use.functions)

        assert [] == offenders(board, allowed)
