"""The job store takes events in any order and shows each job with its child."""

import pytest

from builders import NOON, a_child_body, a_job_body, a_job_spec, hours, minutes
from carbonaware_operator.api.reasons import Annotation, HoldReason
from carbonaware_operator.kinds.parent import earlier_name
from carbonaware_operator.planning.job import Blocked
from carbonaware_operator.planning.observed import Stage
from carbonaware_operator.store.jobs import JobStore

JOB = a_job_body()


@pytest.fixture
def store() -> JobStore:
    """An empty store."""
    return JobStore(default_zone="world")


def held(reason: str) -> dict[str, object]:
    """A status that holds a job for a reason."""
    condition = {
        "type": "Released",
        "status": "False",
        "reason": reason,
        "message": "why",
        "lastTransitionTime": "2026-06-15T12:00:00Z",
    }
    return {"conditions": [condition]}


class TestApply:
    def test_an_older_version_changes_nothing(self, store):
        """Watch events and answers to writes overtake each other."""
        store.apply(a_job_body(resource_version=100, suspend=True))

        assert store.apply(a_job_body(resource_version=99)).suspend

    def test_versions_are_numbers(self, store):
        """Version 100 is newer than 99, though it sorts before it as text."""
        store.apply(a_job_body(resource_version=99))

        assert store.apply(a_job_body(resource_version=100, suspend=True)).suspend

    def test_a_new_version_keeps_what_the_api_server_does_not_know(self, store):
        """A refusal and a passed check outlive the next event."""
        record = store.apply(JOB)
        record.blocked = Blocked(HoldReason.QUOTA_EXCEEDED, "full", NOON)
        record.workload_checked = True

        newer = store.apply(a_job_body(resource_version=2))

        assert (record.blocked, True) == (newer.blocked, newer.workload_checked)

    @pytest.mark.parametrize(
        ("status", "expected"),
        [(None, False), (held("NoZone"), True), (held("InvalidWorkload"), False)],
        ids=["new", "held for another reason", "refused"],
    )
    def test_an_earlier_operators_check_counts(self, store, status, expected):
        """The template cannot change: what passed once passes, what was refused is tried again."""
        assert expected == store.apply(a_job_body(status=status)).workload_checked

    def test_odd_objects_raise_a_value_error(self, store):
        """The caller can tell an odd object from a defect."""
        with pytest.raises(ValueError, match="strategy"):
            store.apply(a_job_body(schedule={"strategy": "Whenever"}))


class TestZones:
    def test_a_job_is_found_by_its_zone(self, store):
        """An outlook wakes the jobs of its zone."""
        store.apply(JOB)

        assert {"uid-train"} == store.in_zone("de")

    def test_a_job_without_zone_takes_the_operators(self, store):
        """The default zone is in effect as if it were the job's."""
        store.apply(a_job_body(zone=None))

        assert {"uid-train"} == store.in_zone("world")

    def test_a_job_moves_with_its_zone(self, store):
        """A changed `zoneName` moves it in the index."""
        store.apply(JOB)
        store.apply(a_job_body(zone="fr", resource_version=2))

        assert (set(), {"uid-train"}) == (store.in_zone("de"), store.in_zone("fr"))

    def test_a_forgotten_job_is_in_no_zone(self, store):
        """Deleted is gone from every index."""
        store.apply(JOB)
        store.forget("uid-train")

        assert (set(), {}) == (store.in_zone("de"), store.records)

    def test_forgetting_twice_is_no_error(self, store):
        """A delete may be seen by the feed and by the sweep."""
        store.apply(JOB)
        store.forget("uid-train")

        assert None is store.forget("uid-train")


class TestTwoClaims:
    def test_the_child_that_the_status_names_is_the_jobs(self, store):
        """Two names are believed: a second Job with such an owner takes no job's place."""
        mine = a_child_body(JOB, uid="noted", name=earlier_name("train", "uid-train"))
        workload = {"apiVersion": "batch/v1", "kind": "Job", "name": "x", "uid": "noted"}
        store.apply(a_job_body(status={"workload": workload}))
        claims = [mine, a_child_body(JOB, uid="claims", resource_version=99)]

        for body in (*claims, *reversed(claims)):
            store.apply_child(body)

            assert "noted" == store.records["uid-train"].child.uid


class TestTimeToLive:
    @pytest.mark.parametrize(
        ("template_seconds", "own", "expected"),
        [
            pytest.param(900, None, minutes(15), id="the template's, where the job says nothing"),
            pytest.param(900, "1h", hours(1), id="the job's own before the template's"),
            pytest.param(0, None, minutes(0), id="at once"),
            pytest.param(None, None, None, id="for ever"),
            pytest.param("900", None, None, id="a text, which the dry run refuses"),
            pytest.param(-1, None, None, id="less than nothing, which the dry run refuses"),
            pytest.param(2**63, None, None, id="more than any clock counts"),
        ],
    )
    def test_is_that_of_the_job_else_of_its_template(self, template_seconds, own, expected):
        """Moving a Job into a CarbonAwareJob keeps the time after which it is cleaned away."""
        template = {"spec": a_job_spec(ttlSecondsAfterFinished=template_seconds)}
        given = {"ttlAfterFinished": own} if own else {}

        assert expected == JobStore().apply(a_job_body(template=template, **given)).ttl


class TestChildren:
    @pytest.mark.parametrize("child_first", [True, False])
    def test_attach_whichever_comes_first(self, store, child_first):
        """Two watches have no common order."""
        first, second = store.apply_child, store.apply
        bodies = [a_child_body(JOB), JOB]
        for take_in, body in (
            zip([first, second], bodies, strict=True)
            if child_first
            else zip([second, first], reversed(bodies), strict=True)
        ):
            take_in(body)

        assert Stage.RUNNING is store.records["uid-train"].planned().stage

    def test_stay_attached_when_the_job_changes(self, store):
        """A newer version of the job is not without child."""
        store.apply(JOB)
        store.apply_child(a_child_body(JOB))

        assert "child-uid" == store.apply(a_job_body(resource_version=2)).child.uid

    def test_tell_whose_they_are(self, store):
        """The parent is woken, known or not."""
        assert "uid-train" == store.apply_child(a_child_body(JOB))

    def test_with_a_forged_label_are_nobodys(self, store):
        """Labels do not make a Job a child."""
        store.apply(JOB)

        assert None is store.apply_child(a_child_body(JOB, ownerReferences=[]))
        assert None is store.records["uid-train"].child

    @pytest.mark.parametrize("child_first", [True, False])
    def test_in_another_namespace_are_nobodys(self, store, child_first):
        """Owners are in the namespace of what they own: a neighbour cannot pass off a Job."""
        foreign = a_child_body(JOB, namespace="neighbour")
        if child_first:
            store.apply_child(foreign)
        store.apply(JOB)
        store.apply_child(foreign)

        assert None is store.records["uid-train"].child

    def test_an_older_version_changes_nothing(self, store):
        """The answer to a resume may be overtaken by the watch."""
        store.apply(JOB)
        store.apply_child(a_child_body(JOB, resource_version=20, suspend=True))
        store.apply_child(a_child_body(JOB, resource_version=11))

        assert Stage.SUSPENDED is store.records["uid-train"].planned().stage

    def test_that_are_deleted_leave_their_job(self, store):
        """Then the planner sees that it vanished."""
        store.apply(JOB)
        store.apply_child(a_child_body(JOB))

        assert "uid-train" == store.forget_child(a_child_body(JOB))
        assert None is store.records["uid-train"].child

    def test_a_late_delete_of_another_object_takes_nothing(self, store):
        """The delete of an earlier Job of the same name is not the present one's."""
        store.apply(JOB)
        store.apply_child(a_child_body(JOB))

        store.forget_child(a_child_body(JOB, uid="earlier"))

        assert "child-uid" == store.records["uid-train"].child.uid


class TestRecord:
    def test_a_request_is_new_until_its_token_is_handled(self, store):
        """The same token starts a job once."""
        asked = {Annotation.RELEASE_REQUESTED.value: "now-1"}

        assert store.apply(a_job_body(annotations=asked)).planned().release_requested
        assert not (
            store.apply(a_job_body(annotations=asked, status={"handledReleaseRequest": "now-1"}))
            .planned()
            .release_requested
        )

    def test_keeps_no_pod_template(self, store):
        """Fifty thousand templates would not fit: the live object is read at the release."""
        assert "busybox" not in repr(store.apply(JOB))


class TestCounting:
    def test_every_job_has_a_state_and_a_reason(self, store):
        """The gauge counts jobs by what `kubectl get` shows."""
        store.apply(JOB)
        store.apply(a_job_body("held", status=held("NoZone")))

        assert [("ml", "de", "Held", "NoZone"), ("ml", "de", "Pending", "")] == sorted(
            store.by_reason()
        )
