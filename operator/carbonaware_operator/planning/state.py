"""The one word for how far a job has come, as columns, `list`, `explain` and metrics show it.

Pure. The word changes with what happens to the job and never with time alone. A started job is
Starting until a pod of it is ready, and then Running until it is suspended or ends: a pod that is
tried again, or a probe that fails, is no transition.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from carbonaware_operator.api.reasons import ConditionType, State
from carbonaware_operator.planning.decision import Decision, Hold
from carbonaware_operator.planning.observed import Observed

if TYPE_CHECKING:
    from carbonaware_operator.planning.progress import Condition, Progress


class Standing(NamedTuple):
    """A state and the reason for it: that of the condition that says so, or what pods lack."""

    state: State
    reason: str


def standing_of(progress: "Progress") -> Standing:
    """Where a job stands by its status; by its conditions, where an earlier version wrote it."""
    if progress.state is not None:
        return Standing(progress.state, progress.reason)
    condition = deciding(progress)
    reason = condition.reason if condition else ""
    ended = _ended(condition)
    if ended:
        return Standing(ended, reason)
    if condition and condition.status:
        return Standing(State.RUNNING, reason)
    return Standing(State.SUSPENDED if progress.workload else State.HELD, reason)


def stated(progress: "Progress", child: Observed | None, decision: Decision) -> "Progress":
    """The progress with the state that follows from it, from the child and from the decision."""
    state, reason = _standing(progress, child, decision)
    return replace(progress, state=state, reason=reason)


def deciding(progress: "Progress") -> "Condition | None":
    """The condition that says where the job stands: its end, else whether it is released."""
    for kind in (ConditionType.COMPLETE, ConditionType.FAILED):
        ending = progress.condition(kind)
        if ending and ending.status:
            return ending
    return progress.condition(ConditionType.RELEASED)


def _ended(condition: "Condition | None") -> State | None:
    match condition.type if condition else None:
        case ConditionType.COMPLETE:
            return State.COMPLETE
        case ConditionType.FAILED:
            return State.FAILED
    return None


def _standing(progress: "Progress", child: Observed | None, decision: Decision) -> Standing:
    condition = deciding(progress)
    reason = condition.reason if condition else ""
    ended = _ended(condition)
    if ended:
        return Standing(ended, reason)
    if child is None or progress.workload is None:
        return Standing(State.HELD, reason)
    if child.suspended_by is None:
        if child.ready or progress.state is State.RUNNING:
            return Standing(State.RUNNING, reason)
        told = progress.reason if progress.state is State.STARTING else reason
        return Standing(State.STARTING, told)  # what its pods lack stays until one is ready
    if isinstance(decision, Hold):
        return Standing(State.SUSPENDED if child.stopped else State.SUSPENDING, decision.reason)
    return standing_of(progress)  # it is about to be resumed
