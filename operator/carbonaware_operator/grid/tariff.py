"""Prices of energy beside its intensity: flat, by time of use, or of the day-ahead market.

Pure but for the time zones that it reads. A price of the market is handed in.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfoNotFoundError

from carbonaware_operator.api import tariff as api
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.quantities.daily import DailyWindow
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.money import MicrosPerKWh

SOURCE = "Tariff"


@dataclass(frozen=True, slots=True)
class Price:
    """What a kilowatt-hour costs, and who says so."""

    micros_per_kwh: MicrosPerKWh
    currency: str
    source: str


@dataclass(frozen=True, slots=True)
class MarketPrice:
    """The price of [start, end) on a market."""

    start: Instant
    end: Instant
    micros_per_kwh: MicrosPerKWh


@dataclass(frozen=True, slots=True)
class MarketPrices:
    """Prices of one market in order of time, without overlaps."""

    currency: str
    source: str
    prices: tuple[MarketPrice, ...]

    def at(self, instant: Instant) -> Price | None:
        """The price of an instant; None where it is not known."""
        index = bisect_right(self.prices, instant, key=lambda price: price.start) - 1
        if index < 0 or instant >= self.prices[index].end:
            return None
        return Price(self.prices[index].micros_per_kwh, self.currency, self.source)

    def then(self, newer: "MarketPrices") -> "MarketPrices":
        """These prices up to where newer ones of the same market begin, and those."""
        if not newer.prices:
            return self
        kept = [price for price in self.prices if price.start < newer.prices[0].start]
        return MarketPrices(newer.currency, newer.source, (*kept, *newer.prices))


@dataclass(frozen=True, slots=True)
class Tariff:
    """A flat price and times with another one, of which the first that is open holds."""

    flat: Price
    periods: Sequence[tuple[DailyWindow, Price]] = ()

    def price_at(self, instant: Instant, market: MarketPrices | None = None) -> Price:
        """The price of an instant: of the market where that is known, else of the tariff."""
        if market is not None and (price := market.at(instant)) is not None:
            return price
        return next((p for w, p in self.periods if w.open_at(instant)), self.flat)


def tariff_of(spec: api.Tariff) -> Tariff:
    """The tariff of a zone; raises SignalMisconfigured: a time or a time zone is none."""

    def price(micros: int) -> Price:
        return Price(MicrosPerKWh(micros), spec.currency, SOURCE)

    try:
        periods = [(p.window(), price(p.price_micros_per_kwh)) for p in spec.periods or ()]
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SignalMisconfigured(
            "`tariff.periods` must have times as HH:MM and time zones such as Europe/Berlin"
        ) from error
    return Tariff(price(spec.price_micros_per_kwh), periods)
