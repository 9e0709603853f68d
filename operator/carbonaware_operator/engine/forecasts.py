"""The forecasts loop: once an hour, what a zone's own history says of the next 96 hours.

For zones whose provider gives no forecast. A forecast is made in a worker thread, one at a time
(0.1 s each), and handed to the signals loop, which shows it, writes it and falls back to it.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.engine.forecast_score import ForecastScore
from carbonaware_operator.grid.day_ahead import TIME_ZONE
from carbonaware_operator.grid.points import Forecast
from carbonaware_operator.grid.tariff import MarketPrices
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import period_start

log = logging.getLogger(__name__)

HORIZON_HOURS = 96
MIN_HOURS = 3 * 24
"""What the most modest model needs; below it NumPy is not even loaded (30 MB)."""

LOOK_SECONDS = 30.0
OWN = "own forecast"
"""How the source of a forecast of ours begins; the model follows."""

Means = Sequence[tuple[Instant, MilligramsPerKWh]]
"""Start and mean of hours, in order of time."""


class Histories(Protocol):
    """Who knows what the grid was, and takes what it will be."""

    def without_forecast(self) -> list[str]:
        """Zones whose history may be forecast: hourly, of the average that jobs are decided on."""
        ...

    def known_until(self, zone_name: str) -> Instant | None:
        """Up to where the history of a zone goes, None while it is empty; cheap to ask."""
        ...

    def hourly_means(self, zone_name: str, until: Instant) -> Means:
        """The hours of a zone that ended by `until`."""
        ...

    def take_forecast(self, zone_name: str, forecast: Forecast) -> None:
        """Use a forecast of ours, unless the provider has given one meanwhile."""
        ...

    def provided(self) -> dict[str, Forecast]:
        """The providers' forecasts of zones whose history can be compared with them."""
        ...

    def take_score(self, zone_name: str, error_percent: int | None) -> None:
        """Show how good the provider's forecasts of a zone were."""
        ...


class ForecastsLoop:
    """Forecasts zones anew when an hour has closed."""

    def __init__(
        self,
        *,
        histories: Histories,
        clock: Clock,
        prices: Callable[[str], MarketPrices | None] = lambda _zone: None,
    ) -> None:
        """Wire the loop; prices: day-ahead prices of a zone, past and published."""
        self._histories, self._clock, self._prices = histories, clock, prices
        self._made: dict[str, Instant] = {}  # zone -> end of the history last looked at
        self._scores: dict[str, ForecastScore] = {}
        self._scored: Instant | None = None

    async def run(self) -> None:
        """Forecast until cancelled; no history ends it."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Forecast the zones of which an hour has come in since the last time; score the others."""
        hour = period_start(self._clock.now())
        if hour != self._scored:
            self._scored = hour
            self._score(hour)
        for name in self._histories.without_forecast():
            known = self._histories.known_until(name)
            if known is None or self._made.get(name) == known:
                continue  # 400 days of hours are not listed to learn that none has come in
            self._made[name] = known
            means = self._histories.hourly_means(name, hour)
            if len(means) >= MIN_HOURS:
                await self._forecast(name, means, hour)

    def _score(self, hour: Instant) -> None:
        """Compare once an hour; zones that are gone, or forecast by ourselves now, are let go."""
        provided = self._histories.provided()
        self._scores = {name: self._scores.get(name, ForecastScore()) for name in provided}
        for name, forecast in provided.items():
            score = self._scores[name]
            score.note(forecast, hour)
            means = dict(self._histories.hourly_means(name, hour))
            self._histories.take_score(name, score.percent(means))

    async def _forecast(self, name: str, means: Means, hour: Instant) -> None:
        try:
            forecast = await asyncio.to_thread(
                own_forecast, means, hour, self._clock.now(), self._prices(name)
            )
        except Exception:
            log.exception("zone not forecast", extra={"zone": name})
            return
        if forecast is not None:
            self._histories.take_forecast(name, forecast)


def own_forecast(
    means: Means, hour: Instant, now: Instant, market: MarketPrices | None = None
) -> Forecast | None:
    """Forecast from the means of past hours and day-ahead prices, from the start of an hour on.

    None when the history is too short, or ends too long before that hour.
    """
    # NumPy costs 30 MB: only an operator that forecasts shall pay for it.
    from carbonaware_operator.forecasting import choice, series
    from carbonaware_operator.forecasting.errors import ForecastError
    from carbonaware_operator.forecasting.prices import DayAheadPrices

    start, values = series.hourly((at, float(mean)) for at, mean in means)
    prices = None
    if market is not None and any(price.start >= start for price in market.prices):
        told = ((price.start, float(price.micros_per_kwh)) for price in market.prices)
        aligned = series.aligned(told, start)
        prices = DayAheadPrices(start, aligned, ZoneInfo(TIME_ZONE)).known_at(now)
    history = series.History(start, values, prices)
    try:
        forecaster = choice.fit(history)
        made = forecaster.forecast(hour, HORIZON_HOURS)
    except ForecastError:
        return None
    return Forecast(
        issued=now.replace(microsecond=0),
        start=made.start,
        step=timedelta(hours=1),
        values=tuple(MilligramsPerKWh(round(value)) for value in made.values),
        source=f"{OWN}, {made.model}{' with prices' if prices and made.model == 'ridge' else ''}",
        error_percent=None if math.isnan(forecaster.mape) else round(forecaster.mape),
    )
