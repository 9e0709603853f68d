"""Windows: times of day in which a job may start, in the time zone that people wrote them in.

A window belongs to the day on which it opens. Wall-clock times that daylight saving skips are read
as the same distance after midnight in the old offset, times that occur twice as the first: so no
change of the clocks skips a window or opens it twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from carbonaware_operator.api.job import Day, Window
from carbonaware_operator.quantities.instants import Instant

CLOSING_MARGIN = timedelta(seconds=60)
"""A last start lies this much before the window closes, so that a slow release is still inside."""

_Opening = tuple[Instant, Instant]  # [start, end)
_DAY = timedelta(days=1)
_DAYS_AHEAD = 9  # every window opens at least weekly; one more day each side for time zones
_DAY_NAMES = list(Day)


@dataclass(frozen=True, slots=True)
class _Daily:
    """One window with its fields parsed."""

    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo

    def opening_on(self, day: datetime) -> _Opening | None:
        """The [start, end) that opens on a local calendar day, in UTC; None on other days."""
        if day.weekday() not in self.days:
            return None
        last_day = day + _DAY if self.end <= self.start else day
        start = datetime.combine(day, self.start, self.zone)
        end = datetime.combine(last_day, self.end, self.zone)
        opens, closes = start.astimezone(UTC), end.astimezone(UTC)
        if closes <= opens:  # it starts in a skipped hour and ends shortly after that hour
            closes = opens + (end - start)  # the difference on paper: both have the same tzinfo
        return opens, closes

    def around(
        self, instant: Instant, before: int, after: int
    ) -> Iterator[tuple[Instant, Instant]]:
        """Openings on the local days from `before` days earlier to `after` days later."""
        local = instant.astimezone(self.zone).replace(tzinfo=None)
        for offset in range(-before, after + 1):
            opening = self.opening_on(local + offset * _DAY)
            if opening:
                yield opening


@dataclass(frozen=True, slots=True)
class Windows:
    """The union of a job's windows; without any, always open."""

    daily: tuple[_Daily, ...] = ()

    def contains(self, instant: Instant) -> bool:
        """Whether a job may start at this instant."""
        return not self.daily or self.closing(instant) is not None

    def closing(self, instant: Instant) -> Instant | None:
        """When the window that is open now closes; None when none is open or none ever closes."""
        ends = [
            end
            for daily in self.daily
            for start, end in daily.around(instant, 2, 1)
            if start <= instant < end
        ]
        return max(ends, default=None)

    def next_opening(self, instant: Instant) -> Instant:
        """The first instant at or after this one at which a job may start."""
        if self.contains(instant):
            return instant
        return min(
            start
            for daily in self.daily
            for start, _ in daily.around(instant, 1, _DAYS_AHEAD)
            if start > instant
        )

    def last_start(self, not_before: Instant, not_after: Instant) -> Instant | None:
        """The latest instant in [not_before, not_after] at which a job may start; None without."""
        if not self.daily:
            return not_after if not_after >= not_before else None
        found = [last for last in self._last_starts(not_after) if last >= not_before]
        return max(found, default=None)

    def _last_starts(self, not_after: Instant) -> Iterator[Instant]:
        for daily in self.daily:
            for start, end in daily.around(not_after, _DAYS_AHEAD, 1):
                if start <= not_after:
                    margin = min(CLOSING_MARGIN, (end - start) / 2)
                    yield min(end - margin, not_after)


ALWAYS = Windows()


def windows_of(specs: Sequence[Window] | None) -> Windows:
    """Parse windows; raises ZoneInfoNotFoundError or ValueError on what CEL let through."""
    return Windows(tuple(_daily(spec) for spec in specs)) if specs else ALWAYS


def _daily(spec: Window) -> _Daily:
    days = spec.days or _DAY_NAMES
    return _Daily(
        days=frozenset(_DAY_NAMES.index(day) for day in days),
        start=time.fromisoformat(spec.start),
        end=time.fromisoformat(spec.end),
        zone=ZoneInfo(spec.time_zone or "UTC"),
    )
