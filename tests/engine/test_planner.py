"""The planner on an API server in memory: what is written, in which order, and what is not."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from builders import NOON, a_child_body, a_job_body, a_zone_body, an_outlook, hours
from carbonaware_operator.api.reasons import Annotation
from carbonaware_operator.cluster.events import Recorder
from carbonaware_operator.cluster.jobs import JobWriter
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, EVENTS, JOBS, ApiError
from carbonaware_operator.engine.inbox import StoreInbox
from carbonaware_operator.engine.planner import REFUSALS, SLOTS, Planner
from carbonaware_operator.engine.workqueue import ERRORS
from carbonaware_operator.quantities.instants import format_instant
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore, zone_record
from carbonaware_operator.telemetry.metrics import OperatorMetrics
from fakes import FakeKube, ManualClock, eventually, settle

CHILDREN = JOBS.path("ml")
DIRTY = {"maxGramsPerKWh": 100}
STATUS = CARBON_AWARE_JOBS.path("ml", "train", "status")
QUOTA = ApiError(403, "Forbidden", "exceeded quota: no-jobs")
DENIED = ApiError(400, "BadRequest", "admission webhook denied the request")
INVALID = ApiError(422, "Invalid", "containers: Required value", causes=("spec.template.spec",))
AWAY = ApiError(0, "Unreachable", "API server does not answer")


class Stage:
    """A planner that runs, its stores, and the API server that it acts on."""

    def __init__(self, releases_per_second: float = 0.0) -> None:
        self.kube, self.clock = FakeKube(), ManualClock(NOON)
        self.jobs, self.zones = JobStore(), ZoneStore()
        self.metrics = OperatorMetrics(self.jobs, self.zones, "test")
        self.planner = Planner(
            jobs=self.jobs,
            zones=self.zones,
            writer=JobWriter(self.kube),
            recorder=Recorder(self.kube, "operator"),
            metrics=self.metrics,
            clock=self.clock,
            releases_per_second=releases_per_second,
            jitter=lambda: 1.0,
        )
        self.inbox = StoreInbox(
            self.jobs,
            self.zones,
            touch=self.planner.touch,
            zone_changed=self.planner.zone_changed,
            forgotten=self.planner.forget,
            room=self.planner.room,
            name_freed=self.planner.name_freed,
        )
        self.task: asyncio.Task[None] | None = None
        self.zones.apply(zone_record(a_zone_body()))
        self.zones.set_outlook(an_outlook(300))

    async def lead(self) -> None:
        """The lease is gained."""
        self.task = asyncio.create_task(self.planner.run())
        await self.done()

    async def lose(self) -> None:
        """The lease is lost."""
        assert self.task
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def add(self, name: str = "train", **fields: Any) -> None:
        """Create or change a job, and let the planner see it."""
        namespace = fields.get("namespace", "ml")
        stored = self.kube.put(CARBON_AWARE_JOBS, namespace, a_job_body(name, **fields))
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

    async def somebody_sets_suspend(self, value: bool, name: str = "train") -> None:
        """A queue or a person flips the switch of a child Job, and the planner sees it."""
        child = self.child(name)
        assert child is not None
        child["spec"]["suspend"] = value
        switch = {"f:spec": {"f:suspend": {}}}
        child["metadata"]["managedFields"] = [{"manager": "kueue", "fieldsV1": switch}]
        self.inbox.child(self.kube.put(JOBS, "ml", child), deleted=False)
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

    def quota(self, most: int) -> None:
        """So many Jobs may be in the namespace; the message counts, as a quota's does."""
        create, refused = FakeKube.create, count()

        async def limited(kind: Any, namespace: Any, body: Any, *, dry_run: bool = False) -> Any:
            there = sum(path.startswith(CHILDREN) for path in self.kube.objects)
            if kind is JOBS and namespace == "ml" and not dry_run and there >= most:
                self.kube.requests.append(("create", JOBS.path("ml", body["metadata"]["name"])))
                words = f"exceeded quota: no-jobs, used: {next(refused)}"
                raise ApiError(403, "Forbidden", words)
            return await create(self.kube, kind, namespace, body, dry_run=dry_run)

        self.kube.create = limited  # type: ignore[method-assign]

    def hold_creations(self) -> asyncio.Event:
        """No child Job is created until the event is set."""
        gate, create = asyncio.Event(), FakeKube.create

        async def held(kind: Any, namespace: Any, body: Any, *, dry_run: bool = False) -> Any:
            if kind is JOBS and not dry_run:
                await gate.wait()
            return await create(self.kube, kind, namespace, body, dry_run=dry_run)

        self.kube.create = held  # type: ignore[method-assign]
        return gate

    def refuse_status_with(self, field: str) -> None:
        """The API server finds a field of the status invalid."""
        apply = FakeKube.apply

        async def strict(kind: Any, namespace: Any, body: Any, **given: Any) -> Any:
            if field in body.get("status", {}):
                raise ApiError(422, "Invalid", "status is invalid")
            return await apply(self.kube, kind, namespace, body, **given)

        self.kube.apply = strict  # type: ignore[method-assign]

    def created(self, name: str = "") -> int:
        """How many attempts there were to create a child, or the child of one job."""
        path = JOBS.path("ml", name) if name else CHILDREN
        return sum(verb == "create" for verb, _ in self.writes(path))

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
    await stage.lead()
    yield stage
    assert stage.task
    assert not stage.task.done() or stage.task.cancelled(), stage.task.exception()
    await stage.lose()


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
    async def test_an_invalid_template_is_said_and_not_tried_again(self, stage):
        """The user reads what to change; it cannot change by itself."""
        stage.kube.fail(CHILDREN, INVALID)
        await stage.add(schedule=DIRTY)
        assert ("False", "InvalidWorkload") == stage.told()
        before = stage.writes()

        await stage.clock.advance(3 * 86400)
        await stage.done()

        assert before == stage.writes()

    async def test_an_invalid_template_of_a_job_that_starts_at_once_is_final_too(self, stage):
        """The refused creation is followed by a dry run, which alone says that it is for good."""
        stage.kube.fail(CHILDREN, INVALID)
        await stage.add()
        before = stage.writes()

        await stage.clock.advance(3 * 86400)
        await stage.done()

        assert ("False", "InvalidWorkload") == stage.told()
        assert before == stage.writes()

    @pytest.mark.parametrize("verb", ["check", "create", "apply", "get"])
    @pytest.mark.parametrize("status", [0, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503])
    async def test_whatever_the_api_server_says_passes(self, stage, status, verb):
        """A policy, a webhook or a right that is mended lets the job start, once and in time."""
        refused = ApiError(status, "Refused", "admission webhook denied the request")
        path = {"apply": CARBON_AWARE_JOBS.path("ml"), "get": CARBON_AWARE_JOBS.path("ml")}
        if (verb, status) != ("get", 404):  # which is an answer: the job is gone
            stage.kube.fail(path.get(verb, CHILDREN), refused, verb)
        await stage.add(schedule=DIRTY | {"maxDelay": "2h"})
        await stage.clock.advance(3600)
        stage.kube.fail(path.get(verb, CHILDREN), None)

        await stage.clock.advance(3600)
        await stage.done()

        assert ("True", "DeadlineReached") == stage.told()
        assert 1 == len([path for path in stage.kube.objects if path.startswith(CHILDREN)])

    async def test_are_tried_once_more_at_the_latest_start(self, stage):
        """However long the back-off has become."""
        stage.kube.fail(CHILDREN, DENIED)
        await stage.add(schedule={"maxDelay": "2h"})
        await stage.clock.advance(7199)
        stage.kube.fail(CHILDREN, None)
        await stage.clock.advance(1)
        await stage.done()

        assert stage.child()

    async def test_back_off_from_a_minute_to_ten(self, stage):
        """Nobody is asked more often than needed."""
        stage.kube.fail(CHILDREN, DENIED)
        await stage.add()
        await stage.clock.advance(REFUSALS.first * (1 + 2 + 4 + 8) + REFUSALS.last)
        tried = stage.created()

        await stage.clock.advance(REFUSALS.last * 6)

        assert 6 == stage.created() - tried

    async def test_whose_words_differ_each_time_are_written_once(self, stage):
        """A status is written for what changes, and a webhook's words may hold anything."""
        stage.kube.fail(CHILDREN, DENIED)
        await stage.add()
        before = stage.kube.count("apply", STATUS)

        for number in range(1, 11):
            stage.kube.fail(CHILDREN, ApiError(400, "BadRequest", f"denied, request {number}"))
            await stage.clock.advance(600)
        await stage.done()

        assert before == stage.kube.count("apply", STATUS)

    async def test_of_a_conflict_are_tried_again_at_once(self, stage):
        """So a quota answers to creations at the same time; it says nothing of the job."""
        stage.kube.fail(CHILDREN, ApiError(409, "Conflict", "resourcequotas: has been modified"))
        await stage.add()
        stage.kube.fail(CHILDREN, None)

        await stage.clock.advance(1)
        await stage.done()

        assert ("True", "IntensityAcceptable") == stage.told()


class TestQuotas:
    async def test_are_said_and_tried_again(self, stage):
        """Room in the quota starts the job, at the next attempt."""
        stage.kube.fail(CHILDREN, QUOTA)
        await stage.add()
        assert ("False", "QuotaExceeded") == stage.told()
        stage.kube.fail(CHILDREN, None)

        await stage.clock.advance(REFUSALS.first)
        await stage.done()

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_cost_one_attempt_for_a_whole_namespace(self, stage):
        """A hundred jobs that wait for one quota ask as often as one does, and write no more."""
        stage.quota(0)
        for number in range(100):
            await stage.add(f"j{number:02}")
        assert {("False", "QuotaExceeded")} == {stage.told(name=f"j{n:02}") for n in range(100)}
        tried, written = stage.created(), len(stage.writes(CARBON_AWARE_JOBS.path("ml")))

        await stage.clock.advance(3600)
        await stage.done()

        assert stage.created() - tried <= 10
        assert written == len(stage.writes(CARBON_AWARE_JOBS.path("ml")))

    async def test_a_deleted_child_lets_one_job_start_at_once(self, stage):
        """The one that can wait least."""
        stage.quota(1)
        await stage.add("runs")
        for name, delay in (("later", "9h"), ("first", "8h"), ("last", "10h")):
            await stage.add(name, schedule={"maxDelay": delay})
        assert None is stage.child("first")

        gone = stage.kube.objects.pop(JOBS.path("ml", "runs"))
        stage.inbox.child(gone, deleted=True)
        await stage.done()

        names = [name for name in ("first", "later", "last") if stage.child(name)]
        assert ["first"] == names

    async def test_a_large_gap_is_filled_at_once(self, stage):
        """Each job that starts lets two more try."""
        stage.quota(0)
        for number in range(50):
            await stage.add(f"j{number:02}")
        stage.quota(1000)

        stage.planner.room("ml")
        await stage.done()
        await stage.done()

        assert all(stage.child(f"j{number:02}") for number in range(50))

    async def test_of_one_namespace_hold_nobody_elsewhere(self, stage):
        """Each namespace has its own."""
        stage.quota(0)
        await stage.add()

        await stage.add("elsewhere", namespace="web")

        assert stage.kube.stored(JOBS, "web", "elsewhere")

    async def test_a_job_is_tried_at_its_latest_start_in_a_full_namespace(self, stage):
        """Once at least, though others before it wait."""
        stage.quota(0)
        await stage.add("other")
        await stage.add(schedule={"maxDelay": "10m"})
        await stage.clock.advance(599)
        before = stage.created("train")

        await stage.clock.advance(1)
        await stage.done()

        assert 1 == stage.created("train") - before

    async def test_a_suspended_job_stands_in_nobodys_way(self, stage):
        """Room goes to the next one; and who comes back waits again."""
        stage.quota(0)
        await stage.add("first", schedule={"maxDelay": "8h"})
        await stage.add("second", schedule={"maxDelay": "9h"})
        await stage.change("first", suspend=True)
        stage.quota(1)
        stage.planner.room("ml")
        await stage.done()
        assert stage.child("second")

        await stage.change("first", suspend=False)
        await stage.clock.advance(600)
        assert ("False", "QuotaExceeded") == stage.told(name="first")
        stage.quota(2)
        await stage.clock.advance(600)
        await stage.done()

        assert stage.child("first")


class TestUnreadable:
    async def test_job_is_told_and_starts_at_its_deadline(self, stage):
        """A strategy of a newer version, after a roll-back of the operator."""
        await stage.add(schedule={"strategy": "Whenever", "startBy": "2026-06-15T14:00:00Z"})
        told = stage.told()
        await stage.clock.advance(2 * 3600)
        await stage.done()

        assert (("False", "Unreadable"), ("True", "DeadlineReached")) == (told, stage.told())
        assert stage.child() is not None


class TestTrouble:
    async def test_a_job_that_changed_is_decided_on_anew(self, stage):
        """The user suspends at the very moment of the release: the live job counts."""
        stale = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body()))
        stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(suspend=True))

        stage.planner.touch(stale.uid)
        await stage.done()

        assert ("False", "SuspendedByUser") == stage.told()
        assert None is stage.child()

    async def test_a_job_that_has_failed_elsewhere_is_not_started(self, stage):
        """Another replica failed it at its deadline, between two of our looks."""
        stale = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body()))
        failed = {"type": "Failed", "status": "True", "reason": "DeadlineMissed", "message": "x"}
        failed["lastTransitionTime"] = format_instant(NOON)
        status = {"conditions": [failed]}
        stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(status=status))

        stage.planner.touch(stale.uid)
        await stage.done()

        assert None is stage.child()

    async def test_a_job_deleted_in_flight_is_forgotten(self, stage):
        """Nothing is created for it."""
        record = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body()))
        stage.kube.objects.clear()

        stage.planner.touch(record.uid)
        await stage.done()

        assert ({}, {}, 0) == (stage.jobs.records, stage.kube.objects, stage.planner.kept())

    async def test_attempts_back_off(self, stage):
        """An API server that is away is asked less and less often, but at least once a minute."""
        stage.kube.fail("/", AWAY)
        await stage.add()
        await stage.clock.advance(ERRORS.first * 63)
        tried = len(stage.kube.requests)

        await stage.clock.advance(ERRORS.last * 10)

        assert 10 == len(stage.kube.requests) - tried
        assert 7 == tried

    async def test_an_api_server_that_returns_gets_what_it_missed(self, stage):
        """Nothing is lost by an absence."""
        stage.kube.fail("/", AWAY)
        await stage.add()
        await stage.clock.advance(600)
        stage.kube.fail("/", None)

        await stage.clock.advance(ERRORS.last)
        await stage.done()

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_a_success_forgets_the_failures(self, stage):
        """The next trouble begins with a short wait again, and nothing is remembered."""
        stage.kube.fail("/", AWAY)
        await stage.add(schedule=DIRTY)
        await stage.clock.advance(300)
        stage.kube.fail("/", None)
        await stage.clock.advance(60)
        await stage.done()

        assert 1 == stage.planner.kept()  # its latest start

    async def test_an_api_server_that_asks_for_a_pause_gets_it(self, stage):
        """Retry-After is meant for every request."""
        stage.kube.fail(CHILDREN, ApiError(429, "TooManyRequests", "later", retry_after=30))
        await stage.add("first")
        asked = len(stage.kube.requests)

        await stage.add("second")
        await stage.clock.advance(29)
        assert asked == len(stage.kube.requests)
        stage.kube.fail(CHILDREN, None)
        await stage.clock.advance(2)
        await stage.done()

        assert stage.child("first")
        assert stage.child("second")

    async def test_a_conflict_that_stays_is_not_tried_at_the_speed_of_the_api_server(self, stage):
        """A status that is refused with a conflict again and again, though nothing has changed."""
        stage.kube.fail(STATUS, ApiError(409, "Conflict", "no"))
        await stage.add(schedule=DIRTY)
        await stage.clock.advance(60)

        assert stage.kube.count("apply", STATUS) < 20

    async def test_events_that_cannot_be_written_stop_nothing(self, stage):
        """A role without events still releases jobs."""
        stage.kube.fail(EVENTS.path("ml"), ApiError(403, "Forbidden", "no"))

        await stage.add()

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_an_answer_of_an_odd_shape_is_logged_and_tried_again(self, stage, caplog):
        """What nobody foresaw concerns one job, and does not cost it its deadline."""
        odd = a_job_body("odd", suspend=True)
        record = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body("odd")))
        odd["metadata"]["annotations"] = "x"
        stage.kube.put(CARBON_AWARE_JOBS, "ml", odd)

        stage.planner.touch(record.uid)
        await stage.add()
        assert "action failed" in caplog.messages
        assert ("True", "IntensityAcceptable") == stage.told()
        stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body("odd"))
        await stage.clock.advance(ERRORS.last)
        await stage.done()

        assert stage.child("odd")

    async def test_a_decision_that_fails_concerns_one_job(self, stage, caplog, monkeypatch):
        """And is tried again."""
        step = stage.planner.step

        def failing(record, now):
            if record.name == "odd":
                raise ValueError("odd")
            return step(record, now)

        monkeypatch.setattr(stage.planner, "step", failing)
        await stage.add("odd")
        await stage.add()
        assert "job not decided on" in caplog.messages
        assert stage.child()
        monkeypatch.undo()
        await stage.clock.advance(ERRORS.last)
        await stage.done()

        assert stage.child("odd")

    async def test_one_action_at_a_time_for_each_job(self, stage):
        """Whatever wakes a job while it is acted on waits for the end of the action."""
        record = stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body()))
        for _ in range(5):
            stage.planner.touch(record.uid)
            await asyncio.sleep(0)
            assert len(stage.planner._in_flight) <= 1
        await stage.done()

        assert 1 == stage.created()


class TestStatusThatIsRefused:
    async def test_tells_the_smallest_truth(self, stage):
        """What the API server finds wrong with a field must not hide that the job runs."""
        stage.refuse_status_with("baselineStartTime")

        await stage.add()

        assert ("True", "IntensityAcceptable") == stage.told()
        assert stage.child()["metadata"]["uid"] == stage.job()["status"]["workload"]["uid"]
        value = stage.metrics.registry.get_sample_value
        labels = {"kind": "carbonawarejobs", "result": "reduced"}
        assert 1 == value("carbonaware_writes_total", labels)

    async def test_is_not_written_again_and_again(self, stage):
        """Until there is something else to tell."""
        stage.refuse_status_with("baselineStartTime")
        await stage.add()
        before = stage.kube.count("apply", STATUS)

        stage.planner.touch_all()
        await stage.clock.advance(3600)
        await stage.done()

        assert before == stage.kube.count("apply", STATUS)

    async def test_does_not_run_the_job_twice(self, stage):
        """Not even while no status at all can be written, and its child was deleted."""
        stage.kube.fail(STATUS, ApiError(403, "Forbidden", "no right"))
        await stage.add()
        child = stage.child()
        stage.kube.objects.pop(JOBS.path("ml", child["metadata"]["name"]))
        stage.inbox.child(child, deleted=True)
        await stage.clock.advance(600)
        assert None is stage.child()

        stage.kube.fail(STATUS, None)
        await stage.clock.advance(60)
        await stage.done()

        assert ("True", "WorkloadDeleted") == stage.told("Failed")
        assert None is stage.child()


class TestTurns:
    async def test_a_decision_is_taken_anew_when_its_turn_comes(self, stage):
        """All slots are busy; meanwhile the grid gets dirty: the job that waits must not start."""
        gate = stage.hold_creations()
        for number in range(SLOTS + 1):
            await stage.add(f"j{number:02}", schedule={"maxGramsPerKWh": 350})
        await stage.outlook(900)
        gate.set()
        await stage.done()

        assert None is stage.child(f"j{SLOTS:02}")
        assert stage.child("j00")

    async def test_many_releases_make_few_tasks(self, stage):
        """Jobs that wait for their turn cost a uid each."""
        stage.hold_creations()
        for number in range(2000):
            stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(f"j{number}")))
        stage.planner.touch_all()
        await stage.done()

        assert SLOTS == len(stage.planner._in_flight)
        assert len(asyncio.all_tasks()) < SLOTS + 10

    async def test_releases_go_before_writes(self, stage):
        """A job that may start does not wait for what is told of others."""
        gate = stage.hold_creations()
        for number in range(SLOTS):
            await stage.add(f"busy-{number}")
        for number in range(20):
            await stage.add(f"held-{number}", schedule=DIRTY)
        await stage.add("urgent")
        stage.kube.requests.clear()
        gate.set()
        await stage.done()

        live = [path for verb, path in stage.kube.requests if verb == "get"]
        assert CARBON_AWARE_JOBS.path("ml", "urgent") in live[:2]

    async def test_writes_get_their_turn_while_releases_go_on(self, stage):
        """One in eight, so that no status waits for ever."""
        for number in range(200):
            stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(f"j{number}")))
        stage.planner.touch_all()
        await eventually(lambda: stage.created() >= 150)

        assert any(verb == "apply" for verb, _ in stage.writes(CARBON_AWARE_JOBS.path("ml")))

    async def test_a_rate_is_kept(self):
        """An administrator may let power and schedulers rise slowly."""
        stage = Stage(releases_per_second=2)
        for number in range(20):
            stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(f"j{number}")))
        await stage.lead()
        at_once = stage.created()
        await stage.clock.advance(3)
        await stage.done()
        await stage.lose()

        assert (2, 8) == (at_once, stage.created())


class TestClocks:
    @pytest.mark.parametrize("step", [3600, 86400])
    async def test_a_step_or_a_pause_delays_no_deadline(self, stage, step):
        """A machine that slept, or a clock that was set: ten seconds later it is noticed."""
        await stage.add(schedule=DIRTY | {"maxDelay": "1h"})

        stage.clock.step(step)
        await stage.clock.advance(10)
        await stage.done()

        assert ("True", "DeadlineReached") == stage.told()


class TestForgetting:
    async def test_a_deleted_job_leaves_nothing_behind(self, stage):
        """Neither its latest start, nor its failures, nor its place in a line."""
        for number in range(100):
            await stage.add(f"held-{number}", schedule=DIRTY | {"maxDelay": "2000h"})
            await stage.add(f"runs-{number}")
        stage.quota(0)
        for number in range(100):
            await stage.add(f"waits-{number}")
        stage.kube.fail(STATUS.replace("train", "fails"), AWAY)
        await stage.add("fails", schedule=DIRTY)

        for record in list(stage.jobs.records.values()):
            body = a_job_body(record.name)
            stage.inbox.job(body, deleted=True)
        await stage.clock.advance(REFUSALS.last)  # for the namespace, which is another key

        assert ({}, 0) == (stage.jobs.records, stage.planner.kept())

    async def test_a_standby_keeps_nothing_and_asks_nobody(self, stage):
        """What comes is in the store; on gaining the lease everything is looked at."""
        await stage.lose()
        for number in range(1000):
            stage.inbox.job(a_job_body(f"j{number}"), deleted=False)
        await stage.clock.advance(3600)

        assert (0, []) == (stage.planner.kept(), stage.kube.requests)


class TestWrites:
    async def test_nothing_is_written_of_a_thousand_jobs_while_nothing_changes(self, stage):
        """Values and freshness that change no decision, windows, a sweep, hours: not one write."""
        windows = [{"start": "00:00", "end": "13:30"}, {"start": "13:00", "end": "00:00"}]
        for number in range(1000):
            schedule = DIRTY | {"maxDelay": "500h", "windows": windows if number % 2 else []}
            body = a_job_body(f"j{number}", schedule=schedule)
            stage.jobs.apply(stage.kube.put(CARBON_AWARE_JOBS, "ml", body))
        stage.planner.touch_all()
        for _ in range(20):
            await stage.done()
        assert 1000 == sum(bool(record.progress.conditions) for record in all_of(stage))
        before = len(stage.kube.requests)

        for grams in (301, None, 450, None, 299, 700):
            await stage.outlook(grams)
            stage.planner.touch_all()
            await stage.clock.advance(3600)
            await stage.done()

        assert before == len(stage.kube.requests)


class TestTelling:
    async def test_a_release_on_the_fallback_says_so(self, stage):
        """A value that stands in for the grid's is never given out for it."""
        await stage.outlook(None)

        await stage.add(schedule={"maxGramsPerKWh": 500})

        (released,) = stage.job()["status"]["conditions"]
        assert "IntensityAcceptable" == released["reason"]
        assert "the zone's fallback intensity" in released["message"]

    async def test_a_running_job_says_nothing_of_the_signal(self, stage):
        """What was so at its start would go on being said."""
        await stage.outlook(None)
        await stage.add()
        await stage.outlook(50)

        assert ["Released"] == [c["type"] for c in stage.job()["status"]["conditions"]]

    async def test_an_immediate_job_needs_no_zone(self, stage):
        """It asks no grid."""
        await stage.add(zone=None, schedule={"strategy": "Immediate"})

        assert ("True", "Immediate") == stage.told()

    async def test_every_condition_is_of_the_generation_that_was_looked_at(self, stage):
        """Also of a job that runs, and of one that has ended: `kubectl wait` compares it."""
        await stage.add()
        await stage.change(ttlAfterFinished="10h")
        assert {2} == generations(stage)
        await stage.child_status(conditions=[a_condition("Complete")])

        await stage.change(ttlAfterFinished="20h")

        assert {3} == generations(stage)

    async def test_a_wait_for_a_quota_is_no_shift(self, stage):
        """Nothing of the grid held the job."""
        stage.kube.fail(CHILDREN, QUOTA)
        await stage.add()
        assert "2026-06-15T12:00:00Z" == stage.job()["status"]["stalledTime"]
        stage.kube.fail(CHILDREN, None)

        await stage.clock.advance(8 * 3600)
        await stage.done()

        status = stage.job()["status"]
        assert [0] == [shift["seconds"] for shift in status["shifts"]]
        assert status["releasedTime"] == status["baselineStartTime"]
        assert "stalledTime" not in status

    async def test_of_a_long_token_the_beginning_is_kept(self, stage):
        """As much as the status can hold, and the request is handled once."""
        await stage.add(annotations={Annotation.RELEASE_REQUESTED.value: "x" * 2000})

        assert ("True", "ReleasedByUser") == stage.told()
        assert "x" * 1024 == stage.job()["status"]["handledReleaseRequest"]


def generations(stage: Stage) -> set[int]:
    """Of which generations a job's status speaks."""
    status = stage.job()["status"]
    return {status["observedGeneration"], *(c["observedGeneration"] for c in status["conditions"])}


def all_of(stage: Stage) -> list[Any]:
    """The records of a stage."""
    return list(stage.jobs.records.values())


class TestLeading:
    async def test_a_standby_writes_nothing(self, stage):
        """Only the leader acts."""
        await stage.lose()

        await stage.add()
        await stage.clock.advance(60)

        assert [] == stage.kube.requests

    async def test_a_new_leader_acts_on_everything(self, stage):
        """What waited is decided on."""
        await stage.lose()
        await stage.add()

        await stage.lead()

        assert ("True", "IntensityAcceptable") == stage.told()

    async def test_what_waits_for_its_turn_is_dropped_with_the_lease(self, stage):
        """Releases that queue behind a slow API server are no longer this replica's."""
        gate = stage.hold_creations()
        for number in range(SLOTS + 8):
            await stage.add(f"job-{number}")

        await stage.lose()
        gate.set()
        await stage.done()

        assert 0 == len(stage.writes(CHILDREN))

    async def test_what_was_dropped_is_made_up_for_when_the_lease_comes_back(self, stage):
        """However short a time it was away for."""
        gate = stage.hold_creations()
        for number in range(SLOTS + 8):
            await stage.add(f"job-{number}")
        await stage.lose()
        gate.set()

        await stage.lead()

        assert all(stage.child(f"job-{number}") for number in range(SLOTS + 8))

    async def test_at_the_end_nothing_more_is_begun(self, stage):
        """What is in flight ends; what waits for its turn is the next leader's."""
        gate = stage.hold_creations()
        for number in range(SLOTS + 8):
            await stage.add(f"job-{number}")

        draining = asyncio.create_task(stage.planner.drain(10))
        await stage.done()
        gate.set()
        await stage.done()

        assert draining.done()
        assert SLOTS == stage.created()


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


class TestState:
    async def test_is_written_once_for_each_transition(self, stage):
        """Ten reports of pods that are ready, fail and are tried again are one write."""
        await stage.add(schedule={"strategy": "Immediate"})
        assert "Starting" == stage.job()["status"]["state"]
        before = len(stage.writes(CARBON_AWARE_JOBS.path("ml")))

        for failed in range(5):
            await stage.child_status(active=1, ready=1, failed=failed)
            await stage.child_status(active=1, ready=0, failed=failed + 1)

        assert "Running" == stage.job()["status"]["state"]
        assert 1 == len(stage.writes(CARBON_AWARE_JOBS.path("ml"))) - before

    async def test_of_a_job_that_ended_under_an_earlier_version_is_added_once(self, stage):
        """Its conditions say it; its column would stay empty for ever."""
        ended = {
            "type": "Complete",
            "status": "True",
            "reason": "Succeeded",
            "message": "done",
            "lastTransitionTime": format_instant(NOON),
        }
        await stage.add(status={"conditions": [ended], "finishedTime": format_instant(NOON)})
        stage.planner.touch_all()
        await stage.done()

        assert ("Complete", "Succeeded") == (
            stage.job()["status"]["state"],
            stage.job()["status"]["reason"],
        )
        assert 1 == len(stage.writes(CARBON_AWARE_JOBS.path("ml")))


SUSPENDED = {"conditions": [a_condition("Suspended")], "terminating": 0}


class TestSuspensionsOfOthers:
    async def test_stand(self, stage):
        """A queue or a person suspends the child: it is shown, and nothing is written to it."""
        await stage.add()

        await stage.somebody_sets_suspend(True)
        await stage.child_status(**SUSPENDED)

        assert ("False", "SuspendedByOther") == stage.told()
        assert [] == [r for r in stage.writes(CHILDREN) if r[0] == "merge"]

    async def test_stand_whatever_the_user_does_meanwhile(self, stage):
        """The user's own adds nothing, and its end takes nothing away."""
        await stage.add()
        await stage.somebody_sets_suspend(True)
        await stage.child_status(**SUSPENDED)

        await stage.change(suspend=True)
        assert ("False", "SuspendedByUser") == stage.told()
        await stage.change(suspend=False)

        assert ("False", "SuspendedByOther") == stage.told()
        assert [] == [r for r in stage.writes(CHILDREN) if r[0] == "merge"]

    async def test_move_no_baseline_and_are_no_time_of_the_run(self, stage):
        """Run-at-once would have met them as well: waiting for them saves nothing."""
        await stage.add()
        await stage.somebody_sets_suspend(True)
        await stage.child_status(**SUSPENDED)
        await stage.clock.advance(600)
        await stage.somebody_sets_suspend(False)
        assert ("True", "IntensityAcceptable") == stage.told()
        assert [0] == [shift["seconds"] for shift in stage.job()["status"]["shifts"]]

        await stage.child_status(
            completionTime=format_instant(NOON + hours(1)),
            conditions=[a_condition("Complete")],
        )

        assert 3000 == stage.job()["status"]["runSeconds"]

    async def test_after_the_users_was_lifted_are_told_from_it(self, stage):
        """The note of ours is left over on the child: the queue's suspension is not ours."""
        await stage.add()
        await stage.change(suspend=True)
        await stage.child_status(**SUSPENDED)
        await stage.somebody_sets_suspend(False)
        await stage.change(suspend=False)

        await stage.somebody_sets_suspend(True)

        assert ("False", "SuspendedByOther") == stage.told()
        assert stage.child()["spec"]["suspend"]


class TestTheUsersSuspension:
    async def test_that_somebody_lifts_is_repeated_a_minute_later(self, stage):
        """It wins in the end, and nobody is fought at the speed of the API server."""
        await stage.add()
        await stage.change(suspend=True)
        await stage.child_status(**SUSPENDED)

        await stage.somebody_sets_suspend(False)
        await stage.clock.advance(59)
        await stage.done()
        assert not stage.child()["spec"]["suspend"]

        await stage.clock.advance(2)
        await stage.done()
        assert stage.child()["spec"]["suspend"]


class TestEndedJob:
    async def test_whose_child_runs_all_the_same_is_stopped(self, stage):
        """A former leader, cut off for a while, started what had failed at its deadline."""
        failed = {**a_condition("Failed"), "reason": "DeadlineMissed", "message": "too late"}
        await stage.add(status={"conditions": [failed]})

        stray = stage.kube.put(JOBS, "ml", a_child_body(a_job_body()))
        stage.inbox.child(stray, deleted=False)
        await stage.done()

        noted = stage.child()["metadata"]["annotations"]
        assert (True, "Ended") == (
            stage.child()["spec"]["suspend"],
            noted[Annotation.SUSPENDED_BY.value],
        )
        assert ("True", "DeadlineMissed") == stage.told("Failed")


class TestNameTaken:
    async def test_starts_as_soon_as_the_name_is_free(self, stage):
        """The Job of an earlier CarbonAwareJob of the name was still being deleted."""
        earlier = stage.kube.put(JOBS, "ml", a_child_body(a_job_body(uid="uid-earlier")))
        await stage.add()
        assert ("False", "NameTaken") == stage.told()

        stage.kube.objects.pop(JOBS.path("ml", "train"))
        stage.inbox.child(earlier, deleted=True)
        await stage.done()

        assert "uid-train" == stage.child()["metadata"]["ownerReferences"][0]["uid"]
        assert "True" == stage.told()[0]

    async def test_is_tried_again_when_nobody_says_that_the_name_is_free(self, stage):
        """A Job without our label is not watched."""
        stage.kube.put(JOBS, "ml", a_child_body(a_job_body(uid="uid-earlier")))
        await stage.add()

        stage.kube.objects.pop(JOBS.path("ml", "train"))
        await stage.clock.advance(REFUSALS.last)
        await stage.done()

        assert stage.child() is not None

    async def test_leaves_nothing_behind_of_a_job_that_goes(self, stage):
        """Nothing is kept of a deleted job."""
        stage.kube.put(JOBS, "ml", a_child_body(a_job_body(uid="uid-earlier")))
        await stage.add()

        stage.inbox.job(stage.job(), deleted=True)

        assert 0 == stage.planner.kept()
