"""The rules of planning.decide() in their order, each with the fact that it looks at.

Which rule spoke is read from the decision's reason: the rules are stated here, never judged again,
so that this account cannot disagree with the decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from carbonaware_operator.api.job import Strategy, WhenDeadlineReached
from carbonaware_operator.api.reasons import REFUSALS, EndReason, HoldReason, ReleaseReason
from carbonaware_operator.cli.outlooks import grams, intensity_in_effect
from carbonaware_operator.cli.times import exact, relative
from carbonaware_operator.planning.decide import latest_start
from carbonaware_operator.planning.decision import Decision, Fail, Hold, Release
from carbonaware_operator.planning.job import Job
from carbonaware_operator.planning.outlook import Missing, Outlook
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant


class Verdict(StrEnum):
    """What a rule did; the first that does not pass decides, and no other is asked."""

    PASS = "pass"  # noqa: S105 - no password
    HOLDS = "holds"
    STARTS = "starts"
    FAILS = "fails"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule looks at; outlook: None when there is no such zone."""

    job: Job
    outlook: Outlook | None
    now: Instant


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, the reasons with which it decides, and the fact that it looks at."""

    name: str
    reasons: frozenset[str]
    fact: Callable[[Situation], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule did, and on what fact."""

    rule: str
    verdict: Verdict
    fact: str


def findings(situation: Situation, decision: Decision) -> list[Finding]:
    """What each rule did for a job that waits to be started; none for any other decision."""
    verdict = _verdict(decision)
    if verdict is None or not isinstance(decision, Hold | Release | Fail):
        return []
    found, decided = [], False
    for rule in RULES:
        decides = decision.reason in rule.reasons
        spoke = verdict if decides else Verdict.NOT_ASKED if decided else Verdict.PASS
        found.append(Finding(rule.name, spoke, rule.fact(situation)))
        decided = decided or decides
    return found


def _verdict(decision: Decision) -> Verdict | None:
    match decision:
        case Hold():
            return Verdict.HOLDS
        case Release():
            return Verdict.STARTS
        case Fail():
            return Verdict.FAILS
        case _:
            return None


def _suspend(situation: Situation) -> str:
    return "`suspend` is true" if situation.job.suspend else "`suspend` is not set"


def _workload(situation: Situation) -> str:
    blocked = situation.job.blocked
    return blocked.message if blocked else "the API server has not refused it"


def _release_request(situation: Situation) -> str:
    return "asked to start now" if situation.job.release_requested else "no open request"


def _earliest_start(situation: Situation) -> str:
    earliest = situation.job.schedule.earliest_start
    return exact(earliest, situation.now) if earliest else "not set"


def _latest_start(situation: Situation) -> str:
    schedule, now = situation.job.schedule, situation.now
    then = "fails" if schedule.when_deadline_reached is WhenDeadlineReached.FAIL else "starts"
    last = latest_start(schedule, now)
    if last > now:
        return f"{exact(last, now)}; then the job {then}"
    if schedule.deadline > now:
        return f"no window opens again before {exact(schedule.deadline, now)}: the job {then}"
    return f"{exact(schedule.deadline, now)} has passed: the job {then}"


def _zone(situation: Situation) -> str:
    name = situation.job.zone_name
    if name is None:
        return "none named, and the operator has no default zone"
    return f"CarbonZone {name}" if situation.outlook else f"there is no CarbonZone {name}"


def _windows(situation: Situation) -> str:
    windows, now = situation.job.schedule.windows, situation.now
    if not windows.daily:
        return "always open"
    closing = windows.closing(now)
    if closing:
        return f"open, closes {relative(closing, now)}"
    return f"closed, opens {exact(windows.next_opening(now), now)}"


def _strategy(situation: Situation) -> str:
    strategy = situation.job.schedule.strategy
    if strategy is Strategy.IMMEDIATE:
        return "Immediate: starts whatever the grid"
    return f"{strategy.value}: looks at the grid"


def _signal(situation: Situation) -> str:
    outlook = situation.outlook
    if outlook is None:
        return "no zone, no signal"
    current = outlook.current
    if isinstance(current, Missing):
        policy = situation.job.schedule.when_signal_missing
        return f"missing ({current.reason}), `whenSignalMissing` is {policy}: {current.detail}"
    age = relative(current.observed, situation.now)
    return f"{grams(current.intensity)} gCO2e/kWh from {current.source}, {age}"


def _preferred(situation: Situation) -> str:
    return _against(situation.outlook, situation.job.schedule.preferred_intensity)


def _max(situation: Situation) -> str:
    return _against(situation.outlook, situation.job.schedule.max_intensity)


def _against(outlook: Outlook | None, limit: MilligramsPerKWh | None) -> str:
    if limit is None:
        return "not set"
    if outlook is None:
        return f"{grams(limit)} gCO2e/kWh"
    intensity = intensity_in_effect(outlook)
    comparison = "above" if intensity > limit else "not above"
    return f"{grams(intensity)} is {comparison} {grams(limit)} gCO2e/kWh"


RULES = (
    Rule("suspend", frozenset({HoldReason.SUSPENDED_BY_USER}), _suspend),
    Rule("workload", REFUSALS, _workload),
    Rule("release request", frozenset({ReleaseReason.RELEASED_BY_USER}), _release_request),
    Rule("earliestStart", frozenset({HoldReason.BEFORE_EARLIEST_START}), _earliest_start),
    Rule(
        "latest start",
        frozenset({ReleaseReason.DEADLINE_REACHED, EndReason.DEADLINE_MISSED}),
        _latest_start,
    ),
    Rule("zone", frozenset({HoldReason.NO_ZONE}), _zone),
    Rule("windows", frozenset({HoldReason.OUTSIDE_WINDOW}), _windows),
    Rule("strategy", frozenset({ReleaseReason.IMMEDIATE}), _strategy),
    Rule("signal", frozenset({HoldReason.SIGNAL_MISSING, ReleaseReason.SIGNAL_MISSING}), _signal),
    Rule("preferredGramsPerKWh", frozenset({ReleaseReason.INTENSITY_PREFERRED}), _preferred),
    Rule(
        "maxGramsPerKWh",
        frozenset({HoldReason.ABOVE_MAX_INTENSITY, ReleaseReason.INTENSITY_ACCEPTABLE}),
        _max,
    ),
)
"""The order of planning.decide(); tests hold that each of its reasons belongs to one rule."""
