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


def suspend(running: Stack, name: str, value: bool, kind: str = "job") -> None:
    """Flip the switch of a Job as a person or a queue does, or of a CarbonAwareJob as its user."""
    patch = json.dumps({"spec": {"suspend": value}})
    running.kubectl("patch", kind, name, "--type=merge", "-p", patch)


def looked_at_again(running: Stack, name: str) -> int:
    """Have the operator look at a job once more; the generation of its child Job afterwards."""
    running.kubectl("patch", "caj", name, "--type=json", "-p", json.dumps(LONGER))
    wanted = running.job(name)["metadata"]["generation"]
    eventually(
        lambda: running.job(name)["status"]["observedGeneration"] == wanted, f"{name} is seen"
    )
    generation: int = child(running, name)["metadata"]["generation"]
    return generation


LONGER = [{"op": "add", "path": "/spec/ttlAfterFinished", "value": "100h"}]
QUEUED = {"kueue.x-k8s.io/queue-name": "gpu"}


def a_queues_webhook(namespace: str) -> list[dict[str, Any]]:
    """Suspends Jobs with a queue's label as they are created, as Kueue's webhook does."""
    rule = {
        "apiGroups": ["batch"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["jobs"],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "matchConstraints": {"namespaceSelector": here, "resourceRules": [rule]},
        "reinvocationPolicy": "Never",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {
                    "expression": "Object{spec: Object.spec{suspend: true}}",
                },
            }
        ],
    }
    version = {"apiVersion": "admissionregistration.k8s.io/v1"}
    return [
        {**version, "kind": kind, "metadata": {"name": f"queue-{namespace}"}, "spec": spec}
        for kind, spec in (
            ("MutatingAdmissionPolicy", policy),
            ("MutatingAdmissionPolicyBinding", {"policyName": f"queue-{namespace}"}),
        )
    ]


def suspends_new_jobs(running: Stack) -> bool:
    """Whether the API server knows of the webhook yet, by a dry run."""
    probe = ("create", "job", "probe", "--image=local/busybox:1", "--dry-run=server")
    return "true" == running.kubectl(*probe, "-o", "jsonpath={.spec.suspend}")


class TestSuspensionsOfOthers:
    def test_a_queue_that_suspends_at_creation_decides_when_the_job_runs(
        self, running: Stack
    ) -> None:
        """Nothing is fought over: the child is written once by us, and once by the queue."""
        job = at_once("queued", running)
        job["spec"]["jobTemplate"]["metadata"] = {"labels": QUEUED}
        running.operator().wait_ready()
        running.apply(*a_queues_webhook(running.namespace))
        eventually(lambda: suspends_new_jobs(running), "the queue's webhook acts")
        running.apply(job)
        awaits(running, "queued", "Released", "False", "SuspendedByOther")
        assert "`gpu`" in condition(running.job("queued"), "Released")["message"]
        assert 1 == looked_at_again(running, "queued")
        assert [] == running.children("pods")

        suspend(running, "queued", value=False)

        awaits(running, "queued", "Complete", "True", "Succeeded")
        assert 2 == child(running, "queued")["metadata"]["generation"]

    def test_of_a_running_job_stands_whatever_its_user_does_meanwhile(self, running: Stack) -> None:
        """The user's own suspension adds nothing to it, and takes nothing away as it ends."""
        running.operator().wait_ready()
        running.apply(at_once("train", running, run_for="1h"))
        eventually(lambda: running.children("pods"), "it runs")
        suspend(running, "train", value=True)
        awaits(running, "train", "Released", "False", "SuspendedByOther")
        before = child(running, "train")["metadata"]["generation"]

        suspend(running, "train", value=True, kind="caj")
        awaits(running, "train", "Released", "False", "SuspendedByUser")
        suspend(running, "train", value=False, kind="caj")
        awaits(running, "train", "Released", "False", "SuspendedByOther")

        assert before == looked_at_again(running, "train")
        suspend(running, "train", value=False)
        awaits(running, "train", "Released", "True", "Immediate")

    def test_that_follow_the_users_own_are_told_from_it(self, running: Stack) -> None:
        """A queue lifts the user's, later suspends by itself: our note is out of date."""
        running.operator().wait_ready()
        running.apply(at_once("train", running, run_for="1h"))
        eventually(lambda: running.children("pods"), "it runs")
        suspend(running, "train", value=True, kind="caj")
        awaits(running, "train", "Released", "False", "SuspendedByUser")
        suspend(running, "train", value=False)
        awaits(running, "train", "Released", "True", "Immediate")
        lifted = looked_at_again(running, "train")
        assert lifted == child(running, "train")["metadata"]["generation"], "fought within a minute"
        suspend(running, "train", value=False, kind="caj")

        suspend(running, "train", value=True)

        awaits(running, "train", "Released", "False", "SuspendedByOther")
        assert "suspended-by" in str(child(running, "train")["metadata"]["annotations"])
        assert lifted + 1 == child(running, "train")["metadata"]["generation"]

    def test_are_not_what_the_users_own_is(self, running: Stack) -> None:
        """The user's is written with its cause, and lifted when the user says so."""
        running.operator().wait_ready()
        running.apply(at_once("train", running, run_for="1h"))
        eventually(lambda: running.children("pods"), "it runs")

        suspend(running, "train", value=True, kind="caj")
        awaits(running, "train", "Released", "False", "SuspendedByUser")
        noted = child(running, "train")["metadata"]["annotations"]
        assert "User" == noted["carbonaware.io/suspended-by"]
        assert "User" == running.job("train")["status"]["suspendedBy"]
        suspend(running, "train", value=False, kind="caj")

        awaits(running, "train", "Released", "True", "ReleasedByUser")
        assert "suspended" not in str(child(running, "train")["metadata"]["annotations"])
        assert not child(running, "train")["spec"]["suspend"]
