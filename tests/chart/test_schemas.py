"""Every rendered object against the schemas of each Kubernetes version that is supported."""

import json
from functools import lru_cache

import pytest
from kubernetes_validate import utils

from chart_builders import CASES, objects

VERSIONS = [f"1.{minor}" for minor in range(30, 38)]
# Kinds without a schema of Kubernetes' own.
OTHERS = ("CarbonZone", "ServiceMonitor", "PodMonitor", "PrometheusRule")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rendered():
    """Every object of every case, each once."""
    found = {
        json.dumps(each, sort_keys=True): (case, each)
        for case in CASES
        for each in objects(case)
        if each["kind"] not in OTHERS
    }
    return list(found.values())


@pytest.fixture(scope="module", autouse=True)
def _schemas_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", lru_cache(utils.schema_contents))
        yield


@pytest.mark.parametrize("version", VERSIONS)
def test_is_valid(rendered, version):
    """No field that this version does not know, no value that it does not take."""
    wrong = []
    for case, each in rendered:
        try:
            assert version == utils.validate(each, version, strict=True)
        except utils.ValidationError as error:
            where = f"{case}: {each['kind']}/{each['metadata']['name']}"
            wrong.append(f"{where}: {'.'.join(map(str, error.path))}: {error.message}")

    assert [] == wrong
