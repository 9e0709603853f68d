"""What a tenant with `edit` in a namespace can forge on a real API server, and what not."""

import json
from typing import Any

import pytest
import yaml

from builders import a_job_body
from carbonaware_operator.api import rights
from carbonaware_operator.api.rights import rules
from programs import eventually
from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

GROUP = "carbonaware.io"
FORBIDDEN = "forbidden|cannot"


class Tenant:
    """A user whom the administrator gave the cluster's own role `edit` in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self.namespace = cluster, namespace
        self.name = f"tenant-{namespace}"

    def kubectl(self, *arguments: str, body: dict[str, Any] | None = None) -> str:
        """Run kubectl as this user, in the namespace unless told otherwise."""
        place = () if "--namespace" in arguments else ("--namespace", self.namespace)
        text = json.dumps(body) if body else None
        return self._cluster.kubectl(*arguments, *place, f"--as={self.name}", input=text)

    def may(self, *what: str) -> bool:
        """What `kubectl auth can-i` says."""
        try:
            return self.kubectl("auth", "can-i", *what).strip() == "yes"
        except KubectlError:
            return False


@pytest.fixture
def tenant(cluster: Cluster, namespace: str) -> Tenant:
    """With the roles that the chart aggregates to `view` and `edit`."""
    aggregated = {"view": (rights.AGGREGATE_TO_VIEW, rights.VIEW)}
    aggregated["edit"] = (rights.AGGREGATE_TO_EDIT, rights.EDIT)
    roles = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": f"carbonaware-{name}", "labels": labels},
            "rules": rules(table),
        }
        for name, (labels, table) in aggregated.items()
    ]
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(roles))
    tenant = Tenant(cluster, namespace)
    bound = ("--clusterrole=edit", f"--user={tenant.name}", "--namespace", namespace)
    cluster.kubectl("create", "rolebinding", "tenant", *bound)
    eventually(lambda: tenant.may("create", f"carbonawarejobs.{GROUP}"), "the role is aggregated")
    return tenant


def a_manifest(**metadata: Any) -> dict[str, Any]:
    """A CarbonAwareJob that says of itself that it is done, and what it saved."""
    body = a_job_body("train", suspend=True)
    saved = {"energyJoules": 1, "avoidedEmissionsMilligrams": 10**9, "state": "Complete"}
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {"name": "train", **metadata},
        "spec": body["spec"],
        "status": saved,
    }


def test_writes_no_status(tenant: Tenant) -> None:
    """What a job used and saved is the operator's word: neither at creation nor later."""
    tenant.kubectl("create", "-f", "-", body=a_manifest())
    forged = ("patch", "carbonawarejob", "train", "--type=merge")
    change = json.dumps({"status": {"energyJoules": 1}})

    tenant.kubectl(*forged, "-p", change)
    with pytest.raises(KubectlError, match=FORBIDDEN):
        tenant.kubectl(*forged, "-p", change, "--subresource=status")

    found = json.loads(tenant.kubectl("get", "carbonawarejob", "train", "-o", "json"))
    assert "status" not in found


def test_reaches_no_further_than_the_namespace(tenant: Tenant) -> None:
    """Neither the grid, nor the keys of providers, nor what guards the operator."""
    system = ("--namespace", "carbonaware-system")
    for verb in ("create", "patch", "update", "delete"):
        assert not tenant.may(verb, f"carbonzones.{GROUP}")
        assert not tenant.may(verb, f"carbonzones.{GROUP}", "--subresource=status")
        assert not tenant.may(verb, f"carbonawarejobs.{GROUP}", "--subresource=status")
        assert not tenant.may(verb, f"carbonawarejobs.{GROUP}", "--subresource=finalizers")
        assert not tenant.may(verb, f"carbonawarejobs.{GROUP}", *system)
        assert not tenant.may(verb, "validatingadmissionpolicybindings")
        for kind in ("secrets", "configmaps", "leases.coordination.k8s.io", "pods"):
            assert not tenant.may(verb, kind, *system)
    assert not tenant.may("get", "secrets", *system)
    assert not tenant.may("get", "pods/proxy", *system)


def test_names_no_secret_of_another_namespace(cluster: Cluster) -> None:
    """A Secret with the name and the label of a provider's, elsewhere, is none: no zone names it.

    Zones have no field for a namespace of Secrets, and the operator's rights end at its own.
    """
    ref = {"name": "electricity-maps", "key": "token", "namespace": "ml-team"}
    zone = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {"name": "forged"},
        "spec": {
            "source": {
                "type": "ElectricityMaps",
                "electricityMaps": {"zone": "DE", "secretRef": ref},
            }
        },
    }

    with pytest.raises(KubectlError, match=r"unknown field.*namespace"):
        cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(zone))


def test_ends_no_job_of_another_namespace_as_its_owner(tenant: Tenant, cluster: Cluster) -> None:
    """An owner of another namespace is none, whatever its uid: it takes nothing along."""
    metadata = {"name": "theirs", "namespace": "default"}
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    cluster.apply([theirs])
    try:
        uid = cluster.kubectl("get", "configmap", "theirs", "-n", "default", "-o", UID)
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": uid}
        tenant.kubectl("create", "-f", "-", body=a_manifest(ownerReferences=[owner]))

        eventually(
            lambda: not tenant.kubectl("get", "carbonawarejobs", "-o", "name"),
            "the garbage collector has removed what names an owner that is not there",
        )
        assert cluster.kubectl("get", "configmap", "theirs", "-n", "default", "-o", "name")
    finally:
        cluster.kubectl("delete", "configmap", "theirs", "-n", "default")


UID = "jsonpath={.metadata.uid}"
