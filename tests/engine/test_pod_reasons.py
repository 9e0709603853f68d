"""What pods lack, or how they ended, becomes the reason of their job: few looks, fewer writes."""

import asyncio
from typing import Any

import pytest

from builders import NOON, a_child_body, a_job_body, minutes
from carbonaware_operator.api.reasons import Label
from carbonaware_operator.cluster.events import Recorder
from carbonaware_operator.cluster.jobs import JobWriter
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, EVENTS, PODS, ApiError
from carbonaware_operator.cluster.pods import CORE_EVENTS
from carbonaware_operator.engine.pod_reasons import (
    LAST_WAIT,
    LOOKS_EACH,
    PERIOD_SECONDS,
    PodReasons,
)
from carbonaware_operator.quantities.instants import format_instant
from carbonaware_operator.store.jobs import JobStore
from fakes import FakeKube, ManualClock

UNFIT = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes",
}
KILLED = {"name": "main", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}


def a_condition(kind: str, reason: str) -> dict[str, Any]:
    """A condition that holds."""
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": "as told",
        "lastTransitionTime": format_instant(NOON),
    }


class Stage:
    """The task, and the API server that it looks at."""

    def __init__(self) -> None:
        self.kube, self.clock, self.jobs = FakeKube(), ManualClock(NOON), JobStore()
        self.reasons = PodReasons(
            jobs=self.jobs,
            kube=self.kube,
            writer=JobWriter(self.kube),
            recorder=Recorder(self.kube, "operator"),
            clock=self.clock,
        )

    def add(self, name: str = "train", **status: Any) -> None:
        """A job that started at noon and has had no ready pod."""
        started = {
            "state": "Starting",
            "reason": "Immediate",
            "releasedTime": format_instant(NOON),
            "conditions": [a_condition("Released", "Immediate")],
            "workload": {
                "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": f"child-{name}",
            },
        }  # fmt: skip
        stored = self.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(name, status=started | status))
        self.jobs.apply(stored)
        self.jobs.apply_child(a_child_body(stored, uid=f"child-{name}"))

    def fail(self, name: str = "train", reason: str = "WorkloadFailed") -> None:
        """A job that has failed."""
        conditions = [a_condition("Released", "Immediate"), a_condition("Failed", reason)]
        finished = format_instant(self.clock.now())
        self.add(name, state="Failed", reason=reason, conditions=conditions, finishedTime=finished)

    def pod(self, name: str = "train", owner: str = "", **status: Any) -> None:
        """A pod of a job's child."""
        metadata = {
            "name": f"{name}-0",
            "labels": {Label.JOB_UID.value: f"uid-{name}"},
            "ownerReferences": [{"controller": True, "uid": owner or f"child-{name}"}],
        }
        self.kube.put(PODS, "ml", {"metadata": metadata, "status": {"phase": "Pending"} | status})

    def status(self, name: str = "train") -> dict[str, Any]:
        """The status as the API server has it."""
        return dict((self.kube.stored(CARBON_AWARE_JOBS, "ml", name) or {})["status"])

    def looks(self) -> int:
        """How often pods were listed."""
        return self.kube.count("list", PODS.path("ml"))

    def told(self) -> list[tuple[str, str, str]]:
        """Type, reason and note of each event of ours."""
        path = EVENTS.path("ml")
        events = [body for key, body in self.kube.objects.items() if key.startswith(path)]
        return [(event["type"], event["reason"], event["note"]) for event in events]


@pytest.fixture
async def stage():
    """The task on an empty cluster."""
    stage = Stage()
    task = asyncio.create_task(stage.reasons.run())
    yield stage
    assert not task.done(), task.exception()
    task.cancel()


class TestStarting:
    async def test_says_what_its_pods_lack(self, stage):
        """And warns of it once, in Kubernetes' own words."""
        stage.add()
        stage.pod(conditions=[UNFIT])

        await stage.clock.advance(60)

        assert ("Starting", "Unschedulable") == (stage.status()["state"], stage.status()["reason"])
        assert [("Warning", "Starting", "Unschedulable: 0/1 nodes")] == stage.told()

    async def test_is_written_once_though_the_words_drift(self, stage):
        """The scheduler counts nodes anew all the time; the reason is the same."""
        stage.add()
        for nodes in range(6):
            stage.pod(conditions=[UNFIT | {"message": f"0/{nodes} nodes"}])
            await stage.clock.advance(600)

        assert 1 == stage.kube.count("apply", CARBON_AWARE_JOBS.path("ml", "train", "status"))

    async def test_is_looked_at_later_each_time(self, stage):
        """A pod that waits a day for its node costs few requests."""
        stage.add()
        stage.pod(conditions=[UNFIT])

        await stage.clock.advance(24 * 3600)

        assert stage.looks() <= 24 * 3600 / LAST_WAIT.total_seconds() + 7

    async def test_says_that_a_quota_refuses_its_pods(self, stage):
        """Only an event of the Job controller knows; the grid decides nothing any more."""
        stage.add()
        event = {
            "metadata": {"name": "e"},
            "reason": "FailedCreate",
            "message": "exceeded quota: none",
        }
        stage.kube.put(CORE_EVENTS, "ml", event)

        await stage.clock.advance(60)

        assert "QuotaExceeded" == stage.status()["reason"]

    @pytest.mark.parametrize("waiting", ["ContainerCreating", "PodInitializing"])
    async def test_does_not_tell_what_every_pod_goes_through(self, stage, waiting):
        """It is no news that an image is being pulled."""
        stage.add()
        container = {"name": "main", "state": {"waiting": {"reason": waiting}}}
        stage.pod(containerStatuses=[container])

        await stage.clock.advance(60)

        assert "Immediate" == stage.status()["reason"]

    async def test_believes_no_label(self, stage):
        """A pod of somebody else that carries it speaks for nobody."""
        stage.add()
        stage.pod(owner="somebody", conditions=[UNFIT])

        await stage.clock.advance(60)

        assert "Immediate" == stage.status()["reason"]


class TestFailed:
    async def test_says_how_its_pod_ended_and_where_its_logs_are(self, stage):
        """Out of memory is what people look for."""
        stage.fail()
        stage.pod(phase="Failed", containerStatuses=[KILLED])

        await stage.clock.advance(60)

        assert ("Failed", "OOMKilled") == (stage.status()["state"], stage.status()["reason"])
        (failed,) = [c for c in stage.status()["conditions"] if c["type"] == "Failed"]
        assert "WorkloadFailed" == failed["reason"]
        assert "exit code 137" in failed["message"]
        assert "kubectl logs job/train -n ml" in failed["message"]

    async def test_is_looked_at_once(self, stage):
        """Its pods may be gone, and then nobody knows."""
        stage.fail()

        await stage.clock.advance(7200)

        assert 1 == stage.looks()

    async def test_without_pods_of_its_own_doing_is_not_looked_at(self, stage):
        """A missed deadline has none."""
        stage.fail(reason="DeadlineMissed")

        await stage.clock.advance(60)

        assert 0 == stage.looks()


class TestMany:
    async def test_are_looked_at_a_few_in_a_period(self, stage):
        """A burst of starts makes no burst of requests."""
        for number in range(3 * LOOKS_EACH):
            stage.fail(f"job-{number}")

        await stage.clock.advance(PERIOD_SECONDS)

        assert LOOKS_EACH == stage.looks()

    async def test_are_not_held_up_by_one_that_cannot_be_read(self, stage):
        """A refusal concerns one job, and leaves its status alone."""
        stage.kube.fail(PODS.path("ml"), ApiError(403, "Forbidden", "no"))
        stage.add()
        await stage.clock.advance(60)
        stage.kube.fail(PODS.path("ml"), None)
        stage.pod(conditions=[UNFIT])

        await stage.clock.advance(minutes(5).total_seconds())

        assert "Unschedulable" == stage.status()["reason"]
