"""The planner on an API server in memory: what is written, in which order, and what is not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from builders import NOON, a_job_body, a_zone_body, an_outlook, hours
from carbonaware_operator.api.reasons import Annotation
from carbonaware_operator.cluster.events import Recorder
from carbonaware_operator.cluster.jobs import JobWriter
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, EVENTS, JOBS, ApiError
from carbonaware_operator.engine.planner import (
    REFUSAL_RETRY,
    RETRY_FIRST,
    RETRY_LAST,
    WRITES_IN_FLIGHT,
    Planner,
)
from carbonaware_operator.quantities.instants import format_instant
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore, zone_record
from carbonaware_operator.telemetry.metrics import OperatorMetrics
from fakes import FakeKube, ManualClock, settle

CHILDREN = JOBS.path("ml")
DIRTY = {"maxGramsPerKWh": 100}
QUOTA = ApiError(403, "Forbidden", "exceeded quota: no-jobs")
AWAY = ApiError(0, "Unreachable", "API server does not answer")


class Stage:
    """A planner that runs, its stores, and the API server that it acts on."""

    def __init__(self) -> None:
        self.kube, self.clock = FakeKube(), ManualClock(NOON)
        self.jobs, self.zones = JobStore(), ZoneStore()
        self.leads = True
        self.metrics = OperatorMetrics(self.jobs, self.zones, "test")
        self.planner = Planner(
            jobs=self.jobs,
            zones=self.zones,
            writer=JobWriter(self.kube),
            recorder=Recorder(self.kube, "operator"),
            metrics=self.metrics,
            clock=self.clock,
            leading=lambda: self.leads,
        )
        self.zones.apply(zone_record(a_zone_body()))
        self.zones.set_outlook(an_outlook(300))

    async def add(self, name: str = "train", **fields: Any) -> None:
        """Create or change a job, and let the planner see it."""
        stored = self.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(name, **fields))
        self.planner.touch(self.jobs.apply(stored).uid)
        await self.done()

    async def change(self, name: str = "train", **spec: Any) -> None:
        """Change fields of a job's spec, and let the planner see it."""
        live = self.job(name)
        live["spec"] |= spec
        live["metadata"]["generation"] += 1
        self.planner.touch(self.jobs.apply(self.kube.put(CARBON_AWARE_JOBS, "ml", live)).uid)
        await self.done()

    async def outlook(self, grams: float | None) -> None:
        """A new intensity of the zone."""
        self.zones.set_outlook(an_outlook(grams))
        self.planner.zone_changed("de")
        await self.done()

    async def child_status(self, name: str = "train", **status: Any) -> None:
        """The Job controller reports on a child, and the planner sees it."""
        child = self.child(name)
        assert child is not None
        stored = self.kube.put(JOBS, "ml", {**child, "status": status})
        self.planner.touch(self.jobs.apply_child(stored) or "")
        await self.done()

    async def done(self) -> None:
        """Wait until everything that can be done has been."""
        for _ in range(10):
            await settle()

    def job(self, name: str = "train") -> dict[str, Any]:
        """The job as the API server has it."""
        return dict(self.kube.stored(CARBON_AWARE_JOBS, "ml", name) or {})

    def child(self, name: str = "train") -> dict[str, Any] | None:
        """The child Job as the API server has it."""
        return self.kube.stored(JOBS, "ml", name)

    def told(self, kind: str = "Released", name: str = "train") -> tuple[str, str]:
        """Status and reason of a condition."""
        for condition in (self.job(name).get("status") or {}).get("conditions") or []:
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return "", ""

    def writes(self, prefix: str = "/") -> list[tuple[str, str]]:
        """Writing requests so far, events and dry runs included."""
        return [r for r in self.kube.requests if r[0] != "get" and r[1].startswith(prefix)]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A planner on an empty cluster with one zone at 300 gCO2e/kWh."""
    stage = Stage()
    task = asyncio.create_task(stage.planner.run())
    yield stage
    assert not task.done(), task.exception()
    task.cancel()


class TestHolding:
    async def test_says_why(self, stage):
        """A job above its limit is held, and its status tells."""
        await stage.add(schedule=DIRTY)

        assert ("False", "AboveMaxIntensity") == stage.told()
        assert None is stage.child()

    async def test_costs_no_write_per_signal(self, stage):
        """Three hundred new values that change no decision write nothing."""
        await stage.add(schedule=DIRTY)
        before = len(stage.kube.requests)

        for grams in range(301, 601):
            await stage.outlook(grams)

        assert before == len(stage.kube.requests)

    async def test_checks_the_template_once(self, stage):
        """The dry run is not repeated at every look."""
        await stage.add(schedule=DIRTY)
        await stage.outlook(None)
        await stage.outlook(500)

        assert 1 == stage.kube.count("create", f"{CHILDREN}/train")

    async def test_waits_for_a_zones_first_outlook(self, stage):
        """Right after the start a zone is not called missing: it is being asked."""
        stage.zones.apply(zone_record(a_zone_body("fr")))

        await stage.add(zone="fr")

        assert [] == stage.writes()

    async def test_does_not_wait_for_a_first_outlook_beyond_the_deadline(self, stage):
        """A deadline always wins, also when a provider never answers."""
        stage.zones.apply(zone_record(a_zone_body("fr")))
        await stage.add(zone="fr", schedule={"maxDelay": "1h"})

        await stage.clock.advance(3601)
        await stage.done()

        assert ("True", "DeadlineReached") == stage.told()


class TestReleasing:
    async def test_creates_the_child_then_writes_the_status(self, stage):
        """The child is the decision; the status tells of it."""
        await stage.add()

        assert ["create", "apply"] == [
            verb for verb, path in stage.writes() if "events" not in path
        ]
        assert ("True", "IntensityAcceptable") == stage.told()
        assert stage.child()["metadata"]["uid"] == stage.job()["status"]["workload"]["uid"]

    async def test_happens_once(self, stage):
        """However often a released job is looked at, there is nothing more to do."""
        await stage.add()
        before = stage.writes()

        stage.planner.touch_all()
        await stage.done()

        assert before == stage.writes()

    async def test_is_counted_once_by_place_and_reason(self, stage):
        """Dashboards draw it on their time axis."""
        await stage.add()
        stage.planner.touch_all()
        await stage.done()

        labels = {"namespace": "ml", "zone": "de", "reason": "IntensityAcceptable"}
        value = stage.metrics.registry.get_sample_value
        assert 1 == value("carbonaware_job_releases_total", labels)

    async def test_happens_once_though_the_clock_steps_back(self, stage):
        """An hour that comes twice releases nothing twice."""
        await stage.add(schedule={"maxDelay": "1h", **DIRTY})
        await stage.clock.advance(3600)
        await stage.done()

        before = stage.writes()

        stage.clock.step(-3600)
        stage.planner.touch_all()
        await stage.done()
        await stage.clock.advance(3600)

        assert before == stage.writes()

    async def test_follows_a_signal(self, stage):
        """The grid gets clean, the job starts."""
        await stage.add(schedule=DIRTY)

        await stage.outlook(99)

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_follows_the_clock(self, stage):
        """Without any event the deadline starts the job."""
        await stage.add(schedule={"maxDelay": "1h", **DIRTY})

        await stage.clock.advance(3600)
        await stage.done()

        assert ("True", "DeadlineReached") == stage.told()

    async def test_goes_by_deadline_then_by_age(self, stage):
        """When a threshold is crossed, whoever can wait least goes first."""
        await stage.add("young", schedule=DIRTY | {"startBy": "2026-06-16T00:00:00Z"})
        await stage.add(
            "old", created=NOON - hours(1), schedule=DIRTY | {"startBy": "2026-06-16T00:00:00Z"}
        )
        await stage.add("urgent", schedule=DIRTY | {"maxDelay": "2h"})
        stage.kube.requests.clear()

        await stage.outlook(50)

        created = [path for verb, path in stage.writes(CHILDREN) if verb == "create"]
        expected = ["urgent", "old", "young"]
        assert expected == [path.rpartition("/")[2] for path in created]

    async def test_heeds_the_users_request(self, stage):
        """The token is handled once and noted."""
        await stage.add(schedule=DIRTY, annotations={Annotation.RELEASE_REQUESTED.value: "now-1"})

        assert ("True", "ReleasedByUser") == stage.told()
        assert "now-1" == stage.job()["status"]["handledReleaseRequest"]


class TestRefusals:
    async def test_an_invalid_template_is_said(self, stage):
        """The user reads what to change."""
        stage.kube.fail(CHILDREN, ApiError(422, "Invalid", "containers: Required value"))

        await stage.add()

        assert ("False", "InvalidWorkload") == stage.told()

    async def test_an_invalid_template_is_not_tried_again(self, stage):
        """It cannot change."""
        stage.kube.fail(CHILDREN, ApiError(422, "Invalid", "containers: Required value"))
        await stage.add()
        before = stage.writes()

        await stage.clock.advance(86400)
        await stage.done()

        assert before == stage.writes()

    async def test_a_full_quota_is_said_and_tried_again(self, stage):
        """Room in the quota starts the job, at the next attempt."""
        stage.kube.fail(CHILDREN, QUOTA)
        await stage.add()
        assert ("False", "QuotaExceeded") == stage.told()
        stage.kube.fail(CHILDREN, None)

        await stage.clock.advance(REFUSAL_RETRY.total_seconds())
        await stage.done()

        assert ("True", "IntensityAcceptable") == stage.told()


class TestTrouble:
    async def test_a_job_that_changed_is_decided_on_anew(self, stage):
        """The user suspends at the very moment of the release: the live job counts."""
        stale = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body()))
        stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(suspend=True))

        stage.planner.touch(stale.uid)
        await stage.done()

        assert ("False", "SuspendedByUser") == stage.told()
        assert None is stage.child()

    async def test_a_job_deleted_in_flight_is_forgotten(self, stage):
        """Nothing is created for it."""
        record = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body()))
        stage.kube.objects.clear()

        stage.planner.touch(record.uid)
        await stage.done()

        assert ({}, {}) == (stage.jobs.records, stage.kube.objects)

    async def test_attempts_back_off(self, stage):
        """An API server that is away is asked less and less often, but at least once a minute."""
        stage.kube.fail("/", AWAY)
        await stage.add()
        await stage.clock.advance(RETRY_FIRST.total_seconds() * 63)
        tried = len(stage.kube.requests)

        await stage.clock.advance(RETRY_LAST.total_seconds() * 10)

        assert 10 == len(stage.kube.requests) - tried
        assert 7 == tried

    async def test_an_api_server_that_returns_gets_what_it_missed(self, stage):
        """Nothing is lost by an absence."""
        stage.kube.fail("/", AWAY)
        await stage.add()
        await stage.clock.advance(600)
        stage.kube.fail("/", None)

        await stage.clock.advance(RETRY_LAST.total_seconds())
        await stage.done()

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_a_success_forgets_the_failures(self, stage):
        """The next trouble begins with a short wait again."""
        stage.kube.fail("/", AWAY)
        await stage.add(schedule=DIRTY)
        await stage.clock.advance(300)
        stage.kube.fail("/", None)
        await stage.clock.advance(60)
        await stage.done()

        assert {} == stage.planner._failures

    async def test_events_that_cannot_be_written_stop_nothing(self, stage):
        """A role without events still releases jobs."""
        stage.kube.fail(EVENTS.path("ml"), ApiError(403, "Forbidden", "no"))

        await stage.add()

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_an_answer_of_an_odd_shape_is_logged_and_concerns_one_job(self, stage, caplog):
        """What nobody foresaw is seen in the log, and the other jobs go on."""
        odd = a_job_body("odd", suspend=True)
        record = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body("odd")))
        stage.kube.put(CARBON_AWARE_JOBS, "ml", odd | {"spec": odd["spec"] | {"schedule": "x"}})

        stage.planner.touch(record.uid)
        await stage.add()

        assert "action failed" in caplog.messages
        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_one_action_at_a_time_for_each_job(self, stage):
        """Passes that come while a job is acted on wait for the end of the action."""
        record = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body()))
        for _ in range(5):
            stage.planner.touch(record.uid)
            await asyncio.sleep(0)
            assert len(stage.planner._busy) <= 1
        await stage.done()

        assert 1 == len([w for w in stage.writes(CHILDREN) if w[0] == "create"])


class TestLeading:
    async def test_a_standby_writes_nothing(self, stage):
        """Only the leader acts."""
        stage.leads = False

        await stage.add()
        await stage.clock.advance(60)

        assert [] == stage.kube.requests

    async def test_a_new_leader_acts_on_everything(self, stage):
        """What waited is decided on."""
        stage.leads = False
        await stage.add()
        stage.leads = True

        stage.planner.touch_all()
        await stage.clock.advance(1)
        await stage.done()

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_actions_that_wait_for_their_turn_are_dropped_with_the_lease(self, stage):
        """Releases that queue behind a slow API server are no longer this replica's."""
        for n in range(40):
            stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(f"job-{n}")))
        stage.planner.touch_all()
        await stage.planner.plan_once()
        await asyncio.sleep(0)  # the first of them have their turn
        stage.leads = False
        await stage.done()

        assert len(stage.writes(CHILDREN)) <= WRITES_IN_FLIGHT

    async def test_dropped_actions_are_made_up_for_when_the_lease_comes_back(self, stage):
        """The lease may be away for so short a time that nobody announces it."""
        for n in range(40):
            stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(f"job-{n}")))
        stage.planner.touch_all()
        await stage.planner.plan_once()
        await asyncio.sleep(0)  # the first of them have their turn
        stage.leads = False
        await stage.done()

        stage.leads = True
        await stage.clock.advance(1)
        await stage.done()

        assert all(stage.child(f"job-{n}") for n in range(40))


class TestStarted:
    async def test_completion_is_noted(self, stage):
        """The child's end is the job's."""
        await stage.add()

        await stage.child_status(
            completionTime=format_instant(NOON + hours(1)),
            conditions=[a_condition("Complete")],
        )

        assert ("True", "Succeeded") == stage.told("Complete")
        assert 3600 == stage.job()["status"]["runSeconds"]

    async def test_suspension_by_the_user_stops_the_child(self, stage):
        """`suspend` wins over a running job."""
        await stage.add()

        await stage.change(suspend=True)
        assert stage.child()["spec"]["suspend"]
        await stage.child_status(conditions=[a_condition("Suspended")], terminating=0)

        assert ("False", "SuspendedByUser") == stage.told()

    async def test_lifting_it_lets_the_child_go_on(self, stage):
        """At once, and the shift notes how long it stood."""
        await stage.add()
        await stage.change(suspend=True)
        await stage.child_status(conditions=[a_condition("Suspended")], terminating=0)
        await stage.clock.advance(600)

        await stage.change(suspend=False)

        assert not stage.child()["spec"]["suspend"]
        assert [0, 600] == [shift["seconds"] for shift in stage.job()["status"]["shifts"]]

    async def test_an_ended_child_is_not_suspended(self, stage):
        """A user who suspends what has just ended gets its end."""
        await stage.add()
        child = {**stage.child(), "status": {"conditions": [a_condition("Complete")]}}
        stage.jobs.apply_child(stage.kube.put(JOBS, "ml", child))

        await stage.change(suspend=True)

        assert ("True", "Succeeded") == stage.told("Complete")
        assert not stage.child()["spec"].get("suspend")

    async def test_a_deleted_child_fails_the_job(self, stage):
        """It is never created a second time."""
        await stage.add()
        child = dict(stage.child())
        stage.kube.objects.pop(JOBS.path("ml", child["metadata"]["name"]))

        stage.planner.touch(stage.jobs.forget_child(child) or "")
        await stage.done()

        assert ("True", "WorkloadDeleted") == stage.told("Failed")
        assert None is stage.child()

    async def test_a_child_that_only_the_store_lost_is_found_again(self, stage):
        """Before a job fails for a vanished child, the API server is asked."""
        await stage.add()

        stage.planner.touch(stage.jobs.forget_child(stage.child()) or "")
        await stage.done()

        assert ("", "") == stage.told("Failed")


class TestExpiry:
    async def test_a_finished_job_is_deleted_after_its_time_to_live(self, stage):
        """Not before, and not by an event: by the clock."""
        await stage.add(ttlAfterFinished="1h")
        await stage.child_status(
            completionTime=format_instant(NOON), conditions=[a_condition("Complete")]
        )
        await stage.clock.advance(3599)
        assert stage.job()

        await stage.clock.advance(1)
        await stage.done()

        assert {} == stage.job()

    async def test_a_job_without_time_to_live_stays(self, stage):
        """The record is the user's to delete."""
        await stage.add()
        await stage.child_status(conditions=[a_condition("Complete")])

        await stage.clock.advance(400 * 86400)

        assert stage.job()


def a_condition(kind: str) -> dict[str, str]:
    """A condition of a Job, true since noon."""
    return {"type": kind, "status": "True", "lastTransitionTime": format_instant(NOON)}
