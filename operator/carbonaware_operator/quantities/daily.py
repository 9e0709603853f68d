"""A time of day on some days of the week, in the time zone that people wrote it in.

A window belongs to the day on which it opens. Wall-clock times that daylight saving skips are read
as the same distance after midnight in the old offset, times that occur twice as the first: so no
change of the clocks skips a window or opens it twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from carbonaware_operator.quantities.instants import Instant

Opening = tuple[Instant, Instant]
"""[start, end)"""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """Open from `start` to `end`, on the next day when `end` is not later.

    days: numbers of the days on which it opens, Monday is 0.
    """

    days: frozenset[int]
    start: time
    end: time
    zone: ZoneInfo

    def opening_on(self, day: datetime) -> Opening | None:
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

    def around(self, instant: Instant, before: int, after: int) -> Iterator[Opening]:
        """Openings on the local days from `before` days earlier to `after` days later."""
        local = instant.astimezone(self.zone).replace(tzinfo=None)
        for offset in range(-before, after + 1):
            opening = self.opening_on(local + offset * _DAY)
            if opening:
                yield opening

    def open_at(self, instant: Instant) -> Opening | None:
        """The opening that holds an instant; None when it is closed then."""
        return next((o for o in self.around(instant, 2, 1) if o[0] <= instant < o[1]), None)
