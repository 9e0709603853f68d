"""resolve(): what holds for a job, from what its user wrote and from what fills it in.

Each value comes from the first that has one: the job, then each source of defaults in its order.
What was filled in is kept by source, so that users are told what they did not write.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar, cast

from carbonaware_operator.api.job import (
    CarbonAwareJobSpec,
    Schedule,
    Strategy,
    WhenDeadlineReached,
    WhenSignalMissing,
)
from carbonaware_operator.planning.windows import Windows, windows_of
from carbonaware_operator.quantities.durations import parse_duration
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant, parse_instant, writable

T = TypeVar("T")
Shared = TypeVar("Shared", bound=Hashable)

_KEPT = 4096  # kinds of jobs of which what they say is kept once; more are kept job by job


class Source(StrEnum):
    """Who fills in what a job does not say."""

    SETTINGS = "Settings"


@dataclass(frozen=True, slots=True)
class Given:
    """What the user wrote of when and where the job may run; None where nothing."""

    zone_name: str | None
    strategy: Strategy | None
    max_intensity: MilligramsPerKWh | None
    preferred_intensity: MilligramsPerKWh | None
    expected_duration: timedelta | None
    earliest_start: Instant | None
    max_delay: timedelta | None
    start_by: Instant | None
    finish_by: Instant | None
    windows: Windows
    when_signal_missing: WhenSignalMissing | None
    when_deadline_reached: WhenDeadlineReached | None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What one source has for jobs that say nothing; None where it has nothing either."""

    source: Source
    zone_name: str | None = None
    strategy: Strategy | None = None
    max_delay: timedelta | None = None
    when_signal_missing: WhenSignalMissing | None = None
    when_deadline_reached: WhenDeadlineReached | None = None


SETTINGS = Defaults(
    Source.SETTINGS,
    strategy=Strategy.THRESHOLD,
    max_delay=timedelta(hours=24),
    when_signal_missing=WhenSignalMissing.USE_FALLBACK,
    when_deadline_reached=WhenDeadlineReached.START,
)
"""The operator's, where it is not told otherwise: complete but for a zone."""

_FILLED_IN = tuple(f.name for f in fields(Defaults) if f.name != "source")


@dataclass(frozen=True, slots=True)
class ResolvedSchedule:
    """A schedule with every default filled in.

    deadline: the latest start that was asked for; last_start: the latest instant up to it that is
    inside a window, which may lie before the job was created; None when no window opens near it.
    """

    strategy: Strategy
    max_intensity: MilligramsPerKWh | None
    preferred_intensity: MilligramsPerKWh | None
    expected_duration: timedelta | None
    earliest_start: Instant | None
    deadline: Instant
    windows: Windows
    when_signal_missing: WhenSignalMissing
    when_deadline_reached: WhenDeadlineReached
    last_start: Instant | None = field(init=False)

    def __post_init__(self) -> None:
        # It depends on nothing else: found once here, it costs the decisions nothing.
        object.__setattr__(self, "last_start", self.windows.last_start(self.deadline))


@dataclass(frozen=True, slots=True)
class Resolved:
    """What holds for a job, and what of it was filled in, by source."""

    zone_name: str | None
    schedule: ResolvedSchedule
    applied: tuple[Defaults, ...]


_known: OrderedDict[Hashable, Any] = OrderedDict()


def shared(value: Shared) -> Shared:
    """The one object that is kept of equal ones: a thousand jobs of a sweep say the same."""
    _known.setdefault(value, value)
    _known.move_to_end(value)
    if len(_known) > _KEPT:
        _known.popitem(last=False)
    return cast("Shared", _known[value])


def given_of(spec: CarbonAwareJobSpec) -> Given:
    """Read what the user wrote; raises ValueError for what the API server should have refused."""
    schedule = spec.schedule or Schedule()
    return shared(
        Given(
            zone_name=spec.zone_name,
            strategy=schedule.strategy,
            max_intensity=_milligrams(schedule.max_grams_per_kwh),
            preferred_intensity=_milligrams(schedule.preferred_grams_per_kwh),
            expected_duration=_duration(schedule.expected_duration),
            earliest_start=_instant(schedule.earliest_start),
            max_delay=_duration(schedule.max_delay),
            start_by=_instant(schedule.start_by),
            finish_by=_instant(schedule.finish_by),
            windows=windows_of(schedule.windows),
            when_signal_missing=schedule.when_signal_missing,
            when_deadline_reached=schedule.when_deadline_reached,
        )
    )


def resolve(given: Given, created: Instant, *sources: Defaults) -> Resolved:
    """Fill in what was not given; the last source must have everything but a zone."""
    applied = _applied(_missing(given), sources)
    delay = _first(given.max_delay, (s.max_delay for s in sources))
    schedule = ResolvedSchedule(
        strategy=_first(given.strategy, (s.strategy for s in sources)),
        max_intensity=given.max_intensity,
        preferred_intensity=given.preferred_intensity,
        expected_duration=given.expected_duration,
        earliest_start=given.earliest_start,
        deadline=_deadline(given, created, delay),
        windows=given.windows,
        when_signal_missing=_first(
            given.when_signal_missing, (s.when_signal_missing for s in sources)
        ),
        when_deadline_reached=_first(
            given.when_deadline_reached, (s.when_deadline_reached for s in sources)
        ),
    )
    zones = (source.zone_name for source in sources)
    zone_name = given.zone_name or next((name for name in zones if name), None)
    return Resolved(zone_name, schedule, applied)


def _deadline(given: Given, created: Instant, delay: timedelta) -> Instant:
    if given.start_by:
        return given.start_by
    if given.finish_by and given.expected_duration:
        return writable(given.finish_by - given.expected_duration)
    # A job that may not start before Friday is not late on Thursday.
    return writable(max(created, given.earliest_start or created) + delay)


def _first(given: T | None, supplied: Iterable[T | None]) -> T:
    return next(value for value in (given, *supplied) if value is not None)


def _missing(given: Given) -> frozenset[str]:
    """Names of what the user did not write and may be filled in."""
    bounded = given.start_by or (given.finish_by and given.expected_duration)
    return frozenset(
        name
        for name in _FILLED_IN
        if getattr(given, name) is None and not (name == "max_delay" and bounded)
    )


@lru_cache(maxsize=_KEPT)
def _applied(missing: frozenset[str], sources: tuple[Defaults, ...]) -> tuple[Defaults, ...]:
    """What each source fills in, those left out that fill in nothing; equal ones are one object."""
    applied, left = [], set(missing)
    for source in sources:
        supplied = {name for name in left if getattr(source, name) is not None}
        if supplied:
            applied.append(Defaults(source.source, **{n: getattr(source, n) for n in supplied}))
        left -= supplied
    return tuple(applied)


def _instant(text: str | None) -> Instant | None:
    # What is compared with what the API gives back must be as the API keeps it.
    return writable(parse_instant(text)) if text else None


def _duration(text: str | None) -> timedelta | None:
    return parse_duration(text) if text else None


def _milligrams(grams: int | None) -> MilligramsPerKWh | None:
    return None if grams is None else milligrams_per_kwh(grams)
