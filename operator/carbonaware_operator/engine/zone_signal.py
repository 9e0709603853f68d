"""What is known of one zone's signals, and what follows from it for the planner."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Generic, TypeVar

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.grid.errors import SignalError
from carbonaware_operator.grid.fallback import FallbackIntensity, Known, fallback_intensity
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point, PointKind
from carbonaware_operator.grid.provider import Cadence
from carbonaware_operator.grid.typical_day import TypicalDay
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.quantities.instants import Instant, format_instant
from carbonaware_operator.store.zones import ZoneReading, ZoneRecord

PointT = TypeVar("PointT", Point, MarginalPoint)


@dataclass(slots=True)
class Latest(Generic[PointT]):
    """The newest value of one source, how long it can be used, and what went wrong since.

    asked: whether there has been any answer or error yet.
    """

    newest: PointT | None = None
    valid_until: Instant | None = None
    error: SignalError | None = None
    asked: bool = False

    def take(self, points: Sequence[PointT], cadence: Cadence) -> None:
        """The source has answered; `points` are in order of time."""
        self.asked, self.error = True, None
        if points and (self.newest is None or points[-1].start >= self.newest.start):
            self.newest = points[-1]
            self.valid_until = points[-1].end + timedelta(seconds=cadence.stale)

    def fail(self, error: SignalError) -> None:
        """The source could not be asked, or gave no usable answer."""
        self.asked, self.error = True, error

    def current(self, now: Instant) -> PointT | None:
        """The value that can be used now."""
        return self.newest if self.valid_until and now < self.valid_until else None


@dataclass(slots=True)
class ZoneSignal(Latest[Point]):
    """The average that a zone is decided on, and what else is known of the zone.

    accounting: what emissions are priced with, where another average than the one decided on.
    marginal: what its `source` says, where that is marginal; it is shown and decides nothing.
    forecast: what was last expected of the average; day: the typical day of its archive.
    provider_error_percent: how good the provider's own forecasts were, where that is known.
    """

    accounting: Latest[Point] = field(default_factory=Latest)
    marginal: Latest[MarginalPoint] = field(default_factory=Latest)
    forecast: Forecast | None = None
    day: TypicalDay | None = None
    provider_error_percent: int | None = None

    def outlook(self, record: ZoneRecord, now: Instant) -> Outlook:
        """The zone as the planner sees it; before the source has been asked there is none."""
        fallback = self.fallback(record, now)
        return Outlook(
            record.name, self._signal(now), Fallback(fallback.intensity, fallback.origin)
        )

    def fallback(self, record: ZoneRecord, now: Instant) -> FallbackIntensity:
        """What stands in for the average while none is current."""
        known = Known(record.name, self.forecast, self.day)
        return fallback_intensity(record.spec, known, now)

    def reading(self, record: ZoneRecord, now: Instant) -> ZoneReading:
        """The zone as metrics show it."""
        current = self.current(now)
        return ZoneReading(
            newest=self.newest,
            current=current,
            marginal=self.marginal.current(now),
            forecast=self._scored_forecast(),
            fallback=None if current else self.fallback(record, now),
        )

    def _scored_forecast(self) -> Forecast | None:
        if self.forecast is None or self.provider_error_percent is None:
            return self.forecast
        return replace(self.forecast, error_percent=self.provider_error_percent)

    def _signal(self, now: Instant) -> Signal | Missing:
        point = self.current(now)
        if point is None or self.valid_until is None:
            return self._missing()
        estimated = point.kind is PointKind.ESTIMATE
        return Signal(point.intensity, point.source, point.start, self.valid_until, estimated)

    def _missing(self) -> Missing:
        if self.error is not None:
            return Missing(self.error.reason, str(self.error))
        if self.newest is None:
            return Missing(SignalReason.STALE, "the source has no value for now")
        end = format_instant(self.newest.end)
        return Missing(SignalReason.STALE, f"the source has no value after {end}")
