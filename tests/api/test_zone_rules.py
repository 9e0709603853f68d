"""The CarbonZone CRD on a real API server: averages for accounting, and what it refuses."""

import json
from typing import Any
from uuid import uuid4

import pytest

from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

STATIC = {"type": "Static", "static": {"gramsPerKWh": 300}}
WATT_TIME = {"region": "CAISO_NORTH", "secretRef": {"name": "watttime"}}
PROMETHEUS = {"url": "http://prometheus:9090", "query": "grid"}
SDK = {"url": "http://sdk", "location": "westus"}


def watt_time(**fields: Any) -> dict[str, Any]:
    """A WattTime source, marginal unless told otherwise."""
    return {"type": "WattTime", "wattTime": WATT_TIME | fields}


MARGINAL = {
    "WattTime by default": watt_time(),
    "WattTime": watt_time(signal="Marginal"),
    "Prometheus": {"type": "Prometheus", "prometheus": PROMETHEUS | {"signal": "Marginal"}},
    "Carbon Aware SDK": {"type": "CarbonAwareSDK", "carbonAwareSDK": SDK | {"signal": "Marginal"}},
    "ConfigMap": {"type": "ConfigMap", "configMap": {"signal": "Marginal"}},
}
AVERAGE = {
    "Static": STATIC,
    "WattTime": watt_time(signal="Average"),
    "Prometheus": {"type": "Prometheus", "prometheus": PROMETHEUS | {"signal": "Average"}},
    "Carbon Aware SDK": {"type": "CarbonAwareSDK", "carbonAwareSDK": SDK | {"signal": "Average"}},
    "ConfigMap": {"type": "ConfigMap", "configMap": {"signal": "Average"}},
}


def dry_run(cluster: Cluster, **spec: Any) -> dict[str, Any]:
    """What the API server would store; raises KubectlError with its refusal."""
    manifest = {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {"name": f"test-{uuid4().hex[:8]}"},
        "spec": spec,
    }
    answer = cluster.kubectl(
        "create", "--dry-run=server", "-o", "json", "-f", "-", input=json.dumps(manifest)
    )
    stored: dict[str, Any] = json.loads(answer)
    return stored


@pytest.mark.parametrize("name", MARGINAL)
class TestMarginalSource:
    def test_needs_an_accounting_source(self, cluster: Cluster, name: str):
        """Emissions are priced with averages only."""
        with pytest.raises(KubectlError, match="must have `accountingSource` when `source` gives"):
            dry_run(cluster, source=MARGINAL[name])

    def test_is_taken_with_one(self, cluster: Cluster, name: str):
        """The average beside it prices."""
        stored = dry_run(cluster, source=MARGINAL[name], accountingSource=STATIC)

        assert STATIC == stored["spec"]["accountingSource"]

    def test_is_no_accounting_source(self, cluster: Cluster, name: str):
        """Whatever the decision signal is."""
        with pytest.raises(KubectlError, match="`accountingSource` must give average intensity"):
            dry_run(cluster, source=STATIC, accountingSource=MARGINAL[name])


@pytest.mark.parametrize("name", AVERAGE)
def test_an_average_needs_no_other_source_and_may_be_one(cluster: Cluster, name: str):
    """It decides and it prices."""
    dry_run(cluster, source=AVERAGE[name])
    dry_run(cluster, source=STATIC, accountingSource=AVERAGE[name])


BAD = {
    "a member of another type": (
        {"source": {**STATIC, "type": "Recording"}}, "must have the member that `type` names"),
    "an accounting source without its member": (
        {"source": STATIC, "accountingSource": {"type": "Static"}}, "spec.accountingSource"),
    "a region without a name": ({"source": STATIC, "regions": [""]}, "spec.regions"),
    "too many regions": ({"source": STATIC, "regions": ["eu-central-1"] * 65}, "spec.regions"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refuses(cluster: Cluster, name: str):
    """With words that name the field."""
    spec, says = BAD[name]

    with pytest.raises(KubectlError, match=says):
        dry_run(cluster, **spec)
