"""Chart.yaml: the project's version, and what Artifact Hub shows."""

import tomllib
from pathlib import Path

import yaml

from carbonaware_operator.api import crds

_ROOT = Path(__file__).parents[2]
_HEAD = Path(__file__).with_name("chart_head.yaml")
_DESCRIPTIONS = {
    "CarbonAwareJob": "A Job that is held until the grid is clean",
    "CarbonZone": "An electricity grid zone: where its carbon intensity and prices come from",
}


def rendered() -> str:
    """The file, with version and annotations."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load(_HEAD.read_text())
    chart |= {"version": project["version"], "appVersion": project["version"]}
    chart["annotations"] = {
        "artifacthub.io/category": "monitoring-logging",
        "artifacthub.io/license": project["license"],
        "artifacthub.io/operator": "true",
        "artifacthub.io/crds": yaml.safe_dump(_crds(), sort_keys=False),
        "artifacthub.io/crdsExamples": yaml.safe_dump(chart.pop("examples"), sort_keys=False),
    }
    head = "# Generated from deploy/chart and pyproject.toml by `make generate`; do not edit.\n"
    return head + yaml.safe_dump(chart, sort_keys=False, width=100)


def _crds() -> list[dict[str, str]]:
    kinds = [document["spec"] for document in crds.documents().values()]
    return [
        {
            "kind": spec["names"]["kind"],
            "version": version["name"],
            "name": f"{spec['names']['plural']}.{spec['group']}",
            "displayName": spec["names"]["kind"],
            "description": _DESCRIPTIONS[spec["names"]["kind"]],
        }
        for spec in kinds
        for version in spec["versions"]
    ]
