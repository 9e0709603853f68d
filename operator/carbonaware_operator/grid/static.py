"""A source with one value for ever."""

from dataclasses import dataclass
from datetime import timedelta

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import HOUR_SECONDS, period_start

_CADENCE = Cadence(poll=HOUR_SECONDS, stale=HOUR_SECONDS)


@dataclass(frozen=True, slots=True)
class Static:
    """The value holds from the creation of the CarbonZone on."""

    intensity: MilligramsPerKWh
    created: Instant
    source: str = "Static"
    factors: EmissionFactors | None = None
    cadence: Cadence = _CADENCE

    def check(self) -> Access:
        """A value that needs nobody to be asked."""
        return Access(("intensity, always the same",))

    def points(self, start: Instant, end: Instant) -> list[Point]:
        """One point, up to the end of the UTC hour that holds `end`."""
        if end < self.created:
            return []
        until = period_start(end) + timedelta(seconds=HOUR_SECONDS)
        begin = max(start, self.created)
        return [Point(begin, until, self.intensity, PointKind.ACTUAL, self.source, self.factors)]
