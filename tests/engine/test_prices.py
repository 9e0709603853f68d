"""The prices loop with a clock in the test's hand and a market that answers as the test says."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.engine import prices
from carbonaware_operator.engine.prices import PricesLoop
from carbonaware_operator.grid.errors import SignalError, SignalRateLimited, SignalUnreachable
from carbonaware_operator.grid.tariff import MarketPrice, MarketPrices, Price
from carbonaware_operator.store.zones import ZoneStore, zone_record
from fakes import ManualClock, eventually
from replay_server import LOOPBACK

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
FLAT = {"currency": "EUR", "priceMicrosPerKWh": 100_000}
NIGHT = {"start": "13:00", "end": "14:00", "priceMicrosPerKWh": 50_000}
MARKET = FLAT | {"dayAhead": {"biddingZone": "DE-LU"}}


@dataclass
class ScriptedMarket:
    """Answers with the price of today, or fails."""

    answer: Any = 84_100
    before: Any = 50_000
    asked: int = 0
    asked_past: int = 0
    hold: threading.Event | None = None
    made: list[dict[str, str]] = field(default_factory=list)

    def prices(self, now: datetime) -> MarketPrices:
        """What the test says."""
        self.asked += 1
        if self.hold is not None:
            self.hold.wait(5)
        if isinstance(self.answer, Exception):
            raise self.answer
        return a_market(MarketPrice(NOON, NOON + timedelta(hours=6), self.answer))

    def past(self, now: datetime) -> MarketPrices:
        """What was before this day, or why it is not told."""
        self.asked_past += 1
        if isinstance(self.before, Exception):
            raise self.before
        return a_market(MarketPrice(NOON - timedelta(hours=6), NOON, self.before))


def a_market(*prices: MarketPrice) -> MarketPrices:
    """Prices of Germany."""
    return MarketPrices("EUR", "EnergyCharts/DE-LU", prices)


class World:
    """One store and the loop that prices its zones."""

    def __init__(self) -> None:
        self.clock, self.store = ManualClock(NOON), ZoneStore()
        self.loop = PricesLoop(
            zones=self.store, clock=self.clock, egress=LOOPBACK, jitter=lambda: 0.0
        )
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin the loop."""
        self.task = asyncio.create_task(self.loop.run())

    def apply(self, tariff: dict[str, Any] | None, name: str = "de") -> None:
        """Create or change a zone."""
        spec: dict[str, Any] = {"source": {"type": "Static", "static": {"gramsPerKWh": 1}}}
        if tariff is not None:
            spec["tariff"] = tariff
        metadata = {
            "name": name,
            "uid": name,
            "resourceVersion": "1",
            "creationTimestamp": "2026-06-15T12:00:00Z",
        }
        self.store.apply(
            zone_record(
                {"metadata": metadata, "spec": spec | ({"tariff": tariff} if tariff else {})}
            )
        )

    @property
    def price(self) -> Price | None:
        """What a kilowatt-hour costs in the zone `de`."""
        return self.store.prices.get("de")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    if world.task:
        world.task.cancel()
        await asyncio.gather(world.task, return_exceptions=True)


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> ScriptedMarket:
    """In place of Energy-Charts."""
    scripted = ScriptedMarket()

    def made(**fields: str) -> ScriptedMarket:
        scripted.made.append(fields)
        return scripted

    monkeypatch.setattr(prices, "DayAhead", made)
    return scripted


class TestTariff:
    async def test_follows_the_time_of_day(self, world: World):
        """Within ten seconds of its change."""
        world.apply(FLAT | {"periods": [NIGHT]})
        world.start()
        await world.clock.advance(1)
        assert Price(100_000, "EUR", "Tariff") == world.price

        await world.clock.advance(3600 + 10)

        assert Price(50_000, "EUR", "Tariff") == world.price

    async def test_comes_changes_and_goes_with_its_zone(self, world: World):
        """A zone without a tariff has no price, which is not a price of 0."""
        world.apply(None)
        world.start()
        await world.clock.advance(1)
        assert world.price is None

        world.apply(FLAT)
        await world.clock.advance(10)
        assert 100_000 == world.price.micros_per_kwh

        world.apply(FLAT | {"priceMicrosPerKWh": 0})
        await world.clock.advance(10)
        assert 0 == world.price.micros_per_kwh

        world.store.forget("de")
        await world.clock.advance(10)
        assert world.price is None

    async def test_that_is_unusable_has_no_price(
        self, world: World, caplog: pytest.LogCaptureFixture
    ):
        """The loop goes on; the log names the zone's fault."""
        world.apply(FLAT | {"periods": [NIGHT | {"timeZone": "Mars/Olympus"}]})
        world.apply(FLAT, "fr")
        world.start()
        await world.clock.advance(1)

        assert world.price is None
        assert "fr" in world.store.prices
        assert 1 == caplog.text.count("tariff unusable")


class TestMarket:
    async def test_goes_before_the_tariff(self, world: World, market: ScriptedMarket):
        """Once it has answered; its currency and zone are those of the tariff."""
        world.apply(MARKET)
        world.start()
        await eventually(lambda: market.asked == 1 and not world.loop._zones["de"].asking)
        await world.clock.advance(10)

        assert Price(84_100, "EUR", "EnergyCharts/DE-LU") == world.price
        assert ("DE-LU", "EUR") == (market.made[0]["bidding_zone"], market.made[0]["currency"])

    async def test_is_asked_once_an_hour(self, world: World, market: ScriptedMarket):
        """Whatever happens in between."""
        world.apply(MARKET)
        world.start()
        await eventually(lambda: market.asked == 1 and not world.loop._zones["de"].asking)

        await world.clock.advance(3595)
        assert 1 == market.asked
        await world.clock.advance(15)
        await eventually(lambda: market.asked == 2)

    @pytest.mark.parametrize(
        ("error", "seconds"),
        [(SignalUnreachable("x"), 60), (SignalRateLimited("x", retry_after=900), 900)],
    )
    async def test_that_fails_is_asked_later(
        self, world: World, market: ScriptedMarket, error: SignalError, seconds: int
    ):
        """After a minute at first, or when it says; the tariff holds meanwhile."""
        market.answer = error
        world.apply(MARKET)
        world.start()
        await eventually(lambda: market.asked == 1 and not world.loop._zones["de"].asking)
        assert "Tariff" == world.price.source

        await world.clock.advance(seconds - 5)
        assert 1 == market.asked
        await world.clock.advance(15)
        await eventually(lambda: market.asked == 2)

    async def test_that_fails_takes_no_known_price_away(self, world: World, market: ScriptedMarket):
        """It was settled the day before."""
        world.apply(MARKET)
        world.start()
        await eventually(lambda: market.asked == 1 and not world.loop._zones["de"].asking)
        market.answer = SignalUnreachable("x")

        await world.clock.advance(3615)
        await eventually(lambda: market.asked == 2 and not world.loop._zones["de"].asking)
        await world.clock.advance(10)

        assert "EnergyCharts/DE-LU" == world.price.source

    async def test_that_fails_in_an_unforeseen_way_ends_nothing(
        self, world: World, market: ScriptedMarket, caplog: pytest.LogCaptureFixture
    ):
        """A bug is logged, and asked again later."""
        market.answer = ZeroDivisionError()
        world.apply(MARKET)
        world.start()
        await eventually(lambda: "market failed" in caplog.text)
        market.answer = 84_100

        await world.clock.advance(75)
        await eventually(lambda: market.asked == 2)

    async def test_that_hangs_holds_up_no_other_zone(self, world: World, market: ScriptedMarket):
        """It keeps its worker thread, and nothing else."""
        market.hold = threading.Event()
        world.apply(MARKET)
        world.start()
        await eventually(lambda: market.asked == 1)

        world.apply(FLAT, "fr")
        await world.clock.advance(10)

        assert "fr" in world.store.prices
        market.hold.set()


class TestPast:
    async def test_is_asked_for_once_and_kept_up_with_the_prices_of_the_day(self, world, market):
        """Forecasts learn from it, also from what is published of the hours to come."""
        world.apply(MARKET)
        world.start()
        await eventually(lambda: world.loop.past("de"))
        market.answer = 90_000
        await world.clock.advance(3700)
        await eventually(lambda: market.asked == 2)

        await eventually(
            lambda: [50_000, 90_000] == [p.micros_per_kwh for p in world.loop.past("de").prices]
        )
        assert 1 == market.asked_past

    async def test_that_is_not_told_takes_no_price_away(self, world, market):
        """It is asked for again on the next day."""
        market.before = SignalUnreachable("no")
        world.apply(MARKET)
        world.start()
        await eventually(lambda: market.asked_past == 1)
        await world.clock.advance(3700)
        await eventually(lambda: market.asked == 2)

        assert world.loop.past("de") is None
        assert 1 == market.asked_past

    async def test_of_a_zone_without_market_there_is_none(self, world):
        """A tariff tells nothing of the grid."""
        world.apply(FLAT)
        world.start()
        await eventually(lambda: "de" in world.store.prices)

        assert world.loop.past("de") is None
