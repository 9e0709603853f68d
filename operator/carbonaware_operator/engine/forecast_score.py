"""The rolling score of a provider's forecasts: what was expected beside what came.

Kept in memory: after a restart it begins anew, and says nothing until a day can be compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from carbonaware_operator.grid.points import Forecast
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import periods_between

DAYS = 56
"""As long as models of our own are tried."""

MIN_HOURS = 24


@dataclass(slots=True)
class ForecastScore:
    """The first forecast of each day of one zone, UTC, for eight weeks."""

    _first: dict[date, Forecast] = field(default_factory=dict)

    def note(self, forecast: Forecast, now: Instant) -> None:
        """Keep a forecast that is in effect, if it is the first of its day."""
        today = now.date()
        self._first.setdefault(today, forecast)
        self._first = {
            day: kept for day, kept in self._first.items() if today - day < timedelta(days=DAYS)
        }

    def percent(self, means: Mapping[Instant, MilligramsPerKWh]) -> int | None:
        """Mean absolute percentage error of the hours that have come, None before a day of them.

        means: the start of each hour that is over, and its mean. Hours of zero do not count: no
        error is a share of nothing.
        """
        errors = [
            abs(expected - came) / came
            for forecast in self._first.values()
            for start in periods_between(forecast.start, forecast.end)
            if (came := means.get(start, 0)) > 0 and (expected := forecast.at(start)) is not None
        ]
        return round(100 * sum(errors) / len(errors)) if len(errors) >= MIN_HOURS else None
