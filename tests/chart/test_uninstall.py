"""An uninstall on a day when nothing is as it should be."""

import asyncio
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbonaware_operator.api.reasons import SETTLE_FINALIZER
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, ApiError
from carbonaware_operator.engine.clock import SystemClock
from carbonaware_operator.hooks.uninstall import Installation, clean_up, free_jobs
from chart_builders import NAMESPACE, RELEASE, objects
from chart_release import ACCOUNT, KEPT, PLACE, Release
from documents import pages
from programs import eventually
from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

MANY = 700
"""More than a chunk of a list, which moves on while its objects go."""
HOOK = {"nodeSelector": {"example.org/node": "gone"}}
"""Values with which a pod of the hook never runs, as when its image is gone."""
POLICIES = "validatingadmissionpolicies,validatingadmissionpolicybindings"
REST = f"clusterroles,clusterrolebindings,{POLICIES}"
LABEL = ("--selector", f"app.kubernetes.io/instance={RELEASE}")


@pytest.fixture
def release(bare_cluster: Cluster, tmp_path: Path) -> Iterator[Release]:
    """A release without an agent; what a test leaves is removed."""
    release = Release(bare_cluster, tmp_path, case="no-agent")
    release.apply("install", "--create-namespace")
    yield release
    release.helm("uninstall", "--no-hooks", "--ignore-not-found")
    bare_cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    bare_cluster.kubectl("delete", f"{REST},crd", *LABEL)


def a_job(name: str) -> dict[str, Any]:
    """A held job that budgets select."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {"name": name, "namespace": "default", "finalizers": [SETTLE_FINALIZER]},
        "spec": {"suspend": True, "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }


class TestTheHook:
    async def test_frees_all_jobs_that_somebody_is_deleting(self, release: Release) -> None:
        """They are gone as soon as nothing holds them, while the list is still read."""
        release.cluster.kubectl("apply", "--filename", "-", input=_roles_of_the_hook())
        await _create(release, [a_job(f"job-{number}") for number in range(MANY)])
        deleting = ("delete", "carbonawarejobs", "--all", "--namespace", "default", "--wait=false")
        release.cluster.kubectl(*deleting)

        async with release.client_as(f"{ACCOUNT}-uninstall") as kube:
            freed = await free_jobs(kube, SystemClock())

        assert (MANY, []) == (freed, release.get("carbonawarejobs", "--all-namespaces")["items"])

    async def test_needs_the_rights_that_nobody_granted_with_rbac_off(
        self, release: Release
    ) -> None:
        """The account is there, and may do nothing: the refusal names it."""
        release.values["rbac"] = {"create": False}
        release.apply("upgrade")
        installation = Installation(NAMESPACE, "carbonaware-operator", RELEASE)

        async with release.client_as(f"{ACCOUNT}-uninstall") as kube:
            with pytest.raises(ApiError, match=f"{ACCOUNT}-uninstall") as refused:
                await clean_up(kube, SystemClock(), installation)

        assert 403 == refused.value.status
        assert all(
            each["kind"] not in ("Role", "ClusterRole") for each in objects(rbac={"create": False})
        )

    def test_has_the_resources_of_the_operator(self, release: Release) -> None:
        """A ResourceQuota that asks for a limit refuses pods without one, the hook's too."""
        hard = "--hard=limits.cpu=1,limits.memory=1Gi,requests.cpu=1,requests.memory=1Gi"
        release.cluster.kubectl("create", "quota", "strict", hard, *PLACE)
        release.values["operator"] = {"resources": {"limits": {"cpu": "200m"}}}
        release.apply("upgrade")

        release.helm("uninstall", "--timeout=60s")

        assert KEPT == release.left

    def test_that_cannot_run_is_gone_without(self, release: Release) -> None:
        """The uninstall fails and says so; `--no-hooks` and one command remove all of it."""
        release.values["operator"] = HOOK
        release.apply("upgrade")

        with pytest.raises(KubectlError, match="uninstall"):
            release.helm("uninstall", "--timeout=3s")
        run_as_shown(release, 0)

        assert KEPT == release.left

    def test_that_is_left_out_leaves_the_finalizer_to_who_deletes(self, release: Release) -> None:
        """By hand, for one job after the other."""
        release.cluster.kubectl("config", "set-context", "--current", "--namespace=default")
        release.cluster.apply([a_job("train")])
        release.helm("uninstall", "--no-hooks")

        run_as_shown(release, 2)

        release.cluster.kubectl("delete", "carbonawarejob", "train", "--timeout=20s")


class TestANamespaceThatIsDeleted:
    def test_takes_the_release_along_but_for_what_is_of_the_whole_cluster(
        self, release: Release
    ) -> None:
        """Helm knows nothing of it afterwards; the rest goes by its label."""
        release.cluster.kubectl("delete", "namespace", NAMESPACE)

        with pytest.raises(KubectlError, match="not found"):
            release.helm("uninstall")
        assert KEPT < release.left
        run_as_shown(release, 1)
        assert KEPT == release.left

    def test_may_be_made_again_by_another_installation(self, release: Release) -> None:
        """Of the same name and in the same namespace: it takes over what is there."""
        release.cluster.kubectl("delete", "namespace", NAMESPACE)

        release.apply("install", "--create-namespace")

        release.helm("uninstall", "--no-hooks")
        assert KEPT == release.left

    def test_lets_no_hook_in_while_it_ends(self, release: Release) -> None:
        """Helm says why; without hooks the uninstall goes on."""
        release.cluster.kubectl("create", "configmap", "stuck", *PLACE)
        _finalizers(release, ["example.org/stuck"])
        release.cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")

        with pytest.raises(KubectlError, match="because it is being terminated"):
            release.helm("uninstall")
        release.helm("uninstall", "--no-hooks")
        _finalizers(release, [])

        eventually(lambda: KEPT == release.left, "the rest is gone")


def run_as_shown(release: Release, number: int) -> None:
    """Run the commands of a block of docs/operate.md, of those that follow a failed uninstall."""
    (page,) = [page for page in pages() if page.name == "docs/operate.md"]
    blocks = [block for block in page.blocks if block.not_run == "follows a failed uninstall"]
    for command in blocks[number].commands:
        program, *arguments = shlex.split(command.text.replace("\\\n", " "))
        tool = release.cluster.helm if program == "helm" else release.cluster.kubectl
        tool(*arguments)


def _finalizers(release: Release, names: list[str]) -> None:
    patch = f'{{"metadata": {{"finalizers": {names}}}}}'.replace("'", '"')
    release.cluster.kubectl("patch", "configmap", "stuck", *PLACE, "--type=merge", "-p", patch)


def _roles_of_the_hook() -> str:
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    name = f"{RELEASE}-uninstall"
    found = [o for o in objects() if o["kind"] in kinds and o["metadata"]["name"] == name]
    return yaml.safe_dump_all(found)


async def _create(release: Release, jobs: list[dict[str, Any]]) -> None:
    waiting = iter(jobs)

    async def some() -> None:
        for job in waiting:
            await kube.create(CARBON_AWARE_JOBS, "default", job)

    async with release.client_as() as kube:
        await asyncio.gather(*(some() for _ in range(16)))
