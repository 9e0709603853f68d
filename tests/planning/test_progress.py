"""Progress: what a status says follows from the job, its child and the decision alone."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    NEXT_NOON,
    NOON,
    a_child,
    a_held_job,
    a_window,
    an_outlook,
    hours,
    minutes,
    some_windows,
)
from carbonaware_operator.api.reasons import ConditionType, EndReason, ReleaseReason, State
from carbonaware_operator.planning.decide import decide
from carbonaware_operator.planning.decision import Fail
from carbonaware_operator.planning.job import Job
from carbonaware_operator.planning.observed import Cause, Ending, stage_of
from carbonaware_operator.planning.progress import Moment, Progress, advance

DIRTY = {"max_grams": 100}
DELETED = Fail(EndReason.WORKLOAD_DELETED, "the child Job was deleted")


def after(minutes_later: float, generation: int = 1) -> Moment:
    """A moment so many minutes after the job's creation."""
    return Moment(NOON + minutes(minutes_later), NOON, generation)


def seen(progress, job, child, moment, outlook=an_outlook(300)):  # noqa: B008 - frozen
    """The next progress as the planner derives it: by what decide() says."""
    job = replace(job, stage=stage_of(child))
    decision = decide(job, outlook, moment.now)
    return advance(progress, job, child, decision, outlook, moment)


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
    lasting = [c for c in progress.conditions if c.type is not ConditionType.SIGNAL_FRESH]
    return [(c.type, c.status, c.reason, c.message) for c in lasting]


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
        progress = seen(held(job), replace(job, zone_name="nowhere"), None, after(5), outlook=None)

        assert (False, "NoZone", NOON) == released(progress)

    def test_a_signal_that_goes_stale_is_a_transition(self):
        """SignalFresh turns at the moment at which it is seen."""
        job = a_held_job(**DIRTY)
        progress = seen(held(job), job, None, after(5), an_outlook(None))

        assert (False, "Stale", NOON + minutes(5)) == released(progress, ConditionType.SIGNAL_FRESH)

    @given(st.integers(301, 5000), st.integers(1, 1439))
    def test_a_new_value_that_changes_no_decision_changes_nothing(self, grams, later):
        """Writes follow transitions, not signals."""
        job = a_held_job(**DIRTY)
        progress = held(job)

        assert progress == seen(progress, job, None, after(later), an_outlook(grams))

    def test_a_new_generation_is_noted(self):
        """`observedGeneration` tells a client that its change was seen."""
        job = a_held_job(**DIRTY)

        assert 2 == seen(held(job), job, None, after(1, generation=2)).generation


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
        failed = advance(
            held(),
            a_held_job(),
            None,
            Fail(EndReason.DEADLINE_MISSED, "not started in time"),
            an_outlook(),
            after(1440),
        )

        assert (False, "DeadlineMissed", NOON) == released(failed)
        assert (86400, None, None) == (
            failed.held_seconds,
            failed.run_seconds,
            failed.planned_start,
        )

    def test_a_deleted_child_fails_the_job_and_keeps_what_it_did(self):
        """How long it ran and was held stays on record."""
        running = seen(Progress(), a_held_job(), a_child(created=NOON + minutes(5)), after(5))

        failed = advance(running, a_held_job(), None, DELETED, an_outlook(), after(65))

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

        failed = advance(stopped, job, None, DELETED, an_outlook(), after(65))

        assert (600, None) == (failed.run_seconds, failed.suspended)


class TestNoTransition:
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["held", "suspended by user", "runs", "drained", "resumed"]),
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
            progress = seen(progress, job, child, after(later), an_outlook())

            moment = Moment(after(later).now + timedelta(seconds=1), NOON, 1)
            assert progress == seen(progress, job, child, moment)


def _situation(event: str) -> tuple[Job, object]:
    user = a_held_job(suspend=True)
    return {
        "held": (a_held_job(**DIRTY), None),
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
