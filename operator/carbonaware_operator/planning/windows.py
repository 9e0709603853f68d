"""Windows: times of day in which a job may start, in the time zone that people wrote them in.

How changes of the clocks are dealt with is said in quantities/daily.py. Equal windows are one
object: of 10,000 jobs with the same 32 windows the openings are computed once, not 10,000 times.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakValueDictionary

from carbonaware_operator.api.job import Window
from carbonaware_operator.quantities.daily import DailyWindow, Opening
from carbonaware_operator.quantities.instants import Instant

CLOSING_MARGIN = timedelta(seconds=60)
"""A last start lies this much before the window closes, so that a slow release is still inside."""

_DAYS_AWAY = 10  # every window opens at least weekly; the rest is for time zones
_DAYS_LONG = 3  # from the day on which a window opens it has closed after so many, in any time zone
_DAYS_KEPT = 2048  # the days of as many kinds of windows as are asked for at one time


class _Stretch(NamedTuple):
    """A time within which no window opens or closes, and what holds in all of it."""

    start: Instant
    end: Instant
    closing: Instant | None
    opening: Instant


class Windows:
    """The union of a job's windows; without any, always open. Made by `windows_of()`."""

    __slots__ = ("__weakref__", "_stretch", "daily")

    def __init__(self, daily: tuple[DailyWindow, ...] = ()) -> None:
        self.daily = daily
        self._stretch: _Stretch | None = None

    def contains(self, instant: Instant) -> bool:
        """Whether a job may start at this instant."""
        return not self.daily or self._at(instant).closing is not None

    def closing(self, instant: Instant) -> Instant | None:
        """When the window that is open now closes; None when none is open or none ever closes."""
        return self._at(instant).closing if self.daily else None

    def next_opening(self, instant: Instant) -> Instant:
        """The first instant at or after this one at which a job may start."""
        return instant if self.contains(instant) else self._at(instant).opening

    def last_start(self, not_after: Instant) -> Instant | None:
        """The latest instant up to this one at which a job may start; None without a near one."""
        if not self.daily:
            return not_after
        last, today = None, not_after.toordinal()
        for day in range(today + _DAYS_LONG, today - _DAYS_AWAY, -1):
            if last and day < last.toordinal() - _DAYS_LONG:
                break  # what opened on that day or before it closed before this one
            for start, end in _openings_on(self, day):
                if start <= not_after:
                    margin = min(CLOSING_MARGIN, (end - start) / 2)
                    last = max(last or start, min(end - margin, not_after))
        return last

    def _at(self, instant: Instant) -> _Stretch:
        # One is kept: a pass asks for all jobs at about the same instant.
        stretch = self._stretch
        if stretch is None or not stretch.start <= instant < stretch.end:
            self._stretch = stretch = self._stretch_at(instant)
        return stretch

    def _stretch_at(self, instant: Instant) -> _Stretch:
        today = instant.toordinal()
        near = [
            opening
            for day in range(today - _DAYS_LONG, today + _DAYS_AWAY)
            for opening in _openings_on(self, day)
        ]
        edges = [edge for opening in near for edge in opening]
        return _Stretch(
            start=max((edge for edge in edges if edge <= instant), default=instant),
            end=min(edge for edge in edges if edge > instant),
            closing=max((end for start, end in near if start <= instant < end), default=None),
            opening=min(start for start, _ in near if start > instant),
        )


@lru_cache(maxsize=_DAYS_KEPT)
def _openings_on(windows: Windows, day: int) -> tuple[Opening, ...]:
    """The openings on one calendar day, each in its own time zone."""
    date = datetime.fromordinal(day)
    found = (daily.opening_on(date) for daily in windows.daily)
    return tuple(opening for opening in found if opening)


ALWAYS = Windows()

_known: WeakValueDictionary[tuple[DailyWindow, ...], Windows] = WeakValueDictionary()


def windows_of(specs: Sequence[Window] | None) -> Windows:
    """Parse windows; raises ZoneInfoNotFoundError or ValueError on what CEL let through."""
    if not specs:
        return ALWAYS
    daily = tuple(spec.window() for spec in specs)
    return _known.setdefault(daily, Windows(daily))
