"""A job as the planner sees it: its schedule with every default filled in, and how far it is."""

from dataclasses import dataclass
from datetime import timedelta

from carbonaware_operator.api.job import (
    Schedule,
    Strategy,
    WhenDeadlineReached,
    WhenSignalMissing,
)
from carbonaware_operator.api.reasons import HoldReason
from carbonaware_operator.planning.observed import Stage
from carbonaware_operator.planning.windows import Windows, windows_of
from carbonaware_operator.quantities.durations import parse_duration
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant, parse_instant


@dataclass(frozen=True, slots=True)
class ScheduleDefaults:
    """What holds where neither the job nor a policy says otherwise."""

    max_delay: timedelta = timedelta(hours=24)
    strategy: Strategy = Strategy.THRESHOLD
    when_signal_missing: WhenSignalMissing = WhenSignalMissing.USE_FALLBACK
    when_deadline_reached: WhenDeadlineReached = WhenDeadlineReached.START


@dataclass(frozen=True, slots=True)
class ResolvedSchedule:
    """A schedule with every default filled in; `deadline` is the latest start."""

    strategy: Strategy
    max_intensity: MilligramsPerKWh | None
    preferred_intensity: MilligramsPerKWh | None
    earliest_start: Instant | None
    deadline: Instant
    windows: Windows
    when_signal_missing: WhenSignalMissing
    when_deadline_reached: WhenDeadlineReached


def resolve(
    schedule: Schedule | None, created: Instant, defaults: ScheduleDefaults
) -> ResolvedSchedule:
    """Fill in the defaults; raises ValueError for what the API server should have refused."""
    given = schedule or Schedule()
    return ResolvedSchedule(
        strategy=given.strategy or defaults.strategy,
        max_intensity=_milligrams(given.max_grams_per_kwh),
        preferred_intensity=_milligrams(given.preferred_grams_per_kwh),
        earliest_start=_to_the_second(given.earliest_start),
        deadline=_latest_start(given, created, defaults).replace(microsecond=0),
        windows=windows_of(given.windows),
        when_signal_missing=given.when_signal_missing or defaults.when_signal_missing,
        when_deadline_reached=given.when_deadline_reached or defaults.when_deadline_reached,
    )


def _to_the_second(text: str | None) -> Instant | None:
    # The API keeps whole seconds: what is compared with what it gives back must be whole as well.
    return parse_instant(text).replace(microsecond=0) if text else None


def _milligrams(grams: int | None) -> MilligramsPerKWh | None:
    return None if grams is None else milligrams_per_kwh(grams)


def _latest_start(schedule: Schedule, created: Instant, defaults: ScheduleDefaults) -> Instant:
    if schedule.start_by:
        return parse_instant(schedule.start_by)
    if schedule.finish_by and schedule.expected_duration:
        return parse_instant(schedule.finish_by) - parse_duration(schedule.expected_duration)
    delay = parse_duration(schedule.max_delay) if schedule.max_delay else defaults.max_delay
    return created + delay


@dataclass(frozen=True, slots=True)
class Blocked:
    """The API server refuses the workload: why, and when to try again (None: not by itself)."""

    reason: HoldReason
    message: str
    retry: Instant | None


@dataclass(frozen=True, slots=True)
class Job:
    """Everything about one unfinished job that a decision rests on."""

    stage: Stage
    suspend: bool
    zone_name: str | None
    schedule: ResolvedSchedule
    release_requested: bool = False
    blocked: Blocked | None = None
