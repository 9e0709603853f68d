"""What a platform team does with the chart on its first day, on a real node.

The tests of a class share a release and follow each other, as the day does. `make install-check`
runs them all; `make test` leaves out those marked `install`.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbonaware_operator.api.reasons import SETTLE_FINALIZER
from carbonaware_operator.cluster.lease import LeaseTimes
from installation import (
    CRDS,
    EXAMPLES,
    KEPT,
    NAMESPACE,
    Release,
    a_burning_job,
    crash_for_good,
    labelled,
    process_of,
    recorded_zone,
    without_crds,
)
from programs import condition, eventually
from testbed import binaries
from testbed.cluster import Cluster

pytestmark = pytest.mark.node

READY_SECONDS = 60
RESTRICTED = "carbonaware-restricted"


@pytest.fixture(scope="module")
def bare(cluster_with_images: Cluster) -> Iterator[Cluster]:
    """A cluster with a recording in the namespace of the release, and nothing else of ours."""
    recording, _ = recorded_zone()
    with without_crds(cluster_with_images) as cluster:
        cluster.kubectl("create", "namespace", NAMESPACE)
        cluster.apply([recording])
        yield cluster
        cluster.kubectl("delete", "namespace", NAMESPACE, RESTRICTED, "--ignore-not-found")


def _removed_at_the_end(release: Release) -> Iterator[Release]:
    """Also where a test failed, so that the next release finds a clean cluster."""
    try:
        yield release
    finally:
        for component in ("operator", "agent"):
            for pod in release.pods(component):
                print(release.kubectl("logs", pod["metadata"]["name"], "--tail=60"))
        release.helm("uninstall", "--ignore-not-found", "--no-hooks")


def _ready_after(release: Release) -> float:
    """Seconds from the command to the moment when both pods are ready."""
    for component in ("operator", "agent"):
        eventually(
            lambda component=component: release.ready(component), f"the {component} is ready"
        )
    return time.monotonic() - release.began


def _status(cluster: Cluster, job: str) -> dict[str, Any]:
    found = json.loads(cluster.kubectl("get", "carbonawarejob", job, "-o", "json"))
    status: dict[str, Any] = found.get("status") or {}
    return status


def _reason(cluster: Cluster, job: str) -> str:
    return str(condition({"status": _status(cluster, job)}, "Released").get("reason"))


def _running(cluster: Cluster, job: str) -> dict[str, Any]:
    """Uids of a job's child and pod, and how often the pod's container was started again."""

    def found() -> dict[str, Any]:
        selected = ("--selector", f"carbonaware.io/job={job}", "-o", "json")
        pods = json.loads(cluster.kubectl("get", "pods", *selected))["items"]
        (child,) = json.loads(cluster.kubectl("get", "jobs", *selected))["items"] or [{}]
        if len(pods) != 1 or pods[0]["status"]["phase"] != "Running":
            return {}
        (container,) = pods[0]["status"]["containerStatuses"]
        uids = {"job": child["metadata"]["uid"], "pod": pods[0]["metadata"]["uid"]}
        return {**uids, "restarts": container["restartCount"]}

    return eventually(found, f"{job} runs")


def _left_for_good(release: Release) -> set[str]:
    """What a release left behind, once the garbage collector is through."""
    with suppress(AssertionError):
        eventually(lambda: not release.left(), "nothing is left", 30)
    return release.left()


@pytest.fixture(scope="module")
def first_day(bare: Cluster) -> Iterator[Release]:
    """By Helm 4, with nothing set but the image and the zone of the examples."""
    _, zone = recorded_zone()
    release = Release(bare)
    release.install(zones=[zone])
    yield from _removed_at_the_end(release)


@pytest.fixture
def operator_alone(bare: Cluster) -> Iterator[Release]:
    """By Helm 4, in a namespace that enforces Pod Security `restricted`, where no agent may be."""
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": RESTRICTED, "labels": level}
    bare.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])
    bare.apply(_definitions())
    release = Release(bare, namespace=RESTRICTED)
    release.install(**{"agent.enabled": False, "crds.install": False})
    yield from _removed_at_the_end(release)


@pytest.fixture
def by_helm_3(bare: Cluster, progress: Callable[[str], None]) -> Iterator[Release]:
    """By the Helm before, on definitions that the other one kept, otherwise as on the first day."""
    binaries.ensure((binaries.HELM_3,), progress)
    assert "v3." in bare.helm("version", program=binaries.HELM_3.path)
    _, zone = recorded_zone()
    release = Release(bare, binaries.HELM_3.path)
    release.install(zones=[zone])
    yield from _removed_at_the_end(release)


class TestTheFirstDay:
    """A release, from its installation to its end."""

    def test_operator_and_agent_are_ready_within_a_minute(self, first_day: Release) -> None:
        """From the moment `helm install` was typed."""
        seconds = _ready_after(first_day)

        print(f"operator and agent ready {seconds:.1f} s after `helm install` began")
        assert seconds < READY_SECONDS

    def test_the_operator_finds_itself_guarded(self, first_day: Release) -> None:
        """The chart's policies are those of this version, and about the release's account."""
        first_day.cluster.kubectl(
            "wait", "--for=condition=AdmissionPolicyBound", "carbonzone", "--all", "--timeout=60s"
        )

    def test_a_job_of_the_examples_is_held_and_then_released(self, first_day: Release) -> None:
        """One that no hour of the recorded day is clean enough for, until its deadline."""
        first_day.cluster.kubectl("apply", "--server-side", "-f", str(EXAMPLES))

        eventually(
            lambda: _reason(first_day.cluster, "deadline") == "AboveMaxIntensity", "it waits"
        )
        eventually(lambda: _reason(first_day.cluster, "deadline") == "DeadlineReached", "it may go")

        assert _running(first_day.cluster, "deadline")["restarts"] == 0
        assert _reason(first_day.cluster, "suspended") == "SuspendedByUser"

    def test_the_energy_of_a_real_pod_is_in_the_status_of_its_job(self, first_day: Release) -> None:
        """As the agent of the release told the operator of the first_day."""
        status = eventually(
            lambda: s if (s := _status(first_day.cluster, "immediate")).get("energyJoules") else {},
            "energy is in the status",
            180,
        )

        print(f"energy of a pod of 20 s: {status['energyJoules']} J, {status['energyMethod']}")
        (source,) = {source["node"] for source in status["ledger"]["sources"]}
        assert source == first_day.cluster.node_name

    def test_helms_own_test_sees_a_held_job(self, first_day: Release) -> None:
        """`helm test` creates one and reads its reason."""
        assert "Succeeded" in first_day.helm("test")

    def test_the_operator_may_do_nothing_on_its_node(self, first_day: Release) -> None:
        """No root, no capability, no new privileges, filtered system calls, a read-only root."""
        (pod,) = first_day.ready("operator")
        lines = Path(f"/proc/{process_of(pod)}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        places = "/ /etc /opt/carbonaware /var/lib"
        script = f"for p in {places}; do touch $p/mine 2>/dev/null && echo WROTE $p; done; true"

        assert {"0" * 16} == {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
        assert ("1", "2") == (status["NoNewPrivs"], status["Seccomp"])
        assert "65532\t65532\t65532\t65532" == status["Uid"]
        assert not first_day.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", script)

    @pytest.mark.install
    def test_an_upgrade_leaves_running_jobs_alone(self, first_day: Release) -> None:
        """Operator and agent are replaced; the job's child and its pod are the same as before."""
        first_day.cluster.apply([a_burning_job("outlives-upgrade", 300, "typical-day")])
        before = _running(first_day.cluster, "outlives-upgrade")
        former = {
            pod["metadata"]["name"] for c in ("operator", "agent") for pod in first_day.pods(c)
        }

        first_day.upgrade(
            **{"operator.settings.logLevel": "DEBUG", "agent.settings.tickSeconds": 2}
        )
        for workload in ("deployment/carbonaware-operator", "daemonset/carbonaware-agent"):
            first_day.kubectl("rollout", "status", workload, "--timeout=90s")

        now = {pod["metadata"]["name"] for c in ("operator", "agent") for pod in first_day.pods(c)}
        assert not former & now
        assert before == _running(first_day.cluster, "outlives-upgrade")
        assert before["restarts"] == 0

    @pytest.mark.install
    def test_a_standby_takes_over_when_the_leader_is_killed(self, first_day: Release) -> None:
        """It waits for as long as the Lease lasts, and acts from then on."""
        first_day.upgrade(**{"operator.replicas": 2})
        pods = eventually(lambda: first_day.ready("operator", 2), "both replicas are ready", 90)
        leader = eventually(first_day.leader, "one leads")
        (victim,) = [pod for pod in pods if pod["metadata"]["name"] == leader]

        crash_for_good(first_day, victim)
        last = first_day.lease()
        taken = eventually(
            lambda: (
                now if first_day.leader() not in ("", leader) and (now := first_day.lease()) else {}
            ),
            "a standby leads",
        )

        times = LeaseTimes()
        seconds = (_instant(taken["acquireTime"]) - _instant(last["renewTime"])).total_seconds()
        print(
            f"took over {seconds:.1f} s after the last renewal; the Lease lasts"
            f" {last['leaseDurationSeconds']} s"
        )
        assert last["holderIdentity"].startswith(leader)
        assert times.renew_deadline < seconds <= last["leaseDurationSeconds"] + times.look
        assert "Succeeded" in first_day.helm("test")

    def test_an_uninstall_leaves_the_definitions_and_the_users_jobs(
        self, first_day: Release
    ) -> None:
        """Nothing else in the cluster is the release's, whether it has its label or not."""
        installed = labelled(first_day.cluster)
        jobs = first_day.cluster.kubectl("get", "carbonawarejobs", "-o", "name")

        seconds = first_day.uninstall()

        print(f"uninstalled in {seconds:.1f} s what had {len(installed)} objects with its label")
        assert _left_for_good(first_day) == set()
        assert installed - KEPT
        assert jobs
        assert first_day.cluster.kubectl("get", "carbonawarejobs", "-o", "name") == jobs


def _definitions() -> list[dict[str, Any]]:
    """The CRDs, without the policies beside them."""
    files = [list(yaml.safe_load_all(path.read_text())) for path in CRDS.glob("*.yaml")]
    return [each for file in files for each in file if "CustomResource" in each["kind"]]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _scaled_to_zero(release: Release) -> None:
    release.kubectl("scale", "deployment/carbonaware-operator", "--replicas=0")
    eventually(lambda: not release.pods("operator"), "no operator is left")


def _crashing(release: Release) -> None:
    """A replica set of pods that cannot start, and none of those that could."""
    working = release.kubectl("get", "replicasets", "--output=name").split()
    release.upgrade(**{"operator.extraArgs": ["--no-such-flag"]})
    release.kubectl("delete", *working)
    eventually(lambda: _restarted(release), "the operator crashes")


def _restarted(release: Release) -> bool:
    states = [pod["status"].get("containerStatuses", []) for pod in release.pods("operator")]
    return any(container["restartCount"] for pod in states for container in pod)


@pytest.mark.install
class TestWithoutAnOperator:
    """Nobody is there to do what the operator does before it ends."""

    @pytest.mark.parametrize("end", [_scaled_to_zero, _crashing])
    def test_an_uninstall_hangs_on_nothing(
        self, operator_alone: Release, end: Callable[[Release], None]
    ) -> None:
        """Not on a deleted job that carries our finalizer, which nobody is there to take off."""
        eventually(lambda: operator_alone.ready("operator"), "the operator is ready")
        assert "Succeeded" in operator_alone.helm("test")
        job = a_burning_job("unsettled", 1, "typical-day")
        job["metadata"]["finalizers"] = [SETTLE_FINALIZER]
        job["spec"]["suspend"] = True
        operator_alone.cluster.apply([job])
        end(operator_alone)
        operator_alone.cluster.kubectl("delete", "carbonawarejob", "unsettled", "--wait=false")

        seconds = operator_alone.uninstall()

        print(f"uninstalled in {seconds:.1f} s with the operator {end.__name__.strip('_')}")
        eventually(
            lambda: (
                not operator_alone.cluster.kubectl(
                    "get", "carbonawarejob", "unsettled", "--ignore-not-found"
                )
            ),
            "the deleted job is gone",
        )
        assert _left_for_good(operator_alone) == set()


@pytest.mark.install
class TestHelm3:
    """The Helm before."""

    def test_installs_tests_upgrades_and_uninstalls(self, by_helm_3: Release) -> None:
        """What Helm 4 does."""
        seconds = _ready_after(by_helm_3)
        assert "Succeeded" in by_helm_3.helm("test")
        former = {pod["metadata"]["name"] for pod in by_helm_3.pods("operator")}
        by_helm_3.upgrade(**{"operator.settings.logLevel": "DEBUG"})
        by_helm_3.kubectl("rollout", "status", "deployment/carbonaware-operator", "--timeout=90s")
        assert not former & {pod["metadata"]["name"] for pod in by_helm_3.pods("operator")}
        assert "Succeeded" in by_helm_3.helm("test")

        uninstalled = by_helm_3.uninstall()

        print(f"Helm 3: ready after {seconds:.1f} s, uninstalled in {uninstalled:.1f} s")
        assert _left_for_good(by_helm_3) == set()
