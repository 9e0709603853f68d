"""Day-ahead auction prices of Energy-Charts; no key.

Source: https://api.energy-charts.info, price. Data of most bidding zones under CC BY 4.0.
"""

import math
from datetime import timedelta
from typing import Any

from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.endpoint import Endpoint
from carbonaware_operator.grid.energy_charts import DEFAULT_URL, spans
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.readings import UNSHAPED
from carbonaware_operator.grid.tariff import MarketPrice, MarketPrices
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.money import MicrosPerKWh, micros_per_kwh

POLL_SECONDS = 3600.0  # prices of a day are there from the afternoon before on
_MAX_PER_MEGAWATT_HOUR = 1_000_000
_AHEAD = timedelta(days=2)
_PAST = timedelta(days=400)

TIME_ZONE = "Europe/Berlin"
"""The days of the single European auction, in all of whose zones they are the same hours."""


class DayAhead:
    """One bidding zone."""

    def __init__(
        self, *, bidding_zone: str, currency: str, url: str = DEFAULT_URL, egress: Egress
    ) -> None:
        self.source = f"EnergyCharts/{bidding_zone}"
        self._bidding_zone, self._currency = bidding_zone, currency
        self._endpoint = Endpoint(
            url,
            member="tariff.dayAhead",
            subject=f"bidding zone {bidding_zone!r}",
            egress=egress,
        )

    def prices(self, now: Instant) -> MarketPrices:
        """Prices of today, and of tomorrow once they are there. Blocks. Raises SignalError."""
        return self._between(now, now + _AHEAD)

    def past(self, now: Instant) -> MarketPrices:
        """Prices of the last 400 days, as many as an archive holds. Blocks. Raises SignalError."""
        return self._between(now - _PAST, now)

    def _between(self, start: Instant, end: Instant) -> MarketPrices:
        days = {"start": f"{start:%Y-%m-%d}", "end": f"{end:%Y-%m-%d}"}
        answer = self._endpoint.ask("/price", {"bzn": self._bidding_zone, **days})
        try:
            currency, _, unit = answer["unit"].partition("/")
            found = [
                MarketPrice(start, end, _micros(value))
                for (start, end), value in zip(
                    spans(answer["unix_seconds"]), answer["price"], strict=True
                )
                if value is not None
            ]
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "the answer must have `unit`, and `unix_seconds` and `price` of the same length"
            ) from error
        if unit.strip() != "MWh":
            raise self._endpoint.malformed("`unit` must be of a MWh")
        if currency.strip() != self._currency:
            raise SignalMisconfigured(
                f"`tariff.currency` must be that of bidding zone {self._bidding_zone!r}, not"
                f" {self._currency}"
            )
        return MarketPrices(self._currency, self.source, tuple(found))


def _micros(value: Any) -> MicrosPerKWh:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("price must be a number")
    if not (math.isfinite(value) and abs(value) <= _MAX_PER_MEGAWATT_HOUR):
        raise ValueError("price must be one")
    return micros_per_kwh(value)
