"""The chart on a real API server: what it accepts, and a release from beginning to end.

Pods of a simulated node run nothing, so that what hooks do is called here, as the accounts and so
with the rights that the chart gives them.
"""

import json

import pytest
import yaml

from carbonaware_operator.cluster.zones import ARCHIVES, archive_name
from carbonaware_operator.engine.clock import SystemClock
from carbonaware_operator.hooks.await_crds import await_crds
from carbonaware_operator.hooks.uninstall import Installation, clean_up
from chart_builders import CASES, NAMESPACE, RELEASE, objects, pod_of
from chart_release import ACCOUNT, KEPT, PLACE, Release
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

MONITORED = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
ROLES = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@pytest.fixture
def release(bare_cluster, tmp_path) -> Release:
    """Nothing installed."""
    return Release(bare_cluster, tmp_path)


async def test_a_release_from_its_installation_to_what_is_left(release):
    """Each step builds on the one before, and a cluster takes longer to start than all of them."""
    await installs_zones_beside_the_crd_that_it_brings(release)
    takes_the_zones_in_with_the_next_upgrade(release)
    keeps_its_zones_in_a_rollback_to_the_installation(release)
    leaves_the_number_of_replicas_to_an_autoscaler(release)
    await frees_jobs_although_the_operator_is_dead(release)
    leaves_the_crds_and_the_jobs(release)
    comes_back_to_them(release)


async def installs_zones_beside_the_crd_that_it_brings(release):
    """One `helm install`; the operator's account may see whether the CRDs are served."""
    release.apply("install", "--create-namespace")

    assert {"static": {"gramsPerKWh": 300}, "type": "Static"} == release.home["spec"]["source"]
    async with release.client_as(f"{ACCOUNT}-operator") as kube:
        assert "carbonzones.carbonaware.io" in await await_crds(kube, SystemClock())


def takes_the_zones_in_with_the_next_upgrade(release):
    """The zone stays the same object, and so keeps its status; from now on values change it."""
    before = release.home
    source = release.values["zones"][0]["spec"]["source"]
    gb = release.values["zones"].pop()
    for grams in (350, 360):
        source["static"]["gramsPerKWh"] = grams
        release.apply("upgrade")

        after = release.home
        assert before["metadata"]["uid"] == after["metadata"]["uid"]
        assert grams == after["spec"]["source"]["static"]["gramsPerKWh"]
    release.values["zones"].append(gb)


def keeps_its_zones_in_a_rollback_to_the_installation(release):
    """They were hooks there; after the rollback they are there again."""
    release.helm("rollback", "1")

    assert 300 == release.home["spec"]["source"]["static"]["gramsPerKWh"]
    assert release.get("carbonzone", "gb")


def leaves_the_number_of_replicas_to_an_autoscaler(release):
    """Helm 4 applies on the server: what it does not render belongs to whoever sets it."""
    release.values["operator"] = {"replicas": None}
    release.apply("upgrade")
    release.cluster.kubectl(*PLACE, "scale", "deployment/carbonaware-operator", "--replicas=3")

    release.apply("upgrade")

    assert 3 == release.get("deployment/carbonaware-operator", *PLACE)["spec"]["replicas"]


async def frees_jobs_although_the_operator_is_dead(release):
    """With the hook's rights alone: our finalizer goes, others stay; zones, archives, Lease go."""
    hook = [each for each in objects("zones") if _is_of_the_hook(each)]
    release.cluster.apply(
        [*hook, _a_lease_of_the_dead(), _an_archive(), _a_job("one"), _a_job("two")]
    )
    installation = Installation(NAMESPACE, "carbonaware-operator", RELEASE)

    async with release.client_as(f"{ACCOUNT}-uninstall") as kube:
        said = await clean_up(kube, SystemClock(), installation)

    jobs = release.get("caj", "-n", "default")["items"]
    assert [["example.org/other"]] * 2 == [job["metadata"]["finalizers"] for job in jobs]
    assert "took the finalizer off 2 objects, removed 2 zones and 1 archives" == said
    assert [] == release.get("leases,carbonzones", *PLACE)["items"]
    assert [] == release.get("configmaps", *PLACE, "--selector", ARCHIVES)["items"]
    assert 0 == release.get("deployment/carbonaware-operator", *PLACE)["spec"]["replicas"]


def leaves_the_crds_and_the_jobs(release):
    """Everything else that the release brought is gone, and nothing hangs."""
    release.helm("uninstall", "--timeout", "60s")

    assert KEPT == release.left
    assert 2 == len(release.get("caj", "-n", "default")["items"])


def comes_back_to_them(release):
    """The kept CRDs are taken over again, and the zones belong to the release at once."""
    release.values["operator"] = {}
    release.apply("install")

    assert "helm.sh/hook" not in release.home["metadata"]["annotations"]


def _is_of_the_hook(each):
    return each["metadata"]["name"] == f"{RELEASE}-uninstall" and each["kind"] in ROLES


def _a_lease_of_the_dead():
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "carbonaware-operator", "namespace": NAMESPACE},
        "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 1, "leaseTransitions": 3},
    }


def _an_archive():
    key, _, value = ARCHIVES.partition("=")
    metadata = {"name": archive_name("gb"), "namespace": NAMESPACE, "labels": {key: value}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def _a_job(name):
    container = {"name": "main", "image": "none"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    finalizers = ["carbonaware.io/settle", "example.org/other"]
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {"name": name, "namespace": "default", "finalizers": finalizers},
        "spec": {"suspend": True, "jobTemplate": {"spec": {"template": template}}},
    }


class TestObjects:
    def test_are_accepted(self, cluster):
        """Each object of each case, by the server itself."""
        found = {
            json.dumps(each, sort_keys=True): each
            for case in CASES
            for each in objects(case)
            # A Pod needs its account to exist; those of the release are tried one by one below.
            if each["kind"] not in (*MONITORED, "Pod")
        }
        places = {each["metadata"].get("namespace", NAMESPACE) for each in found.values()}
        cluster.apply([_a_namespace(place) for place in sorted(places)])

        answer = cluster.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"),
            input=yaml.safe_dump_all(found.values()),
        )

        assert len(found) == len(answer.splitlines())

    def test_pods_are_restricted_but_for_the_agents(self, cluster, namespace):
        """By Pod Security's own admission, in a namespace that enforces `restricted`."""
        level = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", "namespace", namespace, level)
        pods = {
            json.dumps(pod_of(each), sort_keys=True): (each["kind"], pod_of(each))
            for case in CASES
            for each in objects(case)
            if each["kind"] in ("Deployment", "DaemonSet", "Job", "Pod")
        }

        verdicts = {(kind, _admitted(cluster, namespace, pod)) for kind, pod in pods.values()}

        refused = ("DaemonSet", False)
        assert {("Deployment", True), ("Job", True), ("Pod", True), refused} == verdicts


def _a_namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _admitted(cluster, namespace, pod):
    # Classes that the case names and the cluster lacks are no matter of Pod Security.
    left_out = ("priorityClassName", "runtimeClassName")
    spec = {key: value for key, value in pod.items() if key not in left_out}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": spec | {"serviceAccountName": "default"},
    }
    try:
        cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(body))
    except KubectlError as refused:
        if "violates PodSecurity" not in str(refused):
            raise
        return False
    return True
