"""Which source decides, which is archived, which is shown; and what becomes of forecasts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.api.sources import SignalKind, Source
from carbonaware_operator.api.zone import FallbackLevel
from carbonaware_operator.cluster.kube import CARBON_ZONES
from carbonaware_operator.engine import zone_feeds
from carbonaware_operator.engine.feed import FORECAST_SECONDS
from carbonaware_operator.engine.signals import SignalsLoop
from carbonaware_operator.grid.errors import SignalUnauthorized, SignalUnreachable
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point, PointKind
from carbonaware_operator.grid.provider import Cadence
from carbonaware_operator.planning.outlook import Missing
from carbonaware_operator.quantities.emissions import MarginalIntensity
from carbonaware_operator.store.zones import ZoneReading, ZoneStore, zone_record
from fakes import FakeKube, ManualClock, eventually
from replay_server import PERMISSIONS

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def prometheus(query: str, signal: SignalKind = SignalKind.AVERAGE) -> dict[str, Any]:
    """A source that is known by its query."""
    member = {"url": "http://prometheus:9090", "query": query, "signal": signal.value}
    return {"type": "Prometheus", "prometheus": member}


AVERAGE = prometheus("average")
ACCOUNTING = prometheus("accounting")
MARGINAL = prometheus("marginal", SignalKind.MARGINAL)


@dataclass
class Scripted:
    """A provider that answers as the test says: hourly grams from noon on, and a forecast."""

    source: str
    marginal: bool = False
    factors: None = None
    cadence: Cadence = field(default_factory=lambda: Cadence(poll=300, stale=3600))
    grams: list[int] = field(default_factory=lambda: [300])
    expected: list[int] | Exception | None = None
    error: Exception | None = None
    asked_forecasts: int = 0
    first: datetime = NOON

    def points(self, start: datetime, end: datetime) -> list[Any]:
        """The hours that have begun."""
        if self.error:
            raise self.error
        hours = [(self.first + i * HOUR, 1000 * grams) for i, grams in enumerate(self.grams)]
        make: Any = MarginalPoint if self.marginal else Point
        value: Any = MarginalIntensity if self.marginal else int
        return [
            make(begin, begin + HOUR, value(grams), PointKind.ACTUAL, self.source, None)
            for begin, grams in hours
            if begin <= end and begin + HOUR > start
        ]

    def forecast(self, now: datetime) -> Forecast | None:
        """From noon on."""
        self.asked_forecasts += 1
        if isinstance(self.expected, Exception):
            raise self.expected
        if self.expected is None:
            return None
        values = tuple(1000 * grams for grams in self.expected)
        return Forecast(now, NOON, HOUR, values, self.source)


class World:
    """A signals loop over scripted providers; zone `lab` is in no table."""

    def __init__(self) -> None:
        self.clock, self.kube, self.store = ManualClock(NOON), FakeKube(), ZoneStore()
        self.observed: list[tuple[str, str]] = []
        self.providers = {
            "average": Scripted("average"),
            "accounting": Scripted("accounting", grams=[500]),
            "marginal": Scripted("marginal", marginal=True, grams=[800]),
        }
        self.loop = self._new_loop()
        self.task: asyncio.Task[None] | None = None

    def _new_loop(self) -> SignalsLoop:
        return SignalsLoop(
            zones=self.store,
            kube=self.kube,
            clock=self.clock,
            namespace="carbonaware-system",
            permissions=PERMISSIONS,
            on_change=lambda name: None,
            jitter=lambda: 1.0,
            backfill=timedelta(days=15),
            observe=lambda provider, result, seconds: self.observed.append((provider, result)),
        )

    async def restart(self) -> None:
        """Another process with the same cluster: memory is gone, the status and archive are not."""
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.loop.close()
        stored = self.kube.stored(CARBON_ZONES, None, "lab")
        self.store = ZoneStore()
        self.store.apply(zone_record(stored))
        self.loop = self._new_loop()
        self.task = asyncio.create_task(self.loop.run())
        self.leading = asyncio.create_task(self.loop.lead())
        await eventually(lambda: "lab" in self.store.readings)
        await eventually(self.idle)

    def made(self, source: Source, *, texts: Mapping[str, str], **_: Any) -> Any:
        """In place of the makers of providers."""
        assert source.prometheus is not None
        return self.providers[source.prometheus.query]

    async def follow(self, **spec: Any) -> None:
        """Create the zone, and wait for its first answers."""
        body = {
            "metadata": {"name": "lab", "generation": 1, "creationTimestamp": f"{NOON:%FT%TZ}"},
            "spec": spec,
        }
        self.store.apply(zone_record(self.kube.put(CARBON_ZONES, None, body)))
        if self.task is None:
            self.task = asyncio.create_task(self.loop.run())
        self.leading = asyncio.create_task(self.loop.lead())
        self.loop.zone_changed("lab")
        await eventually(lambda: "lab" in self.store.readings)
        await eventually(self.idle)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what must follow come to its end."""
        await eventually(self.idle)
        await self.clock.advance(seconds)
        for _ in range(2):
            await self.clock.advance(11)  # the longest that the loop rests
            await eventually(self.idle)

    async def pass_half_an_hour(self) -> None:
        """Question by question, so that none is left out."""
        for _ in range(int(FORECAST_SECONDS) // 300):
            await self.pass_time(300)

    def idle(self) -> bool:
        """True when the loop waits for nothing but time: all is asked for and written."""
        now = self.clock.monotonic()
        return all(
            zone.writing is None
            and not self.loop._unwritten(zone)
            and all(feed.task is None and feed.due > now for feed in zone.feeds)
            for zone in self.loop._zones.values()
        )

    @property
    def reading(self) -> ZoneReading:
        """What is known of the zone."""
        return self.store.readings["lab"]

    @property
    def decided_on(self) -> int | None:
        """The intensity that the planner sees, gCO2e/kWh; None when it is missing."""
        current = self.store.outlooks["lab"].current
        return None if isinstance(current, Missing) else current.intensity // 1000

    @property
    def archived(self) -> tuple[str, int]:
        """Source of the archive, and its mean of the hour from noon on, gCO2e/kWh."""
        archive = self.loop.archive("lab")
        assert archive is not None
        mean = archive.mean(NOON)
        assert mean is not None
        return archive.source, mean.milligrams_per_kwh // 1000

    def status(self) -> dict[str, Any]:
        """What users see."""
        stored = self.kube.stored(CARBON_ZONES, None, "lab")
        return (stored or {}).get("status", {})

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Status and reason by type."""
        return {c["type"]: (c["status"], c["reason"]) for c in self.status()["conditions"]}


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A loop that has not begun."""
    made = World()
    monkeypatch.setattr(zone_feeds, "provider", made.made)
    monkeypatch.setattr(zone_feeds, "marginal_provider", made.made)
    yield made
    if made.task:
        made.task.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


class TestSources:
    async def test_one_average_decides_and_is_archived(self, world: World):
        """The usual case."""
        await world.follow(source=AVERAGE)

        assert 300 == world.decided_on
        assert ("average", 300) == world.archived
        assert world.reading.marginal is None

    async def test_a_marginal_source_is_shown_and_the_accounting_source_does_the_rest(
        self, world: World
    ):
        """800 g/kWh are seen, and neither decided on nor archived."""
        await world.follow(source=MARGINAL, accountingSource=ACCOUNTING)

        assert 500 == world.decided_on
        assert ("accounting", 500) == world.archived
        assert MarginalIntensity(800_000) == world.reading.marginal.intensity
        assert 800_000 == world.status()["marginal"]["milligramsPerKWh"]
        assert 500_000 == world.status()["current"]["milligramsPerKWh"]

    async def test_of_two_averages_one_decides_and_the_other_is_archived(self, world: World):
        """Such as a signal with a good forecast, and one that an auditor knows."""
        await world.follow(source=AVERAGE, accountingSource=ACCOUNTING)

        assert 300 == world.decided_on
        assert ("accounting", 500) == world.archived

    @pytest.mark.parametrize(
        ("source", "fails", "fresh"),
        [
            (MARGINAL, "marginal", ("True", "Current")),
            (AVERAGE, "accounting", ("True", "Current")),
            (MARGINAL, "accounting", ("False", "UsingFallback")),
            (AVERAGE, "average", ("False", "UsingFallback")),
        ],
    )
    async def test_one_that_fails_is_told_and_takes_the_other_not_along(
        self, world: World, source: dict[str, Any], fails: str, fresh: tuple[str, str]
    ):
        """Ready speaks of both, Fresh of the one that is decided on."""
        world.providers[fails].error = SignalUnauthorized("renew the key")

        await world.follow(source=source, accountingSource=ACCOUNTING)

        assert {"Ready": ("False", "Unauthorized"), "Fresh": fresh} == world.conditions()

    async def test_another_accounting_source_is_asked_at_once(self, world: World):
        """And its values are not mixed with those of the one before."""
        await world.follow(source=AVERAGE)

        await world.follow(source=AVERAGE, accountingSource=ACCOUNTING)
        await eventually(lambda: world.archived == ("accounting", 500))

        assert 300 == world.decided_on


class TestFallback:
    async def test_goes_down_the_ladder_and_back_up_at_once(self, world: World):
        """Last value, forecast, world; and the source's own value the moment it answers again."""
        source = world.providers["average"]
        source.expected = [310, 320, 330]
        await world.follow(source=AVERAGE)
        source.error = SignalUnreachable("no answer")

        await world.pass_time(1.5 * 3600)
        assert 300 == world.decided_on
        assert world.reading.fallback is None

        await world.pass_time(3600)
        assert world.decided_on is None
        assert FallbackLevel.FORECAST is world.reading.fallback.level
        assert 330_000 == world.status()["fallback"]["milligramsPerKWh"]

        await world.pass_time(3600)
        assert FallbackLevel.WORLD is world.reading.fallback.level
        assert 473_000 == world.status()["fallback"]["milligramsPerKWh"]

        source.error, source.grams = None, [300, 310, 320, 250]
        await world.pass_time(300)
        assert 250 == world.decided_on
        assert "fallback" not in world.status()
        assert {"Ready": ("True", "Current"), "Fresh": ("True", "Current")} == world.conditions()

    async def test_outlives_the_operator(self, world: World):
        """Forecast and typical day are read again, though the source never answers."""
        source = world.providers["average"]
        source.first = NOON - timedelta(days=14)
        source.grams = [300 if hour % 24 == 1 else 100 for hour in range(14 * 24)]
        source.expected = [310]
        await world.follow(source=AVERAGE)
        source.error = SignalUnreachable("no answer")

        await world.restart()
        forecast = world.reading.fallback
        await world.pass_time(1.5 * 3600)

        assert (310_000, FallbackLevel.FORECAST) == (forecast.intensity, forecast.level)
        day = world.reading.fallback
        assert (300_000, FallbackLevel.HISTORY) == (day.intensity, day.level)


class TestForecasts:
    async def test_are_asked_for_every_half_hour(self, world: World):
        """Not with every question for the value."""
        source = world.providers["average"]
        source.expected = [310]
        await world.follow(source=AVERAGE)

        await world.pass_half_an_hour()

        assert 2 == source.asked_forecasts
        assert [310_000] == world.status()["forecast"]["milligramsPerKWh"]

    async def test_that_cannot_be_had_take_nothing_away(self, world: World):
        """The value stays fresh, and the forecast before holds to its end."""
        source = world.providers["average"]
        source.expected, source.grams = [310, 320], [300, 300]
        await world.follow(source=AVERAGE)
        source.expected = SignalUnauthorized("no forecast in this plan")

        await world.pass_half_an_hour()

        assert 2 == source.asked_forecasts
        assert (310_000, 320_000) == world.reading.forecast.values
        assert {"Ready": ("True", "Current"), "Fresh": ("True", "Current")} == world.conditions()

    async def test_are_those_of_the_source_that_is_decided_on(self, world: World):
        """Marginal sources and second ones are not asked."""
        await world.follow(source=MARGINAL, accountingSource=ACCOUNTING)

        asked = {name: source.asked_forecasts for name, source in world.providers.items()}
        assert {"average": 0, "accounting": 1, "marginal": 0} == asked


class TestTypicalDay:
    async def test_is_learnt_from_the_archive(self, world: World):
        """Fourteen days of history bend the fallback."""
        source = world.providers["average"]
        source.first = NOON - timedelta(days=14)
        source.grams = [300 if hour % 24 == 5 else 100 for hour in range(14 * 24)]
        source.cadence = Cadence(poll=300, stale=60)

        await world.follow(source=AVERAGE)
        await world.pass_time(5.5 * 3600)

        fallback = world.reading.fallback
        assert (FallbackLevel.HISTORY, True) == (fallback.level, fallback.typical_day)
        assert 300_000 == fallback.intensity


async def test_every_question_is_observed(world: World):
    """With the type of the source and what came of it."""
    source = world.providers["average"]
    source.expected = SignalUnauthorized("no forecast in this plan")
    await world.follow(source=AVERAGE)
    source.error = SignalUnreachable("no answer")
    await world.pass_time(301)

    assert [("Prometheus", "ok"), ("Prometheus", "Unauthorized")] == world.observed[:2]
    assert ("Prometheus", "Unreachable") in world.observed
