"""Manifests and documents of the pages, by what reads them: the API server or the agent."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbonaware_agent.sources.curve_file import CurveFileError, read_calibrations
from chart_builders import text_of
from documents import Block, pages
from testbed.cluster import Cluster

BLOCKS = [block for page in pages() for block in page.blocks]
MANIFESTS = [block for block in BLOCKS if block.is_manifest]
FOREIGN = ("argoproj.io/", "monitoring.coreos.com/", "kind.x-k8s.io/")


def is_foreign(manifest: dict[str, Any]) -> bool:
    """Whether a plain API server with our definitions does not know its kind."""
    return manifest["apiVersion"].startswith(FOREIGN)


@pytest.mark.api
def test_the_api_server_accepts_every_object(cluster: Cluster):
    """`--dry-run=server --validate=strict`: no field is unknown, no rule is broken."""
    ours = {block.where: [m for m in block.manifests if not is_foreign(m)] for block in MANIFESTS}
    for name in {m["metadata"].get("namespace", "default") for ms in ours.values() for m in ms}:
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])

    for where, objects in ours.items():
        if objects:
            flags = ("--dry-run=server", "--validate=strict")
            print(where)  # pytest shows the last one when it is refused
            cluster.kubectl("create", *flags, "-f", "-", input=yaml.safe_dump_all(objects))


def test_objects_of_other_projects_have_the_structure_of_an_object():
    """By structure alone: their definitions are not part of the testbed."""
    for manifest in (each for block in MANIFESTS for each in filter(is_foreign, block.manifests)):
        assert manifest["kind"]
        assert manifest["kind"] == "Cluster" or manifest["metadata"]["name"]
        assert isinstance(manifest.get("spec", {}), dict)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.is_values], ids=lambda block: block.where)
def test_the_chart_takes_values(block: Block, tmp_path: Path):
    """Its schema is closed: a misspelt value is refused."""
    (tmp_path / "values.yaml").write_text(block.text)
    image = ("--set", "image.repository=registry.example.com/carbonaware")

    assert text_of(tmp_path / "values.yaml", *image)


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "json"], ids=lambda block: block.where
)
def test_a_document_of_an_agents_curve_is_read_by_the_agent(block: Block, tmp_path: Path):
    """The one kind of JSON that users write by hand."""
    (tmp_path / "curve.json").write_text(json.dumps(json.loads(block.text)))

    (read,) = read_calibrations(tmp_path)

    assert not isinstance(read, CurveFileError), read
