"""Own forecasts: made once an hour, from what is known, for zones whose provider makes none."""

import asyncio
import math
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from carbonaware_operator.engine import forecasts
from carbonaware_operator.engine.forecast_score import ForecastScore
from carbonaware_operator.engine.forecasts import OWN, ForecastsLoop, own_forecast
from carbonaware_operator.grid.day_ahead import TIME_ZONE
from carbonaware_operator.grid.points import Forecast
from carbonaware_operator.grid.tariff import MarketPrice, MarketPrices
from fakes import ManualClock

HOUR = timedelta(hours=1)
NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


def days(count, until=NOON):
    """Hourly means that repeat a day: dirtiest at midnight, cleanest at noon."""
    start = until - count * 24 * HOUR
    hours = [start + n * HOUR for n in range(count * 24)]
    return [(at, round(300_000 + 100_000 * math.cos(at.hour * math.tau / 24))) for at in hours]


class Histories:
    """One zone whose history a test sets."""

    def __init__(self, means):
        self.means, self.taken, self.asked, self.listed = means, [], 0, 0
        self.given, self.scores = {}, []

    def without_forecast(self):
        """The one zone."""
        return ["de"]

    def known_until(self, _name):
        """The end of the last hour."""
        self.asked += 1
        return self.means[-1][0] + HOUR if self.means else None

    def hourly_means(self, _name, until):
        """Those that ended by then."""
        self.listed += 1
        return [known for known in self.means if known[0] + HOUR <= until]

    def take_forecast(self, name, forecast):
        """Keep it."""
        self.taken.append((name, forecast))

    def provided(self):
        """What the test says."""
        return self.given

    def take_score(self, name, error_percent):
        """Keep it."""
        self.scores.append((name, error_percent))


class TestOwnForecast:
    def test_repeats_a_day_that_repeats_itself(self):
        """96 hours from now on, with the model and its error, which here is nearly none."""
        made = own_forecast(days(30), NOON, NOON + timedelta(minutes=5))

        assert 96 == len(made.values)
        assert NOON == made.start
        assert NOON + timedelta(minutes=5) == made.issued
        assert pytest.approx(200_000, rel=0.05) == made.at(NOON + 24 * HOUR)
        assert pytest.approx(400_000, rel=0.05) == made.at(NOON + 12 * HOUR)
        assert made.source.startswith(OWN)
        assert made.error_percent is not None
        assert made.error_percent <= 5

    def test_needs_a_day(self):
        """Out of less nothing can be repeated."""
        assert own_forecast(days(1)[1:], NOON, NOON) is None

    def test_is_not_made_from_a_history_that_ended_days_ago(self):
        """It would pretend to know what it cannot."""
        assert own_forecast(days(30, until=NOON - 72 * HOUR), NOON, NOON) is None


def moody_days(count, until=NOON + 24 * HOUR):
    """Hours of days each of which is as dirty as it is expensive; nobody could guess which."""
    moods = random.Random(7)
    start = until - count * 24 * HOUR
    levels = [moods.randrange(100, 400) for _ in range(count + 2)]
    local = [(start + n * HOUR).astimezone(ZoneInfo(TIME_ZONE)) for n in range(count * 24)]
    first = local[0].date()
    return [(at.astimezone(UTC), 1000 * levels[(at.date() - first).days]) for at in local]


class TestPrices:
    def test_tell_what_history_cannot(self):
        """Tomorrow's prices are known since 13:00: with them tomorrow is no surprise."""
        hours = moody_days(220)
        means = [known for known in hours if known[0] < NOON]
        prices = tuple(MarketPrice(at, at + HOUR, value) for at, value in hours)
        market = MarketPrices("EUR", "EnergyCharts/DE-LU", prices)

        blind = own_forecast(means, NOON, NOON)
        told = own_forecast(means, NOON, NOON, market)

        assert f"{OWN}, ridge with prices" == told.source
        assert "prices" not in blind.source
        assert told.error_percent < 0.8 * blind.error_percent

    def test_that_are_not_published_yet_are_not_used(self):
        """At noon of Greenwich it is 14:00 in Berlin; at ten it is not 13:00 yet."""
        hours = moody_days(220)
        early = NOON - 2 * HOUR
        means = [known for known in hours if known[0] < early]
        tomorrow = datetime(2026, 6, 15, 22, tzinfo=UTC)  # midnight in Berlin
        prices = [MarketPrice(at, at + HOUR, value) for at, value in hours]
        known = [price for price in prices if price.start < tomorrow]

        every, published = (
            own_forecast(means, early, early, MarketPrices("EUR", "x", tuple(some)))
            for some in (prices, known)
        )

        assert published == every


class TestLoop:
    async def test_forecasts_once_for_each_hour_that_comes_in(self):
        """Not again for the same history, again when it has grown."""
        histories, clock = Histories(days(10)), ManualClock(NOON)
        loop = ForecastsLoop(histories=histories, clock=clock)

        await loop.look()
        await loop.look()
        assert 1 == len(histories.taken)

        histories.means.append((NOON, 210_000))
        await clock.advance(3600)
        await loop.look()
        assert [NOON, NOON + HOUR] == [forecast.start for _, forecast in histories.taken]
        assert 2 == histories.listed

    async def test_waits_for_enough_history(self):
        """Less than three days are no history."""
        histories = Histories(days(2))

        await ForecastsLoop(histories=histories, clock=ManualClock(NOON)).look()

        assert [] == histories.taken

    async def test_survives_a_zone_that_cannot_be_forecast(self, monkeypatch):
        """What goes wrong with one zone is logged; the loop goes on."""

        def fail(*_args):
            raise RuntimeError

        monkeypatch.setattr(forecasts, "own_forecast", fail)
        histories = Histories(days(10))

        await ForecastsLoop(histories=histories, clock=ManualClock(NOON)).look()

        assert [] == histories.taken

    async def test_looks_again_and_again(self):
        """As long as it is not cancelled."""
        histories, clock = Histories([]), ManualClock(NOON)
        task = asyncio.create_task(ForecastsLoop(histories=histories, clock=clock).run())
        await clock.advance(forecasts.LOOK_SECONDS * 3)
        task.cancel()

        assert 4 == histories.asked


class TestScore:
    async def test_is_what_came_beside_what_the_provider_said(self):
        """A provider that says a tenth too much has an error of 10 %, once a day has come."""
        histories, clock = Histories([]), ManualClock(NOON)
        expected = tuple(round(1.1 * value) for _, value in days(1, until=NOON + 24 * HOUR))
        histories.given = {"de": Forecast(NOON, NOON, HOUR, expected, "UK")}
        loop = ForecastsLoop(histories=histories, clock=clock)
        await loop.look()

        await clock.advance(24 * 3600)
        histories.means = days(1, until=NOON + 24 * HOUR)
        await loop.look()

        assert [("de", None), ("de", 10)] == histories.scores

    async def test_is_made_once_an_hour(self):
        """Not at every look."""
        histories = Histories([])
        histories.given = {"de": Forecast(NOON, NOON, HOUR, (1,), "UK")}
        loop = ForecastsLoop(histories=histories, clock=ManualClock(NOON))

        await loop.look()
        await loop.look()

        assert 1 == len(histories.scores)

    def test_takes_the_first_forecast_of_each_day(self):
        """Later ones know more: they would flatter what users plan by."""
        score, came = ForecastScore(), dict(days(1, until=NOON + 24 * HOUR))
        score.note(Forecast(NOON, NOON, HOUR, tuple(2 * v for v in came.values()), "UK"), NOON)
        score.note(Forecast(NOON, NOON, HOUR, tuple(came.values()), "UK"), NOON + HOUR)

        assert 100 == score.percent(came)

    def test_forgets_what_is_long_ago(self):
        """Eight weeks are enough to judge by."""
        score, came = ForecastScore(), dict(days(1, until=NOON + 24 * HOUR))
        score.note(Forecast(NOON, NOON, HOUR, tuple(came.values()), "UK"), NOON)
        score.note(Forecast(NOON, NOON, HOUR, (), "UK"), NOON + 56 * 24 * HOUR)

        assert score.percent(came) is None


def test_numpy_is_not_loaded_before_there_is_something_to_forecast():
    """It costs 30 MB, and most operators need it not."""
    script = "import sys, carbonaware_operator.engine.lifecycle; sys.exit('numpy' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", script], check=False).returncode
