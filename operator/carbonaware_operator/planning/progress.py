"""Progress: what `carbonaware-planner` writes to a job's status, and how a decision changes it.

Pure: the same progress, child and decision give the same next progress, so that a status write is
due exactly when the next progress differs from the one observed. Messages therefore never hold a
number that drifts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from carbonaware_operator.api.reasons import (
    ConditionType,
    EndReason,
    HoldReason,
    ReleaseReason,
    State,
)
from carbonaware_operator.planning.decision import Decision, Fail, Hold
from carbonaware_operator.planning.job import Job, ResolvedSchedule
from carbonaware_operator.planning.observed import Ending, Observed, Workload
from carbonaware_operator.planning.outlook import Missing, Outlook
from carbonaware_operator.planning.state import stated
from carbonaware_operator.quantities.instants import Instant

RELEASE_MESSAGES = {
    ReleaseReason.INTENSITY_PREFERRED: "grid intensity was at or below `preferredGramsPerKWh`",
    ReleaseReason.INTENSITY_ACCEPTABLE: "grid intensity was not above `maxGramsPerKWh`",
    ReleaseReason.DEADLINE_REACHED: "the latest start was reached",
    ReleaseReason.SIGNAL_MISSING: "no fresh intensity, and `whenSignalMissing` is Start",
    ReleaseReason.IMMEDIATE: "the strategy is Immediate",
    ReleaseReason.RELEASED_BY_USER: "the user asked for it",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the status, its time parsed."""

    type: ConditionType
    status: bool
    reason: str
    message: str
    since: Instant
    generation: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The planner's part of a job's status; empty for a job seen for the first time."""

    state: State | None = None
    reason: str = ""
    generation: int | None = None
    zone_name: str | None = None
    deadline: Instant | None = None
    conditions: tuple[Condition, ...] = ()
    planned_start: Instant | None = None
    latest_start: Instant | None = None
    workload: Workload | None = None
    handled_request: str | None = None
    baseline_start: Instant | None = None
    shifts: tuple[tuple[Instant, int], ...] = ()
    suspended: Instant | None = None
    released: Instant | None = None
    finished: Instant | None = None
    held_seconds: int | None = None
    run_seconds: int | None = None

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of a type, if it is set."""
        return next((c for c in self.conditions if c.type == kind), None)

    @property
    def ended(self) -> bool:
        """Whether the job is complete or failed: nothing is decided any more."""
        return any(
            c.status and c.type in (ConditionType.COMPLETE, ConditionType.FAILED)
            for c in self.conditions
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """When a status is derived, and for which generation of the spec."""

    now: Instant
    created: Instant
    generation: int


def advance(
    progress: Progress,
    job: Job,
    child: Observed | None,
    decision: Decision,
    outlook: Outlook | None,
    moment: Moment,
) -> Progress:
    """The progress that follows from a decision and from what the child Job does."""
    following = replace(
        progress,
        generation=moment.generation,
        zone_name=job.zone_name,
        deadline=job.schedule.deadline,
    )
    if isinstance(decision, Fail):
        following = _failed(following, decision, moment)
    elif child is None:
        following = _waiting(following, job, decision, outlook, moment)
    else:
        following = _with_child(following, job.schedule, child, decision, moment)
    return stated(following, child, decision)


def _with_child(
    progress: Progress,
    schedule: ResolvedSchedule,
    child: Observed,
    decision: Decision,
    moment: Moment,
) -> Progress:
    progress = _started(progress, schedule, child, moment)
    if child.ending:
        return _ended(progress, child.ending, moment)
    return _interrupted(progress, child, decision, moment)


def with_condition(
    progress: Progress, kind: ConditionType, status: bool, reason: str, message: str, moment: Moment
) -> Progress:
    """Set a condition; its time moves only when its status does."""
    old = progress.condition(kind)
    since = old.since if old and old.status == status else moment.now
    new = Condition(kind, status, reason, message, since, moment.generation)
    others = (c for c in progress.conditions if c.type != kind)
    return replace(progress, conditions=in_order((*others, new)))


def in_order(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Conditions in the order of their types: to the API server they are a map without order."""
    return tuple(sorted(conditions, key=lambda c: list(ConditionType).index(c.type)))


def _waiting(
    progress: Progress, job: Job, decision: Decision, outlook: Outlook | None, moment: Moment
) -> Progress:
    """A job without child: held, or about to be released (then its hold stands until it is)."""
    progress = replace(progress, baseline_start=_baseline_start(progress, job, moment))
    if not isinstance(decision, Hold):
        return progress
    latest = _latest_start(job, decision, moment)
    progress = replace(progress, planned_start=decision.until, latest_start=latest)
    progress = _with_signal(progress, outlook, moment)
    return with_condition(
        progress, ConditionType.RELEASED, False, decision.reason, decision.message, moment
    )


def _latest_start(job: Job, hold: Hold, moment: Moment) -> Instant | None:
    """When it starts, or fails, at the latest; None where no deadline ends the waiting."""
    if hold.reason in (HoldReason.SUSPENDED_BY_USER, HoldReason.INVALID_WORKLOAD):
        return None
    deadline = job.schedule.deadline
    last = job.schedule.windows.last_start(not_before=moment.now, not_after=deadline)
    return last or deadline


def _baseline_start(progress: Progress, job: Job, moment: Moment) -> Instant | None:
    """When run-at-once would start: at creation, or when the user lifted their own suspension."""
    if job.suspend:
        return None
    if progress.baseline_start:
        return progress.baseline_start
    seen_before = progress.condition(ConditionType.RELEASED) is not None
    return baseline_start(job.schedule, moment.now if seen_before else moment.created)


def baseline_start(schedule: ResolvedSchedule, allowed: Instant) -> Instant:
    """The first instant from `allowed` on that `earliestStart` and the windows permit."""
    if schedule.earliest_start:
        allowed = max(allowed, schedule.earliest_start)
    return schedule.windows.next_opening(allowed)


def _with_signal(progress: Progress, outlook: Outlook | None, moment: Moment) -> Progress:
    if outlook is None:
        reason, message, fresh = "NoZone", "there is no such CarbonZone", False
    elif isinstance(outlook.current, Missing):
        # The zone's own condition has the detail: it may vary, and a job is written for no detail.
        message = f"CarbonZone {outlook.zone} has no fresh intensity; its conditions say why"
        reason, fresh = outlook.current.reason, False
    else:
        reason, message, fresh = "Current", f"zone {outlook.zone} has a fresh intensity", True
    return with_condition(progress, ConditionType.SIGNAL_FRESH, fresh, reason, message, moment)


def _started(
    progress: Progress, schedule: ResolvedSchedule, child: Observed, moment: Moment
) -> Progress:
    """Note the release once, from what the child Job itself says: also after a crash."""
    if progress.workload:
        return progress
    due = progress.baseline_start or baseline_start(schedule, _allowed(progress, child, moment))
    shift = max(0, round((child.created - due).total_seconds()))
    progress = replace(
        progress,
        workload=child.workload,
        handled_request=child.handled_request or progress.handled_request,
        baseline_start=due,
        shifts=((child.created, shift),),
        released=child.created,
        planned_start=None,
        latest_start=None,
        held_seconds=max(0, round((child.created - moment.created).total_seconds())),
    )
    return _running(progress, child.release_reason, moment)


def _allowed(progress: Progress, child: Observed, moment: Moment) -> Instant:
    """From when on run-at-once was allowed, of a job that was started when it was first decided on.

    Its user may have let it go in the same step: until then its waiting was not ours.
    """
    before = progress.condition(ConditionType.RELEASED)
    suspended = before is not None and before.reason == HoldReason.SUSPENDED_BY_USER
    return child.created if suspended else moment.created


def _running(progress: Progress, reason: str, moment: Moment) -> Progress:
    if reason in set(ReleaseReason):
        message = RELEASE_MESSAGES[ReleaseReason(reason)]
    else:  # anybody may have changed the annotation, to what no condition could hold
        reason, message = "Unknown", "the child Job exists and does not say why"
    return with_condition(progress, ConditionType.RELEASED, True, reason, message, moment)


def _ended(progress: Progress, ending: Ending, moment: Moment) -> Progress:
    progress = _finished(progress, ending.time)
    if ending.succeeded:
        return with_condition(
            progress, ConditionType.COMPLETE, True, EndReason.SUCCEEDED, ending.message, moment
        )
    return with_condition(
        progress, ConditionType.FAILED, True, EndReason.WORKLOAD_FAILED, ending.message, moment
    )


def _finished(progress: Progress, end: Instant) -> Progress:
    """Note the end, and how long the job ran if it did."""
    finished = replace(
        progress, finished=end, suspended=None, planned_start=None, latest_start=None
    )
    if progress.released is None:
        return finished
    elapsed = round((end - progress.released).total_seconds())
    return replace(finished, run_seconds=max(0, elapsed - sum_of_suspensions(progress, end)))


def sum_of_suspensions(progress: Progress, until: Instant) -> int:
    """Seconds for which a started job was suspended: the shifts say by how much it fell back."""
    if not progress.shifts:
        return 0
    closed = progress.shifts[-1][1] - progress.shifts[0][1]
    since = progress.suspended
    still = max(0, round((until - since).total_seconds())) if since else 0
    return closed + still


def _interrupted(
    progress: Progress, child: Observed, decision: Decision, moment: Moment
) -> Progress:
    """Follow the user's suspension of a started job, and its end."""
    if isinstance(decision, Hold) and child.stopped:
        progress = replace(progress, suspended=progress.suspended or moment.now)
        return with_condition(
            progress, ConditionType.RELEASED, False, decision.reason, decision.message, moment
        )
    if progress.suspended and child.suspended_by is None:
        fallen_back = round((moment.now - progress.suspended).total_seconds())
        shift = progress.shifts[-1][1] + fallen_back
        progress = replace(progress, suspended=None, shifts=(*progress.shifts, (moment.now, shift)))
        return _running(progress, ReleaseReason.RELEASED_BY_USER, moment)
    return progress


def _failed(progress: Progress, decision: Fail, moment: Moment) -> Progress:
    progress = _finished(progress, moment.now)
    if progress.workload is None:
        held = max(0, round((moment.now - moment.created).total_seconds()))
        progress = replace(progress, held_seconds=held)
        progress = with_condition(
            progress, ConditionType.RELEASED, False, decision.reason, decision.message, moment
        )
    return with_condition(
        progress, ConditionType.FAILED, True, decision.reason, decision.message, moment
    )
