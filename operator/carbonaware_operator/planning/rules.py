"""decide(): whether a job starts now, by rules in one order. Pure: every decision can be replayed.

The first rule that speaks wins. Two of their places are not obvious: a missing zone stands after
the deadline, so that deleting a zone strands no job; a refusal stands before the user's request,
which would otherwise be tried over and over.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from carbonaware_operator.api.job import Strategy, WhenDeadlineReached, WhenSignalMissing
from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason
from carbonaware_operator.planning import facts
from carbonaware_operator.planning.decision import (
    Basis,
    Continue,
    Decision,
    Fail,
    Hold,
    Release,
    Resume,
    Suspend,
)
from carbonaware_operator.planning.observed import Cause
from carbonaware_operator.planning.outlook import Missing, Outlook, Signal
from carbonaware_operator.planning.situation import Job, Situation
from carbonaware_operator.quantities.instants import Instant, format_instant


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it is called, what it decides (None: nothing), and the fact it looks at."""

    name: str
    decide: Callable[[Situation], Decision | None]
    fact: Callable[[Situation], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says; asked: no rule before it has decided."""

    rule: str
    asked: bool
    decision: Decision | None
    fact: str


def decide(situation: Situation) -> Decision:
    """Decide on one unfinished job."""
    decisions = (rule.decide(situation) for rule in rules_for(situation.job))
    return next(decision for decision in decisions if decision is not None)


def findings(situation: Situation) -> list[Finding]:
    """What each rule says: decide() taken apart."""
    found, decided = [], False
    for rule in rules_for(situation.job):
        decision = None if decided else rule.decide(situation)
        found.append(Finding(rule.name, not decided, decision, rule.fact(situation)))
        decided = decided or decision is not None
    return found


def rules_for(job: Job) -> tuple[Rule, ...]:
    """The rules that are asked of a job: whether it was started before makes the difference."""
    return HELD if job.child is None and job.noted is None else STARTED


SUSPENDED_AGAIN_AFTER = timedelta(minutes=1)
"""Who lifts the user's suspension, as a queue may, is not fought at the API server's speed."""

SUSPENDED_MESSAGE = "`suspend` is true; set it to false to let the job go on"


def _suspended_by_user(situation: Situation) -> Hold | None:
    if not situation.job.suspend:
        return None
    return Hold(HoldReason.SUSPENDED_BY_USER, SUSPENDED_MESSAGE)


def _refused(situation: Situation) -> Hold | None:
    blocked, schedule = situation.job.blocked, situation.schedule
    if blocked is None:
        return None
    again = blocked.asked_again(schedule.last_start or schedule.deadline)
    if again and again <= situation.now:
        return None
    return Hold(blocked.reason, blocked.message, review=again)


def _release_requested(situation: Situation) -> Release | None:
    if not situation.job.release_requested:
        return None
    return Release(ReleaseReason.RELEASED_BY_USER, Basis.USER)


def _before_earliest_start(situation: Situation) -> Hold | None:
    earliest = situation.schedule.earliest_start
    if earliest is None or earliest <= situation.now:
        return None
    return Hold(
        HoldReason.BEFORE_EARLIEST_START,
        f"waits for `earliestStart`, {format_instant(earliest)}",
        until=earliest,
        review=earliest,
    )


def _at_latest_start(situation: Situation) -> Release | Fail | None:
    if situation.now < situation.last:
        return None
    schedule = situation.schedule
    if schedule.when_deadline_reached is WhenDeadlineReached.START:
        return Release(ReleaseReason.DEADLINE_REACHED, Basis.DEADLINE)
    return Fail(
        EndReason.DEADLINE_MISSED,
        f"not started by {format_instant(schedule.deadline)}, the latest start, and"
        " `whenDeadlineReached` is Fail; allow more time or a higher `maxGramsPerKWh`",
    )


def _no_zone(situation: Situation) -> Hold | None:
    if situation.outlook or situation.schedule.strategy is Strategy.IMMEDIATE:
        return None
    name, last = situation.job.zone_name, situation.last
    if name is None:
        message = "no zone: set `zoneName`, or give the operator a default zone"
    else:
        message = f"there is no CarbonZone {name!r}: create it, or change `zoneName`"
    return Hold(HoldReason.NO_ZONE, message, until=_planned(situation), review=last)


def _outside_windows(situation: Situation) -> Hold | None:
    windows, now = situation.schedule.windows, situation.now
    if windows.contains(now):
        return None
    opening = windows.next_opening(now)
    return Hold(
        HoldReason.OUTSIDE_WINDOW,
        f"outside every window; the next one opens at {format_instant(opening)}",
        until=opening,
        review=min(opening, situation.last),
    )


def _immediate(situation: Situation) -> Release | None:
    if situation.schedule.strategy is not Strategy.IMMEDIATE:
        return None
    return Release(ReleaseReason.IMMEDIATE, Basis.SCHEDULE)


def _signal_missing(situation: Situation) -> Release | Hold | None:
    outlook, schedule = _grid(situation), situation.schedule
    if isinstance(outlook.current, Signal):
        return None
    match schedule.when_signal_missing:
        case WhenSignalMissing.START:
            return Release(ReleaseReason.SIGNAL_MISSING, Basis.SCHEDULE)
        case WhenSignalMissing.USE_FALLBACK:
            return None
        case WhenSignalMissing.HOLD:
            return Hold(
                HoldReason.SIGNAL_MISSING,
                f"zone {outlook.zone} has no fresh intensity and `whenSignalMissing` is Hold;"
                + _ends(situation),
                until=_planned(situation),
                review=_review(situation),
            )


def _preferred(situation: Situation) -> Release | None:
    outlook, preferred = _grid(situation), situation.schedule.preferred_intensity
    if preferred is None or outlook.in_effect > preferred:
        return None
    return Release(ReleaseReason.INTENSITY_PREFERRED, _basis(outlook))


def _limit(situation: Situation) -> Release | Hold:
    outlook, limit = _grid(situation), situation.schedule.max_intensity
    if limit is None or outlook.in_effect <= limit:
        return Release(ReleaseReason.INTENSITY_ACCEPTABLE, _basis(outlook))
    # Whether it is the signal's or the fallback's is the zone's to say: it may change and decide
    # nothing, and then no job is written for it.
    return Hold(
        HoldReason.ABOVE_MAX_INTENSITY,
        f"the zone's intensity is above `maxGramsPerKWh`, {limit // 1000} gCO2e/kWh;"
        + _ends(situation),
        until=_planned(situation),
        review=_review(situation),
    )


def _vanished(situation: Situation) -> Fail | None:
    noted, child = situation.job.noted, situation.job.child
    if noted is None or (child and child.uid == noted.uid):
        return None
    return Fail(
        EndReason.WORKLOAD_DELETED,
        f"the child Job {noted.name} was deleted; it is never created a second time",
    )


def _ended(situation: Situation) -> Continue | None:
    child = situation.job.child
    return Continue() if child and child.ending else None


def _user_suspends(situation: Situation) -> Suspend | Hold | None:
    held, child = _suspended_by_user(situation), situation.job.child
    if held is None or child is None or child.suspended_by:
        return held
    since = child.suspended_since
    if since and situation.now < since + SUSPENDED_AGAIN_AFTER:
        return replace(held, review=since + SUSPENDED_AGAIN_AFTER)
    return Suspend(Cause.USER)


def _somebody_suspends(situation: Situation) -> Hold | None:
    child = situation.job.child
    if child is None or child.suspended_by is not Cause.OTHER:
        return None
    resumed = f"queue `{child.gate}` lets it run" if child.gate else "they resume it"
    message = f"somebody else suspended the child Job; it goes on when {resumed}"
    return Hold(HoldReason.SUSPENDED_BY_OTHER, message)


def _goes_on(situation: Situation) -> Resume | Continue:
    child = situation.job.child
    return Resume() if child and child.suspended_by else Continue()


def _grid(situation: Situation) -> Outlook:
    if situation.outlook is None:  # the rule of the zone holds every job that asks the grid
        raise ValueError("a job without zone was asked for its grid")
    return situation.outlook


def _basis(outlook: Outlook) -> Basis:
    return Basis.FALLBACK if isinstance(outlook.current, Missing) else Basis.SIGNAL


def _ends(situation: Situation) -> str:
    fails = situation.schedule.when_deadline_reached is WhenDeadlineReached.FAIL
    verb = "fails" if fails else "starts"
    return f" {verb} at {format_instant(situation.last)} at the latest"


def _planned(situation: Situation) -> Instant | None:
    starts = situation.schedule.when_deadline_reached is WhenDeadlineReached.START
    return situation.last if starts else None


def _review(situation: Situation) -> Instant:
    """When the grid is not the binding constraint any more: inside a window that closes."""
    closing = situation.schedule.windows.closing(situation.now)
    return min(situation.last, closing or situation.last)


HELD = (
    Rule("suspend", _suspended_by_user, facts.suspend),
    Rule("workload", _refused, facts.workload),
    Rule("release request", _release_requested, facts.release_request),
    Rule("earliestStart", _before_earliest_start, facts.earliest_start),
    Rule("latest start", _at_latest_start, facts.last_start),
    Rule("zone", _no_zone, facts.zone),
    Rule("windows", _outside_windows, facts.windows),
    Rule("strategy", _immediate, facts.strategy),
    Rule("signal", _signal_missing, facts.signal),
    Rule("preferredGramsPerKWh", _preferred, facts.preferred),
    Rule("maxGramsPerKWh", _limit, facts.limit),
)
"""Of a job that was not started yet; the last one always speaks."""

STARTED = (
    Rule("child Job", _vanished, facts.child),
    Rule("end", _ended, facts.child),
    Rule("suspend", _user_suspends, facts.suspend),
    Rule("others", _somebody_suspends, facts.child),
    Rule("run", _goes_on, facts.child),
)
"""Of a job that was started; the last one always speaks."""
