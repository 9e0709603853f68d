"""Progress: what a status says follows from the job, its child and the decision alone."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    NEXT_NOON,
    NOON,
    a_child,
    a_held_job,
    a_refusal,
    a_window,
    an_outlook,
    hours,
    minutes,
    some_windows,
)
from carbonaware_operator.api.job import Strategy, WhenDeadlineReached
from carbonaware_operator.api.reasons import ConditionType, ReleaseReason, State
from carbonaware_operator.planning.decision import Basis
from carbonaware_operator.planning.observed import Cause, Ending
from carbonaware_operator.planning.progress import (
    MOST_SHIFTS,
    Progress,
    acknowledged,
    advance,
    sum_of_suspensions,
)
from carbonaware_operator.planning.resolve import SETTINGS
from carbonaware_operator.planning.rules import decide
from carbonaware_operator.planning.situation import Job, Situation

DIRTY = {"max_grams": 100}


def after(minutes_later: float) -> datetime:
    """An instant so many minutes after the job's creation."""
    return NOON + minutes(minutes_later)


def seen(progress, job, child, now, outlook=an_outlook(300)):  # noqa: B008 - frozen
    """The next progress as the planner derives it: by what decide() says."""
    job = replace(job, child=child, noted=progress.workload)
    situation = Situation(job, outlook, now)
    return advance(progress, situation, decide(situation))


def a_stopped_child(**fields):
    """A child that its user suspended, and no pod of it is left."""
    return a_child(suspended_by=Cause.USER, stopped=True, **fields)


def held(job=None, at=0.0) -> Progress:
    """The progress of a job that was seen once."""
    return seen(Progress(), job or a_held_job(**DIRTY), None, after(at))


def released(progress, kind=ConditionType.RELEASED):
    """Status, reason and time of a condition."""
    condition = progress.condition(kind)
    return condition.status, str(condition.reason), condition.since


def told(progress):
    """The conditions that hold, with their reasons but without their times."""
    return [(c.type, c.status, c.reason, c.message) for c in progress.conditions]


def ended(at: float, *, succeeded: bool = True) -> Ending:
    """An ending so many minutes after the creation."""
    return Ending(NOON + minutes(at), succeeded, "the child Job completed")


class TestHeld:
    def test_notes_why_and_until_when(self):
        """Reason, planned start, deadline and zone are all there after the first look."""
        progress = held()

        assert (False, "AboveMaxIntensity", NOON) == released(progress)
        assert (NEXT_NOON, NEXT_NOON, "de") == (
            progress.planned_start,
            progress.deadline,
            progress.zone_name,
        )

    def test_another_reason_keeps_the_time_of_the_transition(self):
        """`Released` has been False all along: its time moves with its status alone."""
        job = a_held_job(**DIRTY)
        progress = seen(held(job), job, None, after(5), outlook=None)

        assert (False, "NoZone", NOON) == released(progress)

    @given(st.lists(st.none() | st.integers(101, 5000), max_size=5), st.booleans())
    def test_freshness_that_changes_no_decision_changes_nothing(self, values, early):
        """It is the zone's to say: a provider that comes and goes writes no job."""
        job = a_held_job(**DIRTY, earliest_start=NEXT_NOON if early else None)
        progress = held(job)

        for n, grams in enumerate(values):
            assert progress == seen(progress, job, None, after(n), an_outlook(grams))

    @given(st.integers(301, 5000), st.integers(1, 1439))
    def test_a_new_value_that_changes_no_decision_changes_nothing(self, grams, later):
        """Writes follow transitions, not signals."""
        job = a_held_job(**DIRTY)
        progress = held(job)

        assert progress == seen(progress, job, None, after(later), an_outlook(grams))

    def test_a_new_generation_is_noted(self):
        """`observedGeneration` tells a client that its change was seen."""
        job = a_held_job(**DIRTY)

        assert 2 == seen(held(job), replace(job, generation=2), None, after(1)).generation

    def test_a_window_that_opens_beside_an_open_one_changes_nothing(self):
        """Nor does one that closes: the grid holds the job all along."""
        windows = some_windows(a_window("10:00", "14:00"), a_window("13:00", "16:00"))
        job = a_held_job(**DIRTY, windows=windows)
        progress = held(job)

        for later in (59, 60, 61, 120, 121, 238):
            assert progress == seen(progress, job, None, after(later))

    def test_notes_what_was_filled_in(self):
        """Users are told what holds that they did not write."""
        assert (SETTINGS,) == held(a_held_job(applied=(SETTINGS,), **DIRTY)).applied


class TestGenerations:
    def test_every_condition_speaks_of_the_generation_that_was_looked_at(self):
        """`kubectl wait` takes a condition of an older generation for not met."""
        running = seen(Progress(), a_held_job(), a_child(), after(0))

        edited = seen(running, a_held_job(generation=2), a_child(), after(1))
        finished = seen(edited, a_held_job(generation=3), a_child(ending=ended(9)), after(9))

        assert [2] == [c.generation for c in edited.conditions]
        assert [3, 3] == [c.generation for c in finished.conditions]

    def test_of_an_ended_job_is_acknowledged_and_nothing_else(self):
        """An edit of how long it is kept must not leave whoever waits for it hanging."""
        done = seen(Progress(), a_held_job(), a_child(ending=ended(9)), after(9))

        seen_again = acknowledged(done, 2)

        assert {2} == {seen_again.generation, *(c.generation for c in seen_again.conditions)}
        assert done == acknowledged(seen_again, 1)


class TestBaseline:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            pytest.param({}, NOON, id="creation"),
            pytest.param({"earliest_start": NOON + hours(2)}, NOON + hours(2), id="earliestStart"),
            pytest.param(
                {"windows": some_windows(a_window("20:00", "22:00"))}, NOON + hours(8), id="windows"
            ),
            pytest.param(
                {
                    "earliest_start": NOON + hours(11),
                    "windows": some_windows(a_window("20:00", "22:00")),
                    "deadline": NOON + hours(72),
                },
                NOON + hours(32),
                id="the first window after earliestStart",
            ),
        ],
    )
    def test_starts_when_the_job_could_have_started_whatever_the_grid(self, schedule, expected):
        """Run-at-once waits for what the user asked for, never for the grid."""
        assert expected == held(a_held_job(**DIRTY, **schedule)).baseline_start

    def test_has_no_start_while_the_user_suspends_the_job(self):
        """Run-at-once would wait as well."""
        assert None is held(a_held_job(suspend=True)).baseline_start

    def test_starts_when_the_user_lifts_the_suspension(self):
        """From then on waiting is ours."""
        waiting = held(a_held_job(suspend=True))

        lifted = seen(waiting, a_held_job(**DIRTY), None, after(90))

        assert NOON + minutes(90) == lifted.baseline_start

    def test_a_suspension_while_held_moves_it(self):
        """A job that its user suspends and lets go is compared from the second time on."""
        waiting = seen(held(), a_held_job(suspend=True), None, after(10))

        lifted = seen(waiting, a_held_job(**DIRTY), None, after(30))

        assert NOON + minutes(30) == lifted.baseline_start

    def test_of_a_job_that_starts_as_it_is_let_go_is_its_start(self):
        """No decision lay between: its user made it wait, not we."""
        waiting = held(a_held_job(suspend=True))
        child = a_child(created=NOON + minutes(90))

        assert ((NOON + minutes(90), 0),) == seen(waiting, a_held_job(), child, after(91)).shifts


FULL = a_refusal()
EVENINGS = {"windows": some_windows(a_window("20:00", "22:00")), "deadline": NOON + hours(72)}


class TestStalled:
    """A wait that something other than the grid caused: run-at-once would have met it as well."""

    @pytest.mark.parametrize(
        "schedule",
        [
            pytest.param({}, id="no limit at all"),
            pytest.param({"strategy": Strategy.IMMEDIATE}, id="Immediate"),
            pytest.param({"max_grams": 600}, id="a limit that is never exceeded"),
        ],
    )
    def test_at_a_full_quota_is_no_shift(self, schedule):
        """Eight hours for room in the quota, and the grid would have let it start at once."""
        job, progress = a_held_job(blocked=FULL, **schedule), Progress()
        for later in range(0, 480, 60):
            progress = seen(progress, job, None, after(later), an_outlook(500))

        started = seen(progress, job, a_child(created=after(480)), after(481), an_outlook(100))

        assert ((after(480), 0),) == started.shifts
        assert (None, after(480)) == (started.stalled, started.baseline_start)

    def test_after_the_grid_held_it_is_taken_from_the_shift(self):
        """Two hours above the limit, then one at a full quota: the baseline is two hours away."""
        job = a_held_job(**DIRTY)
        refused = seen(held(job), replace(job, blocked=FULL), None, after(120), an_outlook(50))

        started = seen(refused, job, a_child(created=after(180)), after(180), an_outlook(50))

        assert ((after(180), 7200),) == started.shifts

    def test_before_the_grid_holds_it_moves_the_baseline_when_that_begins(self):
        """The zone comes after an hour: from then on the grid holds the job."""
        job = a_held_job(**DIRTY)
        waiting = seen(Progress(), job, None, after(0), outlook=None)

        assert (after(0), after(0)) == (waiting.stalled, waiting.baseline_start)
        held_by_grid = seen(waiting, job, None, after(60))
        assert (None, after(60)) == (held_by_grid.stalled, held_by_grid.baseline_start)

    def test_through_a_window_waits_for_the_next_as_run_at_once_would(self):
        """Refused while its window was open, a job is compared with a start in the next one."""
        job = a_held_job(blocked=FULL, **EVENINGS)
        refused = seen(Progress(), job, None, NOON + hours(8))

        closed = seen(refused, a_held_job(**EVENINGS), None, NOON + hours(10))

        assert (None, NOON + hours(32)) == (closed.stalled, closed.baseline_start)

    def test_before_it_could_have_started_delays_nothing(self):
        """A refusal that ends before the first window opens is no part of the wait."""
        job = a_held_job(blocked=FULL, **EVENINGS)
        refused = seen(Progress(), job, None, after(0))

        waiting = seen(refused, a_held_job(**EVENINGS), None, after(60))

        assert NOON + hours(8) == waiting.baseline_start

    def test_ends_when_the_user_holds_the_job(self):
        """From when they let it go its waiting is counted anew."""
        refused = seen(Progress(), a_held_job(blocked=FULL), None, after(0))

        assert None is seen(refused, a_held_job(suspend=True), None, after(60)).stalled

    @given(st.lists(st.tuples(st.sampled_from(["grid", "quota", "zone"]), st.integers(1, 300))))
    def test_only_what_the_grid_held_is_a_shift(self, waits):
        """Whatever holds a job in between, its shift is the time that the grid held it."""
        job, progress, later = a_held_job(**DIRTY, deadline=NOON + hours(9000)), Progress(), 0
        for cause, lasts in waits:
            blocked = FULL if cause == "quota" else None
            outlook = None if cause == "zone" else an_outlook(300)
            progress = seen(progress, replace(job, blocked=blocked), None, after(later), outlook)
            later += lasts

        started = seen(progress, job, a_child(created=after(later)), after(later), an_outlook(50))

        by_the_grid = sum(lasts for cause, lasts in waits if cause == "grid")
        assert ((after(later), by_the_grid * 60),) == started.shifts


class TestReleased:
    def test_is_noted_from_the_child(self):
        """Time, reason, token and name are the child's own."""
        child = a_child(created=NOON + hours(3), handled_request="now-1")

        progress = seen(held(), a_held_job(), child, after(181))

        assert (child.name, child.uid) == (progress.workload.name, progress.workload.uid)
        assert (NOON + hours(3), 3 * 3600, "now-1") == (
            progress.released,
            progress.held_seconds,
            progress.handled_request,
        )
        assert (True, "IntensityAcceptable", NOON + minutes(181)) == released(progress)

    def test_no_longer_plans_a_start(self):
        """The plan of a job that runs is done."""
        assert None is seen(held(), a_held_job(), a_child(), after(1)).planned_start

    def test_is_shifted_by_what_it_waited_beyond_the_baseline(self):
        """The baseline prices energy by the hours at which run-at-once would have used it."""
        job = a_held_job(**DIRTY, earliest_start=NOON + hours(1))
        child = a_child(created=NOON + hours(3))

        assert ((NOON + hours(3), 7200),) == seen(held(job), job, child, after(181)).shifts

    def test_before_its_baseline_it_is_not_shifted(self):
        """Released by its user before earliestStart, a job is compared with itself."""
        job = a_held_job(earliest_start=NOON + hours(1))

        assert ((NOON, 0),) == seen(held(job), job, a_child(created=NOON), after(1)).shifts

    def test_of_a_child_without_a_known_reason_still_has_a_reason(self):
        """The API server refuses a condition with an empty reason: the status would never come."""
        child = a_child(release_reason="")

        assert (True, "Unknown", NOON + minutes(1)) == released(
            seen(held(), a_held_job(), child, after(1))
        )

    def test_on_a_fallback_says_so(self):
        """A value that stands in for the grid's is never given out for it."""
        child = a_child(release_basis=Basis.FALLBACK)

        message = told(seen(held(), a_held_job(), child, after(1)))[0][3]

        assert message == (
            "the zone's fallback intensity was not above `maxGramsPerKWh`;"
            " there was no fresh one of the grid"
        )

    def test_of_a_child_with_an_odd_basis_says_what_the_reason_says(self):
        """Anybody who may edit Jobs may change the annotation."""
        child = a_child(release_basis="x" * 3000)

        assert told(seen(held(), a_held_job(), a_child(), after(1))) == told(
            seen(held(), a_held_job(), child, after(1))
        )

    @given(st.integers(1, 2000), st.integers(1, 2000), st.booleans())
    def test_a_crash_before_the_status_was_written_loses_nothing(self, waited, ran, was_seen):
        """The child alone tells as much as having watched all along, but for transition times."""
        job, created = a_held_job(**DIRTY), NOON + minutes(waited)
        child = a_child(created=created, ending=ended(waited + ran))
        late = after(waited + ran)
        running = seen(held(job), job, a_child(created=created), after(waited))
        watched = seen(running, job, child, late)

        found = seen(held(job) if was_seen else Progress(), job, child, late)

        assert replace(watched, conditions=()) == replace(found, conditions=())
        assert told(watched) == told(found)


class TestSuspension:
    """The user's `suspend` on a job that has started."""

    job = a_held_job()
    stopped = replace(job, suspend=True)

    def running(self) -> Progress:
        """Started at creation."""
        return seen(Progress(), self.job, a_child(), after(0))

    def suspended(self) -> Progress:
        """Suspended ten minutes after the start."""
        child = a_stopped_child()
        return seen(self.running(), self.stopped, child, after(10))

    def test_counts_once_no_pod_is_left(self):
        """While pods still terminate, the job is not suspended yet."""
        draining = a_child(suspended_by=Cause.USER)

        suspending = seen(self.running(), self.stopped, draining, after(10))

        assert (State.SUSPENDING, None) == (suspending.state, suspending.suspended)
        assert released(self.running()) == released(suspending)

    def test_is_a_transition_of_released(self):
        """`Released` is False with the user's reason, since the moment it was seen."""
        assert (False, "SuspendedByUser", NOON + minutes(10)) == released(self.suspended())

    def test_stays_as_it_is_while_it_lasts(self):
        """No transition, equal progress."""
        child = a_stopped_child()

        assert self.suspended() == seen(self.suspended(), self.stopped, child, after(50))

    def test_adds_its_length_to_the_shift_when_it_ends(self):
        """The baseline is the contiguous run: later energy is compared that much further back."""
        resumed = seen(self.suspended(), self.job, a_child(), after(40))

        assert ((NOON, 0), (NOON + minutes(40), 1800)) == resumed.shifts
        assert (True, "ReleasedByUser", NOON + minutes(40)) == released(resumed)

    def test_two_suspensions_add_up(self):
        """Each shift contains the ones before it."""
        resumed = seen(self.suspended(), self.job, a_child(), after(40))
        again = seen(resumed, self.stopped, a_stopped_child(), after(60))

        resumed = seen(again, self.job, a_child(), after(70))

        assert [0, 1800, 2400] == [seconds for _, seconds in resumed.shifts]

    def test_many_are_folded_to_the_first_and_the_latest(self):
        """A job that is suspended all the time still completes, and its sums are right."""
        progress = self.running()
        for n in range(1, MOST_SHIFTS + 45):
            child = a_stopped_child()
            progress = seen(progress, self.stopped, child, after(2 * n))
            progress = seen(progress, self.job, a_child(), after(2 * n + 1))

        assert MOST_SHIFTS == len(progress.shifts)
        assert (NOON, 0) == progress.shifts[0]
        assert (after(2 * n + 1), 60 * n) == progress.shifts[-1]
        assert 60 * n == sum_of_suspensions(progress, after(9999))
        assert sorted(progress.shifts) == list(progress.shifts)

    def test_is_left_out_of_the_run_time(self):
        """An hour with half an hour of suspension is half an hour's run."""
        resumed = seen(self.suspended(), self.job, a_child(), after(40))

        finished = seen(resumed, self.job, a_child(ending=ended(60)), after(61))

        assert 1800 == finished.run_seconds

    def test_that_lasts_to_the_end_is_left_out_of_the_run_time(self):
        """A job that ends while suspended ran until it was suspended."""
        finished = seen(
            self.suspended(),
            self.stopped,
            a_stopped_child(ending=ended(60, succeeded=False)),
            after(61),
        )

        assert 600 == finished.run_seconds


class TestEnded:
    def test_success_completes_the_job(self):
        """Complete, at the time that the child says."""
        finished = seen(Progress(), a_held_job(), a_child(ending=ended(30)), after(31))

        assert (NOON + minutes(30), 1800) == (finished.finished, finished.run_seconds)
        assert (True, "Succeeded", NOON + minutes(31)) == released(finished, ConditionType.COMPLETE)
        assert finished.ended

    def test_failure_fails_the_job(self):
        """Failed with WorkloadFailed; `Released` stays: it did run."""
        child = a_child(ending=ended(30, succeeded=False))

        failed = seen(Progress(), a_held_job(), child, after(31))

        assert (True, "WorkloadFailed", NOON + minutes(31)) == released(
            failed, ConditionType.FAILED
        )
        assert (True, "IntensityAcceptable", NOON + minutes(31)) == released(failed)

    def test_a_missed_deadline_fails_a_job_that_never_ran(self):
        """Released says why it never will; it was held to the end."""
        job = a_held_job(**DIRTY, when_deadline_reached=WhenDeadlineReached.FAIL)

        failed = seen(held(job), job, None, after(1440))

        assert (False, "DeadlineMissed", NOON) == released(failed)
        assert (86400, None, None) == (
            failed.held_seconds,
            failed.run_seconds,
            failed.planned_start,
        )

    def test_a_deleted_child_fails_the_job_and_keeps_what_it_did(self):
        """How long it ran and was held stays on record."""
        running = seen(Progress(), a_held_job(), a_child(created=NOON + minutes(5)), after(5))

        failed = seen(running, a_held_job(), None, after(65))

        assert (True, "WorkloadDeleted", NOON + minutes(65)) == released(
            failed, ConditionType.FAILED
        )
        assert (300, 3600) == (failed.held_seconds, failed.run_seconds)

    def test_a_child_deleted_while_suspended_ran_until_then(self):
        """Nothing of an ended job says that it is suspended still."""
        job = a_held_job()
        running = seen(Progress(), job, a_child(), after(0))
        stopped = seen(
            running,
            replace(job, suspend=True),
            a_stopped_child(),
            after(10),
        )

        failed = seen(stopped, job, None, after(65))

        assert (600, None) == (failed.run_seconds, failed.suspended)


class TestNoTransition:
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["held", "refused", "suspended by user", "runs", "drained", "resumed"]
                ),
                st.integers(0, 120),
            ),
            max_size=8,
        )
    )
    def test_looking_twice_changes_nothing(self, events):
        """Whatever has happened, a second look a second later finds nothing to write."""
        progress, later = Progress(), 0
        for event, passed in events:
            later += passed
            job, child = _situation(event)
            progress = seen(progress, job, child, after(later))
            if progress.ended:  # its child is gone: nothing is decided any more
                return

            assert progress == seen(progress, job, child, after(later) + timedelta(seconds=1))


def _situation(event: str) -> tuple[Job, object]:
    user = a_held_job(suspend=True)
    return {
        "held": (a_held_job(**DIRTY), None),
        "refused": (a_held_job(**DIRTY, blocked=FULL), None),
        "suspended by user": (user, None),
        "runs": (a_held_job(), a_child(created=NOON)),
        "drained": (user, a_stopped_child()),
        "resumed": (a_held_job(), a_child()),
    }[event]


def test_every_release_reason_has_a_message():
    """A reason without words for people would be a KeyError at the release."""
    for reason in ReleaseReason:
        progress = seen(Progress(), a_held_job(), a_child(release_reason=reason), after(0))
        assert progress.condition(ConditionType.RELEASED).message
