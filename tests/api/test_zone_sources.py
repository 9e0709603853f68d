"""The CRD of CarbonZone on a real API server: the manifests of docs/providers.md, and faults."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

PAGE = (Path(__file__).parents[2] / "docs/providers.md").read_text()
MANIFESTS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
STATIC = {"type": "Static", "static": {"gramsPerKWh": 300}}
FLAT = {"currency": "EUR", "priceMicrosPerKWh": 100_000}
NIGHT = {"start": "22:00", "end": "06:00", "priceMicrosPerKWh": -1}


def a_prometheus(url: str) -> dict[str, Any]:
    """A source that asks a URL."""
    return {"type": "Prometheus", "prometheus": {"url": url, "query": "x", "signal": "Average"}}


@pytest.mark.parametrize(
    "url", ["http://prometheus.monitoring:9090", "https://[fd12::5]:9090/a/b", "http://10.0.0.5/"]
)
def test_hosts_of_every_kind_are_taken(cluster: Cluster, url: str):
    """Names of Services, addresses of both families, with a port and a path."""
    assert a_prometheus(url) == create(cluster, {"source": a_prometheus(url)})["source"]


def create(cluster: Cluster, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as the API server would store it; raises KubectlError with its refusal."""
    manifest = {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {"name": f"test-{uuid4().hex[:8]}"},
        "spec": spec,
    }
    answer = cluster.kubectl(
        "create",
        "--dry-run=server",
        "--validate=strict",
        "-o",
        "json",
        "-f",
        "-",
        input=json.dumps(manifest),
    )
    stored: dict[str, Any] = json.loads(answer)["spec"]
    return stored


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: m["metadata"]["name"])
def test_every_manifest_of_the_page_is_taken(cluster: Cluster, manifest: dict[str, Any]):
    """As it stands, with no field lost."""
    assert manifest["spec"] == create(cluster, manifest["spec"])


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"source": {"type": "EnergyCharts"}}, "must have the member that `type` names"),
        (
            {"source": STATIC | {"energyCharts": {"country": "de"}}},
            "must have the member that `type` names",
        ),
        (
            {"source": {"type": "UKCarbonIntensity", "ukCarbonIntensity": {}}},
            "must have exactly one of `regionId`, `postcode` and `national`",
        ),
        (
            {
                "source": {
                    "type": "UKCarbonIntensity",
                    "ukCarbonIntensity": {"regionId": 1, "national": True},
                }
            },
            "must have exactly one of `regionId`, `postcode` and `national`",
        ),
        (
            {"source": {"type": "UKCarbonIntensity", "ukCarbonIntensity": {"national": False}}},
            "`national` must be true when it is set",
        ),
        (
            {"source": {"type": "UKCarbonIntensity", "ukCarbonIntensity": {"postcode": "rg10"}}},
            "should match",
        ),
        (
            {
                "source": STATIC,
                "tariff": FLAT | {"periods": [NIGHT], "dayAhead": {"biddingZone": "FR"}},
            },
            "must have at most one of `periods` and `dayAhead`",
        ),
        (
            {
                "source": STATIC,
                "tariff": FLAT | {"periods": [NIGHT | {"timeZone": "Mars/Olympus"}]},
            },
            "must be an IANA time zone",
        ),
        ({"source": STATIC, "tariff": FLAT | {"currency": "eur"}}, "should match"),
        *[
            ({"source": a_prometheus(url)}, "without user, query or fragment")
            for url in (
                "http://user:pw@prometheus",
                "http://prometheus/?",
                "http://prometheus/#",
                "http://evil\\@prometheus",
                "http://",
            )
        ],
        (
            {
                "source": STATIC,
                "tariff": FLAT | {"dayAhead": {"biddingZone": "FR", "url": "http://x/?"}},
            },
            "without user, query or fragment",
        ),
    ],
)
def test_what_is_wrong_is_refused(cluster: Cluster, spec: dict[str, Any], says: str):
    """With a message that says what must hold."""
    with pytest.raises(KubectlError, match=re.escape(says)):
        create(cluster, spec)
