"""What is generated is what its sources say now."""

import tomllib
from pathlib import Path

import yaml

from carbonaware_operator.api import crds
from chart_builders import CHART, objects
from deploy.chart.__main__ import rendered

ROOT = Path(__file__).parents[2]


def test_is_what_its_sources_say():
    """`make generate` changes nothing, and leaves no template of a definition that is gone."""
    wanted = rendered()
    written = {path.relative_to(CHART).as_posix() for path in CHART.glob("templates/crds/*")}

    assert [] == [path for path, text in wanted.items() if text != (CHART / path).read_text()]
    assert {path for path in wanted if path.startswith("templates/crds/")} == written


def test_installs_the_definitions_of_the_code():
    """What the chart renders is what crds/ holds, but for labels and the policy to keep it."""
    found = {
        each["metadata"]["name"]: each["spec"]
        for each in objects()
        if each["kind"] == "CustomResourceDefinition"
    }

    assert {d["metadata"]["name"]: d["spec"] for d in crds.documents().values()} == found


def test_is_of_the_projects_version():
    """Chart, application and package are released together."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (project, project) == (chart["version"], chart["appVersion"])
