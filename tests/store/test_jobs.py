"""The job store takes events in any order and shows each job with its child."""

import json
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from builders import (
    NOON,
    a_child_body,
    a_job_body,
    a_job_spec,
    a_refusal,
    an_outlook,
    hours,
    minutes,
)
from carbonaware_operator.api.reasons import Annotation, EndReason, HoldReason, ReleaseReason
from carbonaware_operator.kinds.parent import earlier_name
from carbonaware_operator.planning.decision import Basis, Decision, Hold, Release
from carbonaware_operator.planning.observed import Stage, stage_of
from carbonaware_operator.planning.resolve import SETTINGS
from carbonaware_operator.planning.rules import decide
from carbonaware_operator.store.graves import MOST, Graves
from carbonaware_operator.store.jobs import JobStore

JOB = a_job_body()
WORLD = replace(SETTINGS, zone_name="world")
AT_FOUR = {"startBy": "2026-06-15T16:00:00Z"}
ODD_WINDOW = {"start": "01:00", "end": "02:00", "timeZone": "Europe"}  # a folder of the zones


@pytest.fixture
def store() -> JobStore:
    """An empty store."""
    return JobStore(defaults=(WORLD,))


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

        assert store.apply(a_job_body(resource_version=100, generation=2, suspend=True)).suspend

    def test_a_new_version_keeps_what_the_api_server_does_not_know(self, store):
        """A refusal and a passed check outlive the next event."""
        record = store.apply(JOB)
        record.blocked = a_refusal()
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

    def test_an_object_without_identity_raises(self, store):
        """The caller can tell an object of no shape from a defect."""
        with pytest.raises(KeyError):
            store.apply({"metadata": {"uid": "a", "resourceVersion": "1"}})


class TestUnreadable:
    """After a roll-back a newer word, or a time zone that only the API server knows."""

    @pytest.mark.parametrize(
        ("odd", "named"),
        [
            ({"strategy": "LowestIntensity"}, "spec.schedule.strategy"),
            ({"whenSignalMissing": "Ask"}, "spec.schedule.whenSignalMissing"),
            ({"windows": [ODD_WINDOW]}, "spec.schedule.windows"),
        ],
    )
    def test_is_held_until_its_deadline_and_told_why(self, store, odd, named):
        """Then it starts, whatever else it wanted."""
        record = store.apply(a_job_body(schedule=AT_FOUR | odd))

        hold = decide(record.situation(an_outlook(), NOON))
        assert HoldReason.UNREADABLE is hold.reason
        assert named in hold.message
        assert "starts at 2026-06-15T16:00:00Z" in hold.message
        starts = Release(ReleaseReason.DEADLINE_REACHED, Basis.DEADLINE)
        assert starts == decide(record.situation(None, NOON + hours(4)))

    def test_fails_at_its_deadline_where_it_is_to_fail(self, store):
        """That could be read."""
        schedule = AT_FOUR | {"whenDeadlineReached": "Fail", "strategy": "LowestIntensity"}
        record = store.apply(a_job_body(schedule=schedule))

        assert "fails at" in decide(record.situation(None, NOON)).message
        assert EndReason.DEADLINE_MISSED is decide(record.situation(None, NOON + hours(4))).reason

    @pytest.mark.parametrize(
        "odd",
        [
            {"schedule": {"startBy": "tomorrow"}},
            {"schedule": {"maxDelay": "9" * 31 + "h"}},
            {"schedule": {"finishBy": "2026-06-15T16:00:00Z", "expectedDuration": "long"}},
            {"schedule": {"earliestStart": "soon"}},
            {"schedule": "at night"},
            {"suspend": "if you like"},
        ],
        ids=str,
    )
    def test_without_a_deadline_is_not_started(self, store, odd):
        """To guess when somebody wanted it is worse than to ask."""
        hold = decide(store.apply(a_job_body(**odd)).situation(an_outlook(0), NOON + hours(99)))

        assert (HoldReason.UNREADABLE, None) == (hold.reason, hold.review)
        assert "not started before" in hold.message

    def test_is_read_again_once_it_is_corrected(self, store):
        """Nothing of the trouble stays."""
        store.apply(a_job_body(schedule={"strategy": "LowestIntensity"}))
        before = set(store.unreadable)
        record = store.apply(a_job_body(resource_version=2, generation=2))

        assert ({"uid-train"}, set(), None) == (before, store.unreadable, record.refusal)

    def test_status_changes_no_decision_and_keeps_what_can_be_read(self, store):
        """Above all that the workload was created already."""
        workload = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "child-uid"}
        odd = {"type": "Complete", "status": "Perhaps", "reason": 5}
        status = held("NoZone") | {"workload": workload, "releasedTime": "once"}
        status["conditions"].append(odd)

        record = store.apply(a_job_body(status=status))

        assert (None, "child-uid") == (record.refusal, record.progress.workload.uid)
        assert ["NoZone"] == [condition.reason for condition in record.progress.conditions]
        assert {"uid-train"} == store.unreadable

    def test_ledger_is_not_begun_anew(self, store):
        """What was booked would be lost; and it keeps no ended job for ever."""
        workload = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "child-uid"}
        record = store.apply(a_job_body(status={"workload": workload, "ledger": {"sources": 5}}))

        assert ([], True) == (list(store.unsettled()), record.accounted_for)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "schedule",
                            "windows",
                            "startBy",
                            "suspend",
                            "conditions",
                            "ledger",
                            "type",
                        ]
                    ),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=12,
        ),
        st.sampled_from(["spec", "status"]),
    )
    def test_whatever_its_shape_has_a_record(self, odd, section):
        """One object must not keep the operator from starting."""
        store = JobStore()
        store.apply(a_job_body() | {section: odd})

        assert {"uid-train"} == store.records.keys()


class TestZones:
    def test_a_job_is_found_by_its_zone(self, store):
        """An outlook wakes the jobs of its zone."""
        store.apply(JOB)

        assert ["uid-train"] == store.in_zone("de")

    def test_a_job_without_zone_takes_the_operators(self, store):
        """The default zone is in effect as if it were the job's."""
        store.apply(a_job_body(zone=None))

        assert ["uid-train"] == store.in_zone("world")

    def test_a_job_moves_with_its_zone(self, store):
        """A changed `zoneName` moves it in the index."""
        store.apply(JOB)
        store.apply(a_job_body(zone="fr", resource_version=2, generation=2))

        assert ([], ["uid-train"]) == (store.in_zone("de"), store.in_zone("fr"))

    def test_a_forgotten_job_is_in_no_zone(self, store):
        """Deleted is gone from every index."""
        store.apply(JOB)
        store.forget("uid-train")

        assert ([], {}) == (store.in_zone("de"), store.records)

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

        assert Stage.RUNNING is stage_of(store.records["uid-train"].child)

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

        assert Stage.SUSPENDED is stage_of(store.records["uid-train"].child)

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
        handled = a_job_body(
            annotations=asked, status={"handledReleaseRequest": "now-1"}, resource_version=2
        )
        assert not store.apply(handled).planned().release_requested

    def test_of_a_held_job_with_32_windows_takes_two_kilobytes_at_most(self, store):
        """Windows, words and instants that are equal are kept once: 50,000 jobs must fit."""
        windows = [{"start": f"0{n // 6}:{n % 6}0", "end": "09:00"} for n in range(32)]
        store.apply(a_job_body("first", schedule={"maxGramsPerKWh": 100, "windows": windows}))
        tracemalloc.start()
        for number in range(200):
            schedule = json.loads(json.dumps({"maxGramsPerKWh": 100, "windows": windows}))
            store.apply(a_job_body(f"job-{number:03}", schedule=schedule, status=held("NoZone")))
        held_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert held_bytes / 200 < 2000

    def test_keeps_no_pod_template(self, store):
        """Fifty thousand templates would not fit: the live object is read at the release."""
        assert "busybox" not in repr(store.apply(JOB))


class TestOwnWrites:
    def test_an_echo_is_not_read_a_second_time(self, store):
        """Each write comes back twice: as its answer, and as an event of the watch."""
        record = store.apply(a_job_body(resource_version=7))
        echo = {"metadata": a_job_body(resource_version=7)["metadata"]}  # no spec to read

        assert record is store.apply(echo)

    def test_a_new_status_costs_no_second_parse_of_the_spec(self, store):
        """A spec is the same for as long as its generation is."""
        schedule = store.apply(JOB).schedule
        body = a_job_body(resource_version=2, status=held("NoZone"))

        record = store.apply({"metadata": body["metadata"], "status": body["status"]})

        assert schedule is record.schedule
        assert ("Held", "NoZone") == (record.tally.state, record.tally.reason)


class TestDeleted:
    def test_a_late_answer_brings_no_job_back(self, store):
        """The answer to a write may come after the event of the deletion."""
        store.apply(JOB)
        store.forget("uid-train")

        assert None is store.apply(a_job_body(resource_version=9))
        assert {} == store.records

    def test_a_new_job_of_the_name_is_another(self, store):
        """Deleted and created again: the uid tells them apart."""
        store.apply(JOB)
        store.apply(a_job_body(uid="uid-again", resource_version=5))
        store.forget("uid-train")

        assert {"uid-again"} == store.records.keys()

    def test_a_late_answer_brings_no_child_back(self, store):
        """A child that was deleted while it was suspended is gone."""
        store.apply(JOB)
        store.apply_child(a_child_body(JOB))
        store.forget_child(a_child_body(JOB))

        store.apply_child(a_child_body(JOB, resource_version=20))

        assert None is store.records["uid-train"].child

    def test_leaves_nothing(self, store):
        """A month of jobs that come and go costs no memory."""
        store.apply(JOB)
        store.apply_child(a_child_body(JOB))
        store.forget("uid-train")
        store.apply_child(a_child_body(JOB, resource_version=20))
        store.in_zone("never was")
        store.touched_by("never was", an_outlook())

        fresh = JobStore(defaults=(WORLD,))
        assert replace(fresh, graves=store.graves) == store

    def test_are_remembered_in_bounded_numbers(self):
        """Two halves: what is older than the newer one is given up."""
        graves = Graves()
        for number in range(3 * MOST):
            graves.add(str(number))

        kept = sum(str(number) in graves for number in range(3 * MOST))
        assert MOST <= kept <= 2 * MOST
        assert str(3 * MOST - 1) in graves

    def test_are_remembered_for_a_bounded_time(self):
        """Two sweeps later no answer can still be on its way."""
        graves = Graves()
        graves.add("a")
        graves.age()
        after_one = "a" in graves
        graves.age()

        assert (True, False) == (after_one, "a" in graves)


class TestOrphans:
    def test_leave_their_job(self, store):
        """`--cascade=orphan`, or somebody who takes the owner away."""
        store.apply(JOB)
        store.apply_child(a_child_body(JOB))

        woken = store.apply_child(a_child_body(JOB, resource_version=20, ownerReferences=[]))

        assert ("uid-train", None) == (woken, store.records["uid-train"].child)

    def test_of_no_job_are_dropped(self, store):
        """An owner reference may name a job that never was."""
        store.apply_child(a_child_body(JOB))
        store.drop_orphans(store.orphans())

        assert {} == store.child_versions()


class TestTouchedBy:
    @pytest.mark.parametrize(
        ("grams", "expected"),
        [(301, set()), (250, set()), (200, {"limit"}), (100, {"limit", "preferred"})],
    )
    def test_only_jobs_whose_limit_was_passed(self, store, grams, expected):
        """A value at a limit is within it."""
        store.apply(a_job_body("limit", schedule={"maxGramsPerKWh": 200}))
        store.apply(a_job_body("preferred", schedule={"preferredGramsPerKWh": 100}))
        store.apply(a_job_body("other", zone="fr", schedule={"maxGramsPerKWh": 200}))
        store.touched_by("de", an_outlook(300))

        touched = store.touched_by("de", an_outlook(grams))

        assert {f"uid-{name}" for name in expected} == set(touched)

    def test_all_of_a_zone_that_had_no_outlook(self, store):
        """The zone has come, or is asked for the first time."""
        store.apply(JOB)

        assert ["uid-train"] == list(store.touched_by("de", an_outlook()))

    def test_no_job_that_runs_or_was_suspended_by_its_user(self, store):
        """The grid changes nothing for them."""
        store.apply(a_job_body("suspended", suspend=True))
        store.apply(JOB)
        store.apply_child(a_child_body(JOB))

        assert [] == list(store.touched_by("de", an_outlook()))


def schedules() -> st.SearchStrategy[dict[str, Any]]:
    """Limits close together, so that values fall below, on and above them."""
    grams = st.integers(0, 8)
    whole = st.fixed_dictionaries(
        {},
        optional={
            "maxGramsPerKWh": grams,
            "preferredGramsPerKWh": grams,
            "strategy": st.sampled_from(["Threshold", "Immediate"]),
            "whenSignalMissing": st.sampled_from(["UseFallback", "Start", "Hold"]),
            "earliestStart": st.sampled_from(["2026-06-15T11:00:00Z", "2026-06-15T13:00:00Z"]),
            "windows": st.just([{"start": "13:00", "end": "14:00"}]),
        },
    )
    limits = ("preferredGramsPerKWh", "maxGramsPerKWh")
    return whole.filter(lambda s: not s.keys() >= set(limits) or s[limits[0]] <= s[limits[1]])


OUTLOOKS = st.none() | st.builds(
    an_outlook,
    st.none() | st.integers(0, 8),
    fallback=st.integers(0, 8),
    source=st.sampled_from("ab"),
)


@given(
    st.lists(st.tuples(schedules(), st.booleans()), min_size=1, max_size=6),
    st.lists(OUTLOOKS, min_size=2, max_size=5),
)
def test_every_job_whose_decision_differs_is_touched(jobs, outlooks):
    """Whatever changes of a zone: value, freshness, fallback, or that it is there at all."""
    store = JobStore()
    for number, (schedule, suspend) in enumerate(jobs):
        store.apply(a_job_body(f"j{number}", schedule=schedule, suspend=suspend))
    store.touched_by("de", outlooks[0])
    for before, after in pairwise(outlooks):
        touched = set(store.touched_by("de", after))
        changed = {
            record.uid
            for record in store.records.values()
            if gist(decide(record.situation(before, NOON)))
            != gist(decide(record.situation(after, NOON)))
        }
        assert changed <= touched


def gist(decision: Decision) -> Decision | type[Decision]:
    """What wakes: another hold. Who is let start is not held for another reason of the same."""
    return decision if isinstance(decision, Hold) else type(decision)


class Fuzz(RuleBasedStateMachine):
    """Events in any order; the counts are those of the records that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.store, self.version = JobStore(), 0

    @rule(
        n=st.integers(0, 3),
        zone=st.sampled_from(["de", "fr", None]),
        suspend=st.booleans(),
        reason=st.sampled_from([None, "NoZone", "AboveMaxIntensity"]),
        schedule=schedules(),
    )
    def change(self, n, zone, suspend, reason, schedule):
        """A job is created or edited."""
        self.version += 1
        self.store.apply(
            a_job_body(
                f"j{n}",
                zone=zone,
                suspend=suspend,
                schedule=schedule,
                status=held(reason) if reason else None,
                resource_version=self.version,
                generation=self.version,
            )
        )

    @rule(n=st.integers(0, 3), owned=st.booleans())
    def child(self, n, owned):
        """A child is seen, with or without its owner."""
        self.version += 1
        metadata = {} if owned else {"ownerReferences": []}
        body = a_child_body(
            a_job_body(f"j{n}"), uid=f"child-{n}", resource_version=self.version, **metadata
        )
        self.store.apply_child(body)

    @rule(n=st.integers(0, 3))
    def child_goes(self, n):
        """A child is deleted."""
        self.store.forget_child(a_child_body(a_job_body(f"j{n}"), uid=f"child-{n}"))
        self.store.graves = Graves()

    @rule(n=st.integers(0, 3))
    def goes(self, n):
        """A job is deleted; so is, long after, its memory."""
        self.store.forget(f"uid-j{n}")
        self.store.graves = Graves()

    @invariant()
    def counts_are_right(self):
        """Incremental counts equal counts made anew."""
        records = self.store.records.values()
        waiting = [r for r in records if not (r.child or r.suspend)]
        assert len(records) == sum(tally.count for tally in self.store.tallies())
        for zone in ("de", "fr", None):
            expected = [r for r in waiting if r.zone_name == zone]
            assert {r.uid for r in expected} == set(self.store.in_zone(zone))
            first = {r.namespace: min(q.schedule.deadline for q in expected) for r in expected}
            shown = {ns: at for ns, name, at in self.store.next_deadlines() if name == zone}
            assert first == shown
        assert {r.uid for r in records if r.child} == {j.uid for j in self.store.unsettled()}


TestAnyOrder = Fuzz.TestCase


class TestCounting:
    def test_every_job_has_a_state_and_a_reason(self, store):
        """The gauge counts jobs by what `kubectl get` shows."""
        store.apply(JOB)
        store.apply(a_job_body("held", status=held("NoZone")))

        counted = {(t.namespace, t.zone_name, t.state, t.reason): t.count for t in store.tallies()}
        assert {("ml", "de", "Held", "NoZone"): 1, ("ml", "de", "Held", ""): 1} == counted
