"""The fact that each rule looks at, in words: with the numbers that it compares."""

from carbonaware_operator.api.job import Strategy, WhenDeadlineReached
from carbonaware_operator.planning.outlook import Missing
from carbonaware_operator.planning.situation import Situation
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, grams
from carbonaware_operator.quantities.spans import exact, relative


def suspend(situation: Situation) -> str:
    """Whether the user holds it."""
    return "`suspend` is true" if situation.job.suspend else "`suspend` is not set"


def workload(situation: Situation) -> str:
    """What the API server says of it."""
    blocked = situation.job.blocked
    return blocked.message if blocked else "the API server has not refused it"


def release_request(situation: Situation) -> str:
    """Whether the user asks for it."""
    return "asked to start now" if situation.job.release_requested else "no open request"


def earliest_start(situation: Situation) -> str:
    """From when on it may start."""
    earliest = situation.schedule.earliest_start
    return exact(earliest, situation.now) if earliest else "not set"


def last_start(situation: Situation) -> str:
    """Until when it may wait, and what then becomes of it."""
    schedule, now, last = situation.schedule, situation.now, situation.last
    then = "fails" if schedule.when_deadline_reached is WhenDeadlineReached.FAIL else "starts"
    if last > now:
        return f"{exact(last, now)}; then the job {then}"
    if schedule.deadline > now:
        return f"no window opens again before {exact(schedule.deadline, now)}: the job {then}"
    return f"{exact(schedule.deadline, now)} has passed: the job {then}"


def zone(situation: Situation) -> str:
    """Which grid it waits for."""
    name = situation.job.zone_name
    if name is None:
        return "none named, and the operator has no default zone"
    return f"CarbonZone {name}" if situation.outlook else f"there is no CarbonZone {name}"


def windows(situation: Situation) -> str:
    """Whether one of its windows is open."""
    given, now = situation.schedule.windows, situation.now
    if not given.daily:
        return "always open"
    closing = given.closing(now)
    if closing:
        return f"open, closes {relative(closing, now)}"
    return f"closed, opens {exact(given.next_opening(now), now)}"


def strategy(situation: Situation) -> str:
    """Whether it asks the grid."""
    chosen = situation.schedule.strategy
    if chosen is Strategy.IMMEDIATE:
        return "Immediate: starts whatever the grid"
    return f"{chosen.value}: looks at the grid"


def signal(situation: Situation) -> str:
    """What is known of the grid."""
    outlook = situation.outlook
    if outlook is None:
        return "no zone, no signal"
    current = outlook.current
    if isinstance(current, Missing):
        policy = situation.schedule.when_signal_missing
        return f"missing ({current.reason}), `whenSignalMissing` is {policy}: {current.detail}"
    age = relative(current.observed, situation.now)
    return f"{grams(current.intensity)} gCO2e/kWh from {current.source}, {age}"


def preferred(situation: Situation) -> str:
    """The grid beside what the job prefers."""
    return _against(situation, situation.schedule.preferred_intensity)


def limit(situation: Situation) -> str:
    """The grid beside what the job accepts."""
    return _against(situation, situation.schedule.max_intensity)


def child(situation: Situation) -> str:
    """What has become of the object that runs it."""
    seen = situation.job.child
    if seen is None:
        return "there is none any more"
    if seen.ending:
        return seen.ending.message
    return "runs" if seen.suspended_by is None else f"suspended ({seen.suspended_by})"


def _against(situation: Situation, bound: MilligramsPerKWh | None) -> str:
    if bound is None:
        return "not set"
    if situation.outlook is None:
        return f"{grams(bound)} gCO2e/kWh"
    intensity = situation.outlook.in_effect
    comparison = "above" if intensity > bound else "not above"
    return f"{grams(intensity)} is {comparison} {grams(bound)} gCO2e/kWh"
