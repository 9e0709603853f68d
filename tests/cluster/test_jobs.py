"""The writer: every write has its preconditions, every refusal its meaning."""

from dataclasses import replace

import pytest

from builders import NOON, a_child_body, a_job_body, a_job_spec
from carbonaware_operator.api.reasons import Annotation, ConditionType, HoldReason, ReleaseReason
from carbonaware_operator.cluster.jobs import JobWriter, RefusedError, StaleJobError
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, JOBS, ApiError
from carbonaware_operator.planning.decision import Basis, Release
from carbonaware_operator.planning.observed import Cause, Workload
from carbonaware_operator.planning.progress import Condition, Progress
from carbonaware_operator.store.jobs import JobRecord, JobStore
from fakes import FakeKube

CHILD = "train"
AT_ONCE = Release(ReleaseReason.IMMEDIATE, Basis.SCHEDULE)
ASKED_FOR = Release(ReleaseReason.RELEASED_BY_USER, Basis.USER)
CHILDREN = JOBS.path("ml")
NOW = {Annotation.RELEASE_REQUESTED.value: "now-1"}
WORKLOAD = {"apiVersion": "batch/v1", "kind": "Job", "name": CHILD, "uid": "child-uid"}
OF_A_PREDECESSOR = {
    "ownerReferences": a_child_body(a_job_body(uid="uid-earlier"))["metadata"]["ownerReferences"]
}
FAILED = {
    "type": "Failed",
    "status": "True",
    "reason": "DeadlineMissed",
    "message": "not started in time",
    "lastTransitionTime": "2026-06-15T12:00:00Z",
}
HELD = Condition(ConditionType.RELEASED, False, HoldReason.NO_ZONE, "no zone", NOON, 1)


@pytest.fixture
def kube() -> FakeKube:
    """An API server in memory."""
    return FakeKube()


def placed(kube: FakeKube, **fields) -> JobRecord:
    """A job that exists, as the store has it."""
    return JobStore().apply(kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(**fields)))


def place_child(kube: FakeKube, **fields) -> None:
    """A child Job that an interrupted release left."""
    kube.put(JOBS, "ml", a_child_body(a_job_body(), **fields))


class TestRelease:
    async def test_creates_the_child(self, kube):
        """One Job, under the one name that it can have."""
        made = await JobWriter(kube).release(placed(kube), AT_ONCE)

        assert CHILD == made["metadata"]["name"]
        assert made == kube.stored(JOBS, "ml", CHILD)

    async def test_is_made_from_the_live_template(self, kube):
        """The store keeps no templates."""
        record = placed(kube, template={"spec": a_job_spec(parallelism=3)})

        assert 3 == (await JobWriter(kube).release(record, AT_ONCE))["spec"]["parallelism"]

    async def test_finds_the_child_of_an_interrupted_release(self, kube):
        """A crash between the child and the status leads to no second child."""
        record = placed(kube)
        place_child(kube)

        found = await JobWriter(kube).release(record, AT_ONCE)

        assert "child-uid" == found["metadata"]["uid"]

    async def test_notes_the_users_request(self, kube):
        """So that the token is handled once, whenever the status is written."""
        record = placed(kube, annotations=NOW)

        made = await JobWriter(kube).release(record, ASKED_FOR)

        assert "now-1" == made["metadata"]["annotations"][Annotation.HANDLED_RELEASE_REQUEST]

    @pytest.mark.parametrize(
        ("foreign", "words"),
        [
            pytest.param({"ownerReferences": []}, "delete it", id="somebody's own"),
            pytest.param(OF_A_PREDECESSOR, "delete it", id="of an earlier job of the name"),
            pytest.param(
                {**OF_A_PREDECESSOR, "deletionTimestamp": "2026-06-15T12:00:00Z"},
                "still being deleted",
                id="of an earlier job, that goes",
            ),
        ],
    )
    async def test_takes_no_foreign_job_for_the_child(self, kube, foreign, words):
        """A Job of that name that is not ours must go first; then the release is tried again."""
        record = placed(kube)
        place_child(kube, **foreign)

        with pytest.raises(RefusedError, match=words) as refused:
            await JobWriter(kube).release(record, AT_ONCE)

        assert (HoldReason.NAME_TAKEN, False) == (refused.value.reason, refused.value.final)
        assert "child-uid" == kube.stored(JOBS, "ml", CHILD)["metadata"]["uid"]

    @pytest.mark.parametrize(
        "live",
        [
            {"suspend": True},
            {"deleting": True},
            {
                "status": {
                    "workload": {"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "b"}
                }
            },
            {"generation": 2, "schedule": {"earliestStart": "2099-01-01T00:00:00Z"}},
            {"status": {"conditions": [FAILED]}},
        ],
        ids=["suspended", "deleted", "released before", "changed", "ended"],
    )
    async def test_does_not_happen_when_the_live_job_is_another(self, kube, live):
        """The decision was made on a job that is not any more; it is made again."""
        record = placed(kube)
        placed(kube, **live)

        with pytest.raises(StaleJobError) as stale:
            await JobWriter(kube).release(record, AT_ONCE)

        assert "uid-train" == stale.value.live["metadata"]["uid"]
        assert 0 == sum(path.startswith(CHILDREN) for _, path in kube.requests)

    @pytest.mark.parametrize("successor", [None, "uid-successor"])
    async def test_does_not_happen_when_the_job_is_gone(self, kube, successor):
        """Nor is a job that was created again under its name taken for it."""
        record = placed(kube)
        kube.objects.clear()
        if successor:
            placed(kube, uid=successor)

        with pytest.raises(StaleJobError) as stale:
            await JobWriter(kube).release(record, AT_ONCE)

        assert None is stale.value.live


QUOTA = ApiError(403, "Forbidden", "exceeded quota: no-jobs, requested: count/jobs.batch=1")
FORBIDDEN = ApiError(403, "Forbidden", "user may not create jobs")
INVALID = ApiError(
    422, "Invalid", "containers: Required value", causes=("spec.template.spec.containers",)
)
STRICT = ApiError(400, "BadRequest", 'strict decoding error: unknown field "spec.x"')
POLICY = ApiError(422, "Invalid", "ValidatingAdmissionPolicy denied request: no", causes=("",))
WEBHOOK = ApiError(400, "BadRequest", "admission webhook denied the request")
REFUSALS = {
    "a full quota": (QUOTA, HoldReason.QUOTA_EXCEEDED),
    "a lacking right": (FORBIDDEN, HoldReason.INVALID_WORKLOAD),
    "an invalid template": (INVALID, HoldReason.INVALID_WORKLOAD),
    "a policy": (POLICY, HoldReason.INVALID_WORKLOAD),
    "a webhook": (WEBHOOK, HoldReason.INVALID_WORKLOAD),
    "a namespace that goes": (ApiError(404, "NotFound", "no"), HoldReason.INVALID_WORKLOAD),
}


class TestRefusals:
    @pytest.mark.parametrize(("error", "reason"), REFUSALS.values(), ids=REFUSALS)
    async def test_become_a_hold_that_may_pass(self, kube, error, reason):
        """The reason for the user; a creation that is refused never says that it is for good."""
        record = placed(kube)
        kube.fail(CHILDREN, error)

        with pytest.raises(RefusedError) as refused:
            await JobWriter(kube).release(record, AT_ONCE)

        assert (reason, False) == (refused.value.reason, refused.value.final)

    @pytest.mark.parametrize("status", [0, 401, 408, 409, 429, 500, 503])
    async def test_that_say_nothing_of_the_job_stay_errors(self, kube, status):
        """A server that is away or busy refuses nobody."""
        record = placed(kube)
        kube.fail(CHILDREN, ApiError(status, "Busy", "later"))

        with pytest.raises(ApiError):
            await JobWriter(kube).release(record, AT_ONCE)

    async def test_fit_into_a_condition(self, kube):
        """The API server echoes what it refuses, and a condition's message is bounded."""
        record = placed(kube)
        kube.fail(CHILDREN, ApiError(422, "Invalid", "invalid value: " + "x" * 100_000))

        with pytest.raises(RefusedError) as refused:
            await JobWriter(kube).release(record, AT_ONCE)

        assert len(refused.value.message) < 4096


class TestCheck:
    async def test_leaves_nothing_behind(self, kube):
        """A dry run has no effect."""
        await JobWriter(kube).check(placed(kube))

        assert None is kube.stored(JOBS, "ml", CHILD)

    async def test_says_that_a_template_is_invalid(self, kube):
        """Long before its start the user learns of the mistake."""
        record = placed(kube)
        kube.fail(CHILDREN, INVALID)

        with pytest.raises(RefusedError, match="Required value") as refused:
            await JobWriter(kube).check(record)

        assert refused.value.final

    @pytest.mark.parametrize(
        ("error", "final"), [(STRICT, True), (INVALID, True), (POLICY, False), (WEBHOOK, False)]
    )
    async def test_tells_a_wrong_template_from_a_policy(self, kube, error, final):
        """The first cannot change; a policy, a webhook or its answer may."""
        record = placed(kube)
        kube.fail(CHILDREN, error)

        with pytest.raises(RefusedError) as refused:
            await JobWriter(kube).check(record)

        assert final == refused.value.final

    async def test_is_not_impressed_by_a_full_quota(self, kube):
        """There may be room at the release."""
        record = placed(kube)
        kube.fail(CHILDREN, QUOTA)

        await JobWriter(kube).check(record)


class TestWrite:
    async def test_applies_the_whole_set(self, kube):
        """What the planner leaves out is gone: it owns all it ever wrote."""
        record = placed(kube)
        writer = JobWriter(kube)
        first = await writer.write(record, Progress(zone_name="de", conditions=(HELD,)))
        record = JobStore().apply(first)

        second = await writer.write(record, Progress(conditions=(HELD,)))

        assert "zoneName" in first["status"]
        assert "zoneName" not in second["status"]

    async def test_of_a_job_that_changed_is_stale(self, kube):
        """The API server compares the resourceVersion; the live job comes with the refusal."""
        record = placed(kube)
        live = placed(kube, suspend=True)
        kube.fail(CARBON_AWARE_JOBS.path("ml", "train", "status"), ApiError(409, "Conflict", "no"))

        with pytest.raises(StaleJobError) as stale:
            await JobWriter(kube).write(record, Progress())

        assert live.resource_version == stale.value.live["metadata"]["resourceVersion"]

    async def test_of_a_job_that_is_gone_is_stale(self, kube):
        """It is forgotten, not created again."""
        record = placed(kube)
        kube.objects.clear()

        with pytest.raises(StaleJobError) as stale:
            await JobWriter(kube).write(record, Progress())

        assert None is stale.value.live


class TestSetSuspend:
    async def test_changes_the_child_that_was_seen(self, kube):
        """Uid and resourceVersion are preconditions."""
        record = placed(kube)
        made = await JobWriter(kube).release(record, AT_ONCE)
        store = JobStore()
        store.apply_child(made)
        child = store.apply(a_job_body()).child

        assert (await JobWriter(kube).suspend(record, child, Cause.USER, NOON))["spec"]["suspend"]

        another = replace(child, workload=replace(child.workload, uid="other"))
        with pytest.raises(ApiError):
            await JobWriter(kube).suspend(record, another, Cause.USER, NOON)


class TestWriteLeast:
    async def test_tells_the_workload_and_one_condition(self, kube):
        """With no text and no time of the job's own: something of it was refused."""
        workload = Workload("batch/v1", "Job", CHILD, "child-uid")
        progress = Progress(generation=1, deadline=NOON, workload=workload, conditions=(HELD,))

        written = await JobWriter(kube).write_least(placed(kube), progress)

        (told,) = written["status"]["conditions"]
        assert {"observedGeneration", "workload", "conditions"} == written["status"].keys()
        assert ("Released", "NoZone") == (told["type"], told["reason"])
        assert "refuses the rest of this status" in told["message"]


class TestDelete:
    async def test_of_a_job_that_is_gone_is_no_error(self, kube):
        """Somebody was faster."""
        record = placed(kube)
        kube.objects.clear()

        await JobWriter(kube).delete(record)

    async def test_spares_a_successor(self, kube):
        """A job created again under the name has not expired."""
        record = placed(kube)
        placed(kube, uid="uid-successor")

        await JobWriter(kube).delete(record)

        assert kube.stored(CARBON_AWARE_JOBS, "ml", "train")
