"""Child Jobs on a real API server: their names, and who else has a say about them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carbonaware_operator.kinds.parent import earlier_name, owner_reference
from programs import Stack, a_job, a_zone, condition, eventually, stack
from testbed.cluster import Cluster

pytestmark = pytest.mark.api


@pytest.fixture
def running(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Stack]:
    """Programs in a namespace of their own, and a zone of the same name at 300 gCO2e/kWh."""
    with stack(cluster, namespace, tmp_path) as programs:
        programs.apply(a_zone(namespace))
        yield programs
    cluster.kubectl("delete", "carbonzone", namespace, "--ignore-not-found", "--wait=false")


def says(running: Stack, name: str, kind: str = "Released") -> tuple[str, str]:
    """Status and reason of a condition of a job."""
    found = condition(running.job(name), kind)
    return found.get("status", ""), found.get("reason", "")


def awaits(running: Stack, name: str, kind: str, status: str, reason: str) -> None:
    """Wait until a condition has this status and reason."""
    eventually(lambda: says(running, name, kind) == (status, reason), f"{name}: {reason}")


def child(running: Stack, name: str) -> dict[str, Any]:
    """A batch/v1 Job."""
    found: dict[str, Any] = json.loads(running.kubectl("get", "job", name, "-o", "json"))
    return found


def at_once(name: str, running: Stack, **given: Any) -> dict[str, Any]:
    """A job that starts as soon as it may."""
    return a_job(name, running.namespace, strategy="Immediate", **given)


class TestNames:
    def test_of_any_length_that_a_job_may_have_run(self, running: Stack) -> None:
        """63 characters leave no room for the suffix of a pod: Kubernetes cuts, the Job runs."""
        name = "n" * 62 + "z"
        running.operator().wait_ready()

        running.apply(at_once(name, running))

        awaits(running, name, "Complete", "True", "Succeeded")
        assert name == child(running, name)["metadata"]["name"]
        (pod,) = running.children("pods")
        assert len(pod["metadata"]["name"]) <= 63

    def test_leave_the_pods_of_an_indexed_job_theirs(self, running: Stack) -> None:
        """NAME-0 is a host name: one that is too long is refused before anything waits for it."""
        jobs = {name: at_once(name, running) for name in ("ranks", "n" * 62)}
        for job in jobs.values():
            job["spec"]["jobTemplate"]["spec"] |= {
                "completionMode": "Indexed",
                "completions": 2,
                "parallelism": 2,
            }
        running.operator().wait_ready()

        running.apply(*jobs.values())

        awaits(running, "ranks", "Complete", "True", "Succeeded")
        hosts = {pod["spec"]["hostname"] for pod in running.children("pods")}
        assert {"ranks-0", "ranks-1"} == hosts
        awaits(running, "n" * 62, "Released", "False", "InvalidWorkload")
        assert "invalid DNS label" in condition(running.job("n" * 62), "Released")["message"]

    def test_that_are_taken_are_waited_for(self, running: Stack) -> None:
        """A Job of that name that is not ours is left alone, and when it goes the job starts."""
        running.kubectl("create", "job", "train", "--image=local/busybox:1")
        running.kubectl("label", "job", "train", "carbonaware.io/job-uid=of-an-earlier-one")
        theirs = child(running, "train")["metadata"]["uid"]
        running.operator().wait_ready()
        running.apply(at_once("train", running))
        awaits(running, "train", "Released", "False", "NameTaken")
        assert theirs == child(running, "train")["metadata"]["uid"]

        running.kubectl("delete", "job", "train")

        awaits(running, "train", "Complete", "True", "Succeeded")


class TestJobsOfTheFirstVersion:
    def test_are_still_theirs_and_followed_to_their_end(self, running: Stack) -> None:
        """Its children have a digest in their names: an upgrade starts nothing a second time."""
        job = at_once("older", running, run_for="3s")
        running.apply(job)
        metadata = running.job("older")["metadata"]
        template = job["spec"]["jobTemplate"]["spec"]
        name = earlier_name("older", metadata["uid"])
        running.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": name,
                    "labels": {"carbonaware.io/job-uid": metadata["uid"]},
                    "annotations": {"carbonaware.io/release-reason": "Immediate"},
                    "ownerReferences": [owner_reference(metadata)],
                },
                "spec": template,
            }
        )

        running.operator().wait_ready()

        awaits(running, "older", "Complete", "True", "Succeeded")
        assert name == running.job("older")["status"]["workload"]["name"]
        assert [name] == [each["metadata"]["name"] for each in running.children()]
