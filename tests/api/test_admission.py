"""The admission policies on a real API server: for whom the operator acts, and what it may do."""

import json
from typing import Any
from uuid import uuid4

import pytest
import yaml

from builders import a_job_body, a_job_spec
from carbonaware_operator.api import rights
from carbonaware_operator.api.admission import OPERATOR_ACCOUNT, OPERATOR_POLICY, POLICY
from carbonaware_operator.api.rights import Right, rules
from carbonaware_operator.cluster.guards import guards
from carbonaware_operator.cluster.kube import KubeClient, connect
from programs import eventually
from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

A_CARBON_AWARE_JOB = {
    "apiVersion": "carbonaware.io/v1alpha1",
    "kind": "CarbonAwareJob",
    "name": "train",
    "uid": "00000000-0000-0000-0000-000000000000",
    "controller": True,
}


def allow(cluster: Cluster, namespace: str, user: str, *granted: Right) -> None:
    """Give a user these rights in a namespace."""
    name = f"granted-{uuid4().hex[:8]}"
    kind = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{kind}/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": rules(granted),
    }
    binding = {
        "apiVersion": f"{kind}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": kind, "kind": "Role", "name": name},
        "subjects": [{"kind": "User", "apiGroup": kind, "name": user}],
    }
    cluster.kubectl(
        "create", "-n", namespace, "-f", "-", input=yaml.safe_dump_all([role, binding])
    )  # fmt: skip


def create(cluster: Cluster, namespace: str, user: str, body: dict[str, Any], *more: str) -> None:
    """Create an object as a user."""
    cluster.kubectl(
        "create", "-n", namespace, f"--as={user}", "-f", "-", *more, input=json.dumps(body)
    )


def patch(cluster: Cluster, namespace: str, user: str, what: str, change: dict[str, Any]) -> None:
    """Merge a change into an object as a user."""
    arguments = ("--type=merge", "-p", json.dumps(change))
    cluster.kubectl("patch", "-n", namespace, f"--as={user}", what, *arguments)


def a_child(**owner: Any) -> dict[str, Any]:
    """The suspended Job that a CarbonAwareJob owns."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "train", "ownerReferences": [A_CARBON_AWARE_JOB | owner]},
        "spec": a_job_spec(suspend=True),
    }


def a_child_of_a_job(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The same, of one that exists: else garbage collection may delete it meanwhile."""
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_manifest()))
    uid = cluster.kubectl("get", "-n", namespace, "caj/train", "-o", "jsonpath={.metadata.uid}")
    return a_child(uid=uid)


def a_job_of_a_user() -> dict[str, Any]:
    """A suspended Job that nobody owns."""
    return a_child() | {"metadata": {"name": "theirs"}}


async def test_what_is_applied_is_known_to_guard(cluster):
    """The API server adds defaults, and they make no difference."""
    api = await connect(str(cluster.kubeconfig))
    api.set_default_header("Impersonate-User", OPERATOR_ACCOUNT)
    api.set_default_header("Impersonate-Group", "system:masters")
    try:
        found = await guards(KubeClient(api))
    finally:
        await api.close()

    assert {POLICY: "", OPERATOR_POLICY: ""} == found


class TestUsers:
    """Who may not create Jobs must not have them created by the operator."""

    JOBS = Right("carbonaware.io", ("carbonawarejobs",), ("create", "get", "patch"), "use them")
    CREATE_JOBS = Right("batch", ("jobs",), ("create",), "run pods")

    def test_who_may_create_no_jobs_creates_no_carbon_aware_job(self, cluster, namespace):
        """Else whoever may write CarbonAwareJobs could run any pod."""
        user = f"user-{namespace}"
        allow(cluster, namespace, user, self.JOBS)

        with pytest.raises(KubectlError, match="you must be allowed to create Jobs"):
            create(cluster, namespace, user, a_manifest())

    def test_who_may_create_jobs_creates_a_carbon_aware_job(self, cluster, namespace):
        """It is the same right by another way."""
        user = f"user-{namespace}"
        allow(cluster, namespace, user, self.JOBS, self.CREATE_JOBS)

        create(cluster, namespace, user, a_manifest())

    def test_who_may_create_no_jobs_still_holds_one(self, cluster, namespace):
        """A change that runs nothing else asks for no more than RBAC does."""
        user = f"user-{namespace}"
        allow(cluster, namespace, user, self.JOBS)
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_manifest()))

        patch(cluster, namespace, user, "caj/train", {"spec": {"suspend": True}})

    @pytest.mark.parametrize("granted", ["edit", "view"])
    def test_the_usual_roles_know_carbon_aware_jobs(self, cluster, namespace, granted):
        """Who has `edit` in a namespace uses carbonaware there without a role of one's own."""
        user = f"{granted}-{namespace}"
        labels = {"view": rights.AGGREGATE_TO_VIEW, "edit": rights.AGGREGATE_TO_EDIT}
        tables = {"view": rights.VIEW, "edit": rights.EDIT}
        roles = [a_cluster_role(name, labels[name], tables[name]) for name in labels]
        cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(roles))
        cluster.kubectl(
            "create", "-n", namespace, "rolebinding", granted,
            f"--clusterrole={granted}", f"--user={user}",
        )  # fmt: skip

        def may(verb: str, resource: str = "carbonawarejobs") -> bool:
            return allowed(cluster, namespace, user, verb, f"{resource}.carbonaware.io")

        eventually(lambda: may("list"), "the controller has aggregated the role")
        assert (granted == "edit") == may("create")
        assert not may("create", "carbonzones")


class TestOperator:
    """The operator may create Jobs in every namespace; who takes it over must not gain by that."""

    @pytest.fixture(autouse=True)
    def _rights(self, cluster, namespace):
        allow(cluster, namespace, OPERATOR_ACCOUNT, *rights.OPERATOR_JOBS)

    def test_creates_suspends_and_resumes_the_job_of_a_carbon_aware_job(self, cluster, namespace):
        """All that it does to Jobs."""
        create(cluster, namespace, OPERATOR_ACCOUNT, a_child_of_a_job(cluster, namespace))
        patch(cluster, namespace, OPERATOR_ACCOUNT, "job/train", {"spec": {"suspend": False}})
        patch(cluster, namespace, OPERATOR_ACCOUNT, "job/train", {"spec": {"suspend": True}})

    @pytest.mark.parametrize(
        "owner",
        [
            {"kind": "CronJob", "apiVersion": "batch/v1"},
            {"apiVersion": "carbonaware.io.example.org/v1"},
            {"controller": False},
        ],
        ids=["a CronJob's", "one of another group", "one that does not control it"],
    )
    def test_creates_no_job_of_another_owner(self, cluster, namespace, owner):
        """Only a CarbonAwareJob stands for a user who may run its pods."""
        with pytest.raises(KubectlError, match="must create Jobs of CarbonAwareJobs only"):
            create(cluster, namespace, OPERATOR_ACCOUNT, a_child(**owner))

    def test_creates_no_job_without_an_owner(self, cluster, namespace):
        """Such as one with a pod of its own choice in kube-system."""
        with pytest.raises(KubectlError, match="must create Jobs of CarbonAwareJobs only"):
            create(cluster, namespace, OPERATOR_ACCOUNT, a_job_of_a_user())

    @pytest.mark.parametrize(
        "change",
        [
            {"spec": {"suspend": False}},
            {"metadata": {"ownerReferences": [A_CARBON_AWARE_JOB]}},
        ],
        ids=["resume", "adopt"],
    )
    def test_leaves_the_jobs_of_others_alone(self, cluster, namespace, change):
        """It can neither change them nor take them for its own first."""
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(a_job_of_a_user()))

        with pytest.raises(KubectlError, match="Jobs of CarbonAwareJobs only"):
            patch(cluster, namespace, OPERATOR_ACCOUNT, "job/theirs", change)

    def test_changes_no_pods(self, cluster, namespace):
        """A suspended Job's node selector may be changed by others; the operator never does."""
        create(cluster, namespace, OPERATOR_ACCOUNT, a_child_of_a_job(cluster, namespace))
        elsewhere = {"spec": {"template": {"spec": {"nodeSelector": {"gpu": "true"}}}}}

        with pytest.raises(KubectlError, match="never their pods"):
            patch(cluster, namespace, OPERATOR_ACCOUNT, "job/train", elsewhere)

    def test_binds_nobody_else(self, cluster, namespace):
        """Other accounts with the same rights create Jobs as before."""
        user = f"user-{namespace}"
        allow(cluster, namespace, user, *rights.OPERATOR_JOBS)

        create(cluster, namespace, user, a_job_of_a_user())


def a_manifest() -> dict[str, Any]:
    """A CarbonAwareJob as a user writes it."""
    return a_job_body("train") | {"metadata": {"name": "train"}}


def a_cluster_role(name: str, labels: dict[str, str], table: tuple[Right, ...]) -> dict[str, Any]:
    """A ClusterRole that is aggregated to one of Kubernetes' own."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"carbonaware-{name}", "labels": labels},
        "rules": rules(table),
    }


def allowed(cluster: Cluster, namespace: str, user: str, verb: str, resource: str) -> bool:
    """Whether a user may do something, as the API server says."""
    try:
        cluster.kubectl("auth", "can-i", verb, resource, "-n", namespace, f"--as={user}")
    except KubectlError:
        return False
    return True
