"""The examples work when they are applied in the order of their names."""

import json
from pathlib import Path

import pytest
import yaml

from carbonaware_operator.api.job import CarbonAwareJob
from carbonaware_operator.api.zone import CarbonZone
from carbonaware_operator.grid.recording import read_series
from testbed.demo.day import typical_day

FILES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
MODELS = {"CarbonAwareJob": CarbonAwareJob, "CarbonZone": CarbonZone}


def bodies(file):
    """The objects of one file."""
    return list(yaml.safe_load_all(file.read_text()))


def test_set_no_field_that_the_api_does_not_know():
    """A field that is misspelt would be dropped in silence."""
    ours = [body for file in FILES for body in bodies(file) if body["kind"] in MODELS]

    assert 6 == len(ours)
    for body in ours:
        read = MODELS[body["kind"]].model_validate(body)
        assert body["spec"] == read.model_dump(by_alias=True, exclude_none=True)["spec"]


def test_play_the_typical_day_of_the_demo():
    """Who has seen the demo finds the same day."""
    recording = next(body for body in bodies(FILES[0]) if body["kind"] == "ConfigMap")

    series = read_series(recording["data"]["day.csv"], None, origin="day.csv")

    assert [grams * 1000 for grams in typical_day().grams] == list(series.values)


@pytest.mark.api
def test_are_accepted_by_a_real_api_server(cluster, namespace):
    """Strictly. Jobs go to the namespace that kubectl is in; the zone brings its own along."""
    cluster.kubectl("apply", "--validate=strict", "-f", str(FILES[0]))
    for file in FILES[1:]:
        cluster.kubectl("apply", "-n", namespace, "--validate=strict", "-f", str(file))

    jobs = json.loads(cluster.kubectl("get", "carbonawarejobs", "-n", namespace, "-o", "json"))
    assert 5 == len(jobs["items"])
    cluster.kubectl("delete", "carbonzone", "typical-day")
