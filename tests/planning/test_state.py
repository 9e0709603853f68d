"""The one word for how far a job has come, and that it changes with what happens alone."""

import pytest

from builders import NOON, a_child, a_held_job, an_outlook, hours, minutes
from carbonaware_operator.api.reasons import ConditionType, EndReason, HoldReason, State
from carbonaware_operator.planning.decision import Continue, Decision, Fail, Hold, Resume
from carbonaware_operator.planning.observed import Cause, Ending, Observed, Workload
from carbonaware_operator.planning.progress import (
    Condition,
    Progress,
    advance,
)
from carbonaware_operator.planning.situation import Situation
from carbonaware_operator.planning.state import Standing, standing_of, stated

ABOVE = Hold(HoldReason.ABOVE_MAX_INTENSITY, "above", review=NOON + hours(24))
BY_USER = Hold(HoldReason.SUSPENDED_BY_USER, "`suspend` is true")
STOPPING = a_child(suspended_by=Cause.USER)
STOPPED = a_child(suspended_by=Cause.USER, stopped=True)


def after(*steps: tuple[Observed | None, Decision]) -> Progress:
    """The progress of a job with which this happened, a minute each."""
    progress = Progress()
    for number, (child, decision) in enumerate(steps):
        situation = Situation(a_held_job(child=child), an_outlook(), NOON + minutes(number))
        progress = advance(progress, situation, decision)
    return progress


HELD = (None, ABOVE)
CREATED = (a_child(ready=False), Continue())
READY = (a_child(), Continue())
DELETED = Fail(EndReason.WORKLOAD_DELETED, "deleted")
STORIES = {
    "it waits for the grid": ([HELD], State.HELD, "AboveMaxIntensity"),
    "its user holds it": ([HELD, (None, BY_USER)], State.HELD, "SuspendedByUser"),
    "it was started, and no pod is ready": (
        [HELD, CREATED], State.STARTING, "IntensityAcceptable"),
    "a pod is ready": ([HELD, CREATED, READY], State.RUNNING, "IntensityAcceptable"),
    "a pod that was ready is tried again": (
        [HELD, READY, CREATED], State.RUNNING, "IntensityAcceptable"),
    "its user suspends it, and pods are left": (
        [HELD, READY, (STOPPING, BY_USER)], State.SUSPENDING, "SuspendedByUser"),
    "no pod is left": (
        [HELD, READY, (STOPPING, BY_USER), (STOPPED, BY_USER)],
        State.SUSPENDED, "SuspendedByUser"),
    "it is about to be resumed": (
        [HELD, READY, (STOPPED, BY_USER), (STOPPED, Resume())],
        State.SUSPENDED, "SuspendedByUser"),
    "it was resumed, and no pod is ready yet": (
        [HELD, READY, (STOPPED, BY_USER), CREATED], State.STARTING, "ReleasedByUser"),
    "it was resumed before its pods had ended": (
        [HELD, READY, (STOPPING, BY_USER), READY], State.RUNNING, "IntensityAcceptable"),
    "it completed": (
        [HELD, CREATED, (a_child(ending=Ending(NOON, True, "done")), Continue())],
        State.COMPLETE, "Succeeded"),
    "it failed": (
        [HELD, READY, (a_child(ending=Ending(NOON, False, "backoff")), Continue())],
        State.FAILED, "WorkloadFailed"),
    "it did not start in time": (
        [HELD, (None, Fail(EndReason.DEADLINE_MISSED, "late"))], State.FAILED, "DeadlineMissed"),
    "its Job was deleted": ([HELD, READY, (None, DELETED)], State.FAILED, "WorkloadDeleted"),
}  # fmt: skip


@pytest.mark.parametrize(("story", "state", "reason"), STORIES.values(), ids=STORIES)
def test_the_state_of_a_job_when(story, state, reason):
    """State and reason as columns, list, explain and metrics show them."""
    assert Standing(state, reason) == standing_of(after(*story))


def test_a_job_that_nobody_has_looked_at_is_held():
    """It has no child: it waits, if only for the operator."""
    assert Standing(State.HELD, "") == standing_of(Progress())


@pytest.mark.parametrize("story", [s for s, _, _ in STORIES.values()], ids=STORIES)
def test_the_same_once_more_changes_nothing(story):
    """No transition, no write."""
    once = after(*story)
    child, decision = story[-1]

    assert once == stated(once, child, decision)


class TestStatusOfAnEarlierVersion:
    """It has conditions and no state."""

    @pytest.mark.parametrize(
        ("kind", "status", "started", "state"),
        [
            (ConditionType.RELEASED, False, False, State.HELD),
            (ConditionType.RELEASED, True, True, State.RUNNING),
            (ConditionType.RELEASED, False, True, State.SUSPENDED),
            (ConditionType.COMPLETE, True, True, State.COMPLETE),
            (ConditionType.FAILED, True, False, State.FAILED),
        ],
    )
    def test_shows_the_state_that_its_conditions_mean(self, kind, status, started, state):
        """Until the operator's first pass, and for programs that read it before."""
        condition = Condition(kind, status, "Why", "why", NOON, 1)
        workload = Workload("batch/v1", "Job", "train", "u") if started else None
        progress = Progress(conditions=(condition,), workload=workload)

        assert Standing(state, "Why") == standing_of(progress)
