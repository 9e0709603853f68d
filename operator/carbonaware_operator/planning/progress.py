"""Progress: what `carbonaware-planner` writes to a job's status, and how a decision changes it.

Pure: the same progress, situation and decision give the same next progress, so that a status write
is due exactly when the next progress differs from the one observed. Messages therefore hold nothing
that drifts, and every value is one that the API server takes.
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
from carbonaware_operator.planning.decision import Basis, Decision, Fail, Hold
from carbonaware_operator.planning.observed import Cause, Ending, Observed, Workload
from carbonaware_operator.planning.resolve import Defaults, ResolvedSchedule
from carbonaware_operator.planning.situation import Situation, token_of
from carbonaware_operator.planning.state import stated
from carbonaware_operator.quantities.instants import Instant, writable

MOST_SHIFTS = 256
"""As many stretches of a run as the status holds."""

_LONGEST_MESSAGE = 32768  # of a condition, by the API conventions

_RELEASE_MESSAGES = {
    ReleaseReason.INTENSITY_PREFERRED: "grid intensity was at or below `preferredGramsPerKWh`",
    ReleaseReason.INTENSITY_ACCEPTABLE: "grid intensity was not above `maxGramsPerKWh`",
    ReleaseReason.DEADLINE_REACHED: "the latest start was reached",
    ReleaseReason.SIGNAL_MISSING: "no fresh intensity, and `whenSignalMissing` is Start",
    ReleaseReason.IMMEDIATE: "the strategy is Immediate",
    ReleaseReason.RELEASED_BY_USER: "the user asked for it",
}

_ORDER = {kind: place for place, kind in enumerate(ConditionType)}

_HELD_FOR_THE_GRID = {
    HoldReason.BEFORE_EARLIEST_START,
    HoldReason.OUTSIDE_WINDOW,
    HoldReason.ABOVE_MAX_INTENSITY,
    HoldReason.SIGNAL_MISSING,
}
"""Every other wait run-at-once would have met as well: it is no saving."""


def release_message(reason: ReleaseReason, basis: Basis | None) -> str:
    """Why a job was started, in words that tell a fallback from the grid's own intensity."""
    message = _RELEASE_MESSAGES[reason]
    if basis is Basis.FALLBACK:
        message = message.replace("grid intensity", "the zone's fallback intensity")
        return f"{message}; there was no fresh one of the grid"
    return message


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
    """The planner's part of a job's status; empty for a job seen for the first time.

    stalled: since when something other than the grid keeps it from starting.
    shifts: from when on the run is how many seconds later than run-at-once.
    """

    state: State | None = None
    reason: str = ""
    generation: int | None = None
    zone_name: str | None = None
    deadline: Instant | None = None
    applied: tuple[Defaults, ...] = ()
    conditions: tuple[Condition, ...] = ()
    planned_start: Instant | None = None
    latest_start: Instant | None = None
    workload: Workload | None = None
    handled_request: str | None = None
    baseline_start: Instant | None = None
    stalled: Instant | None = None
    shifts: tuple[tuple[Instant, int], ...] = ()
    suspended: Instant | None = None
    suspended_by: Cause | None = None
    suspended_seconds: int | None = None
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


def advance(progress: Progress, situation: Situation, decision: Decision) -> Progress:
    """The progress that follows from a decision and from what the child Job does."""
    situation = replace(situation, now=writable(situation.now))
    job = situation.job
    following = replace(
        acknowledged(progress, job.generation),
        zone_name=job.zone_name,
        deadline=job.schedule.deadline,
        applied=job.resolved.applied,
    )
    if isinstance(decision, Fail):
        following = _failed(following, decision, situation)
    elif job.child is None:
        following = _waiting(following, decision, situation)
    else:
        following = _with_child(following, job.child, decision, situation)
    return stated(following, job.child, decision)


def _with_child(
    progress: Progress, child: Observed, decision: Decision, situation: Situation
) -> Progress:
    progress = _started(progress, child, situation)
    if child.ending:
        return _ended(progress, child.ending, situation)
    return _interrupted(progress, child, decision, situation)


def acknowledged(progress: Progress, generation: int) -> Progress:
    """The same, looked at in this generation of the spec.

    Whoever waits for a condition takes one of an older generation for not met.
    """
    conditions = tuple(
        c if c.generation == generation else replace(c, generation=generation)
        for c in progress.conditions
    )
    return replace(progress, generation=generation, conditions=conditions)


def with_condition(
    progress: Progress,
    kind: ConditionType,
    status: bool,
    reason: str,
    message: str,
    situation: Situation,
) -> Progress:
    """Set a condition; its time moves only when its status does."""
    old = progress.condition(kind)
    since = old.since if old and old.status == status else situation.now
    message = message[:_LONGEST_MESSAGE]
    new = Condition(kind, status, reason, message, since, situation.job.generation)
    others = (c for c in progress.conditions if c.type != kind)
    return replace(progress, conditions=in_order((*others, new)))


def in_order(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Conditions in the order of their types: to the API server they are a map without order."""
    return tuple(sorted(conditions, key=lambda c: _ORDER[c.type]))


def _waiting(progress: Progress, decision: Decision, situation: Situation) -> Progress:
    """A job without child: held, or about to be released (then its hold stands until it is)."""
    progress = replace(progress, baseline_start=_baseline_start(progress, situation))
    if not isinstance(decision, Hold):
        return progress
    if decision.reason is HoldReason.SUSPENDED_BY_USER:
        progress = replace(progress, stalled=None)
    elif decision.reason in _HELD_FOR_THE_GRID:
        progress = _unstalled(progress, situation.schedule, situation.now)
    else:
        progress = replace(progress, stalled=progress.stalled or situation.now)
    planned = writable(decision.until) if decision.until else None
    latest = _latest_start(situation, decision)
    progress = replace(progress, planned_start=planned, latest_start=latest)
    return with_condition(
        progress, ConditionType.RELEASED, False, decision.reason, decision.message, situation
    )


def _latest_start(situation: Situation, hold: Hold) -> Instant | None:
    """When it starts, or fails, at the latest; None where no deadline ends the waiting."""
    if hold.reason in (HoldReason.SUSPENDED_BY_USER, HoldReason.INVALID_WORKLOAD):
        return None
    last, deadline = situation.schedule.last_start, situation.schedule.deadline
    return last if last and last >= situation.job.created else deadline


def _unstalled(progress: Progress, schedule: ResolvedSchedule, until: Instant) -> Progress:
    """Move the baseline by a wait that no rule of the grid caused: it is no saving.

    What was waited before the baseline began has delayed nothing.
    """
    since, due = progress.stalled, progress.baseline_start
    if since and due and until > max(since, due):
        due = baseline_start(schedule, due + (until - max(since, due)))
    return replace(progress, stalled=None, baseline_start=due)


def _baseline_start(progress: Progress, situation: Situation) -> Instant | None:
    """When run-at-once would start: at creation, or when the user lifted their own suspension."""
    job = situation.job
    if job.suspend:
        return None
    if progress.baseline_start:
        return progress.baseline_start
    seen_before = progress.condition(ConditionType.RELEASED) is not None
    return baseline_start(job.schedule, situation.now if seen_before else job.created)


def baseline_start(schedule: ResolvedSchedule, allowed: Instant) -> Instant:
    """The first instant from `allowed` on that `earliestStart` and the windows permit."""
    if schedule.earliest_start:
        allowed = max(allowed, schedule.earliest_start)
    return writable(schedule.windows.next_opening(allowed))


def _started(progress: Progress, child: Observed, situation: Situation) -> Progress:
    """Note the release once, from what the child Job itself says: also after a crash."""
    if progress.workload:
        return progress
    schedule, created = situation.schedule, situation.job.created
    progress = _unstalled(progress, schedule, child.created)
    due = progress.baseline_start or baseline_start(schedule, _allowed(progress, child, created))
    progress = replace(
        progress,
        workload=child.workload,
        handled_request=token_of(child.handled_request) or progress.handled_request,
        baseline_start=due,
        shifts=((child.created, _seconds(due, child.created)),),
        released=child.created,
        planned_start=None,
        latest_start=None,
        held_seconds=_seconds(created, child.created),
    )
    return _running(progress, child, situation)


def _allowed(progress: Progress, child: Observed, created: Instant) -> Instant:
    """From when on run-at-once was allowed, of a job that was started when it was first decided on.

    Its user may have let it go in the same step: until then its waiting was not ours.
    """
    before = progress.condition(ConditionType.RELEASED)
    suspended = before is not None and before.reason == HoldReason.SUSPENDED_BY_USER
    return child.created if suspended else created


def _running(progress: Progress, child: Observed, situation: Situation) -> Progress:
    reason, basis = child.release_reason, child.release_basis
    if reason in set(ReleaseReason):
        known = Basis(basis) if basis in set(Basis) else None
        message = release_message(ReleaseReason(reason), known)
    else:  # anybody may have changed the annotation, to what no condition could hold
        reason, message = "Unknown", "the child Job exists and does not say why"
    if child.left_out:
        message += f"; left out of `jobTemplate`: {', '.join(child.left_out)}"
    return with_condition(progress, ConditionType.RELEASED, True, reason, message, situation)


def _ended(progress: Progress, ending: Ending, situation: Situation) -> Progress:
    progress = _finished(progress, writable(ending.time))
    kind, reason = ConditionType.FAILED, EndReason.WORKLOAD_FAILED
    if ending.succeeded:
        kind, reason = ConditionType.COMPLETE, EndReason.SUCCEEDED
    return with_condition(progress, kind, True, reason, ending.message, situation)


def _finished(progress: Progress, end: Instant) -> Progress:
    """Note the end, and how long the job ran if it did."""
    finished = replace(
        progress,
        finished=end,
        suspended=None,
        suspended_by=None,
        planned_start=None,
        latest_start=None,
        stalled=None,
    )
    if progress.released is None:
        return finished
    elapsed = _seconds(progress.released, end)
    return replace(finished, run_seconds=max(0, elapsed - sum_of_suspensions(progress, end)))


def sum_of_suspensions(progress: Progress, until: Instant) -> int:
    """Seconds for which a started job was suspended, by whomever."""
    closed = progress.suspended_seconds
    if closed is None:  # the first version kept it only as the sum by which the job fell back
        closed = progress.shifts[-1][1] - progress.shifts[0][1] if progress.shifts else 0
    return closed + (_seconds(progress.suspended, until) if progress.suspended else 0)


def _interrupted(
    progress: Progress, child: Observed, decision: Decision, situation: Situation
) -> Progress:
    """Follow the suspensions of a started job, and their ends."""
    now = situation.now
    if isinstance(decision, Hold) and child.stopped:
        since = progress.suspended or now
        progress = replace(progress, suspended=since, suspended_by=child.suspended_by)
        return with_condition(
            progress, ConditionType.RELEASED, False, decision.reason, decision.message, situation
        )
    if progress.suspended and child.suspended_by is None:
        by_user = progress.suspended_by is not Cause.OTHER and not isinstance(decision, Hold)
        if by_user:
            reason, basis = ReleaseReason.RELEASED_BY_USER.value, Basis.USER.value
            child = replace(child, release_reason=reason, release_basis=basis)
        return _running(_resumed(progress, progress.suspended, now), child, situation)
    return progress


def _resumed(progress: Progress, since: Instant, now: Instant) -> Progress:
    """Run-at-once would have met what others suspend as well: only our own moves the baseline."""
    shifts = progress.shifts
    if progress.suspended_by is not Cause.OTHER:
        shifts = _folded((*shifts, (now, shifts[-1][1] + _seconds(since, now))))
    return replace(
        progress,
        suspended=None,
        suspended_by=None,
        suspended_seconds=sum_of_suspensions(progress, now),
        shifts=shifts,
    )


def _folded(shifts: tuple[tuple[Instant, int], ...]) -> tuple[tuple[Instant, int], ...]:
    """As many as the status holds: the first and the latest, which give the sum of all."""
    return shifts if len(shifts) <= MOST_SHIFTS else (shifts[0], *shifts[1 - MOST_SHIFTS :])


def _failed(progress: Progress, decision: Fail, situation: Situation) -> Progress:
    progress = _finished(progress, situation.now)
    if progress.workload is None:
        progress = replace(progress, held_seconds=_seconds(situation.job.created, situation.now))
        progress = with_condition(
            progress, ConditionType.RELEASED, False, decision.reason, decision.message, situation
        )
    return with_condition(
        progress, ConditionType.FAILED, True, decision.reason, decision.message, situation
    )


def _seconds(start: Instant, end: Instant) -> int:
    """From one instant to another; none when a clock stepped back in between."""
    return max(0, round((end - start).total_seconds()))
