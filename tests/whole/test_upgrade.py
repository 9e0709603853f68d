"""Upgrade from the previous chart and back, with jobs held, running, suspended and done."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deploy.release import history
from programs import Stack, a_job, a_zone, condition, eventually, stack
from testbed.cluster import Cluster
from testbed.errors import KubectlError

pytestmark = pytest.mark.api

SYSTEM = "carbonaware-system"
CHART = Path(__file__).parents[2] / history.CHART
# The pods of the simulated node run nothing: an operator beside the cluster plays theirs.
VALUES = (
    *("--namespace", SYSTEM),
    *("--set", "image.repository=docker.io/local/carbonaware"),
)
MOVING = ("workload", "conditions", "releasedTime")  # what is measured of a running job goes on


@pytest.fixture(scope="module")
def previous() -> Iterator[list[Path]]:
    """The chart, the operator and the agent of the release before this one."""
    with ExitStack() as unpacked:
        try:
            folders = (history.CHART, "operator", "agent")
            yield [unpacked.enter_context(history.files(folder)) for folder in folders]
        except history.NoHistoryError as reason:
            pytest.skip(str(reason))


@pytest.fixture(scope="module")
def upgraded(progress: Callable[[str], None]) -> Iterator[Cluster]:
    """A cluster of its own: the chart brings the CRDs."""
    with Cluster.start(name="upgrade", node="simulated", report=progress) as cluster:
        cluster.kubectl("create", "namespace", SYSTEM)
        yield cluster


@pytest.fixture
def running(
    upgraded: Cluster, previous: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stack]:
    """The previous release: its chart, its programs instead of its pods, and four jobs."""
    chart, *packages = previous
    upgraded.helm("install", "carbonaware", str(chart), *VALUES)
    with stack(upgraded, "default", tmp_path) as programs:
        host = programs.simulated_host()
        with monkeypatch.context() as then:
            then.setenv("PYTHONPATH", os.pathsep.join(map(str, packages)))
            _started(programs, host)
        suspended = a_job("suspended", "default", strategy="Immediate")
        suspended["spec"]["suspend"] = True
        programs.apply(
            a_zone("default"),
            suspended,
            a_job("held", "default", maxGramsPerKWh=40),
            a_job("running", "default", run_for="1h", strategy="Immediate"),
            a_job("complete", "default", strategy="Immediate"),
        )
        eventually(lambda: _standing(programs) == STANDING, "each job is where it is to be")
        eventually(lambda: _settled(programs), "what the complete job used is settled")
        yield programs


def _started(programs: Stack, host: Path) -> None:
    """An operator and an agent, of the release that PYTHONPATH says."""
    agent = programs.agent(host).wait_ready()
    programs.operator(f"--agent-url={agent.url}").wait_ready()


STANDING = {
    "held": "AboveMaxIntensity",
    "running": "Immediate",
    "suspended": "SuspendedByUser",
    "complete": "Succeeded",
}
STATES = {
    "held": "Held",
    "running": "Running",
    "suspended": "Held",
    "complete": "Complete",
}


def test_neither_upgrade_nor_rollback_touches_a_job(running: Stack) -> None:
    """Objects, CRDs, child Jobs and what the statuses say are the same, also of a scaled operator.

    The next operator takes the jobs over from the one before, children and accounts included.
    Helm 4 applies on the server's side: it refuses to take the replicas back from who scaled the
    Deployment, and does when it is told to.
    """
    before, crds = _objects(running), _crds(running)
    cluster = running.cluster

    _upgrade(cluster)
    assert (before, crds) == (_objects(running), _crds(running))

    kept = _kept(running)
    host, *programs = running.programs
    for program in programs:
        program.stop()
    _started(running, running.folder / "host")
    eventually(lambda: _states(running) == STATES, "the new operator has seen every job")
    assert kept == _kept(running)
    assert host.alive
    for program in running.programs[len(programs) + 1 :]:
        program.stop()

    cluster.kubectl("-n", SYSTEM, "scale", "deployment/carbonaware-operator", "--replicas=2")
    with pytest.raises(KubectlError, match="conflict"):
        _upgrade(cluster, "--set", "operator.replicas=3")
    _upgrade(cluster, "--set", "operator.replicas=3", "--force-conflicts")
    assert "3" == cluster.kubectl(
        "-n", SYSTEM, "get", "deployment/carbonaware-operator", "-o", "jsonpath={.spec.replicas}"
    )

    cluster.helm("rollback", "carbonaware", "1", "--namespace", SYSTEM)
    assert (kept, crds) == (_kept(running), _crds(running))
    assert STANDING == _standing(running)


def _settled(running: Stack) -> bool:
    status = running.job("complete")["status"]
    return bool(status.get("energyJoules")) and bool(status.get("ledger", {}).get("settled"))


def _upgrade(cluster: Cluster, *flags: str) -> None:
    cluster.helm("upgrade", "carbonaware", str(CHART), *VALUES, *flags)


def _standing(running: Stack) -> dict[str, str]:
    """The reason of each job: of its end, else of its release."""
    reasons = {}
    for job in running.children("caj"):
        found = condition(job, "Complete") or condition(job, "Released")
        reasons[job["metadata"]["name"]] = found.get("reason", "")
    return reasons


def _objects(running: Stack) -> dict[str, Any]:
    """Jobs with uid, spec and status, sums included, and the uids of their child Jobs."""
    jobs = {
        job["metadata"]["name"]: (job["metadata"]["uid"], job["spec"], _lasting(job))
        for job in running.children("caj")
    }
    children = {job["metadata"]["name"]: job["metadata"]["uid"] for job in running.children()}
    return jobs | children


def _states(running: Stack) -> dict[str, str]:
    """What the new operator calls the state of each job."""
    return {
        job["metadata"]["name"]: job["status"].get("state", "") for job in running.children("caj")
    }


def _kept(running: Stack) -> dict[str, Any]:
    """Of each job what no release may change: which object it is, its child, its end, its sums."""
    jobs = {
        job["metadata"]["name"]: (
            job["metadata"]["uid"],
            job["spec"],
            job["status"].get("workload", {}).get("uid"),
            job["status"].get("finishedTime"),
            job["metadata"]["name"] == "complete" and job["status"]["energyJoules"],
        )
        for job in running.children("caj")
    }
    return jobs | {job["metadata"]["name"]: job["metadata"]["uid"] for job in running.children()}


def _lasting(job: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = job["status"]
    if job["metadata"]["name"] != "running":
        return status
    return {key: status[key] for key in MOVING}


def _crds(running: Stack) -> set[str]:
    """Uids: a CRD that is made anew has lost all its objects."""
    found = json.loads(running.kubectl("get", "crd", "-o", "json"))["items"]
    return {crd["metadata"]["uid"] for crd in found}
