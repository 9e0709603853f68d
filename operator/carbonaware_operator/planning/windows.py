"""Windows: times of day in which a job may start, in the time zone that people wrote them in.

How changes of the clocks are dealt with is said in quantities/daily.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from carbonaware_operator.api.job import Window
from carbonaware_operator.quantities.daily import DailyWindow
from carbonaware_operator.quantities.instants import Instant

CLOSING_MARGIN = timedelta(seconds=60)
"""A last start lies this much before the window closes, so that a slow release is still inside."""

_DAYS_AHEAD = 9  # every window opens at least weekly; one more day each side for time zones


@dataclass(frozen=True, slots=True)
class Windows:
    """The union of a job's windows; without any, always open."""

    daily: tuple[DailyWindow, ...] = ()

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
    return Windows(tuple(spec.window() for spec in specs)) if specs else ALWAYS
