"""Typical days as they were published: what a zone's grid is like where nothing newer is at hand.

They are played by `kubectl carbonaware simulate`; the operator decides on none of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import cache

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.fallback_table import table_rows
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import HOUR_SECONDS, period_start

_CADENCE = Cadence(poll=HOUR_SECONDS, stale=HOUR_SECONDS)


@dataclass(frozen=True, slots=True)
class PublishedDay:
    """The mean intensity of each hour of the day over a year, played as a source of every day.

    hours: index 0 = midnight UTC.
    """

    hours: tuple[MilligramsPerKWh, ...]
    source: str
    factors: EmissionFactors | None = EmissionFactors.LIFECYCLE
    cadence: Cadence = _CADENCE

    def check(self) -> Access:
        """Values that need nobody to be asked."""
        return Access(("intensity, the same every day",))

    def points(self, start: Instant, end: Instant) -> list[Point]:
        """The UTC hours that overlap [start, end]."""
        hour, found = period_start(start), []
        while hour <= end:
            found.append(self._point(hour))
            hour += timedelta(seconds=HOUR_SECONDS)
        return found

    def _point(self, hour: Instant) -> Point:
        until = hour + timedelta(seconds=HOUR_SECONDS)
        intensity = self.hours[hour.astimezone(UTC).hour]
        return Point(hour, until, intensity, PointKind.ESTIMATE, self.source, self.factors)


def published_day(keys: Iterable[str]) -> PublishedDay | None:
    """The typical day of the first of these zones, by their keys, that has one."""
    days = _days()
    return next((days[key] for key in keys if key in days), None)


def published_zones() -> list[str]:
    """The keys of all zones that have one."""
    return sorted(_days())


@cache
def _days() -> dict[str, PublishedDay]:
    found = {}
    for head, (zone, year, *grams) in table_rows("typical-days.txt"):
        hours = tuple(milligrams_per_kwh(int(mean)) for mean in grams)
        source = f"{head['source']}, zone {zone}, hourly means of {year}"
        found[zone] = PublishedDay(hours, source)
    return found
