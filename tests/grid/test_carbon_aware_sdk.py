"""The Carbon Aware SDK's Web API against a server that replays answers of its documented shape."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.carbon_aware_sdk import CarbonAwareSDK
from carbonaware_operator.grid.errors import SignalMalformed, SignalUnreachable
from carbonaware_operator.grid.readings import Average, Marginal
from replay_server import LOOPBACK, Answer, ReplayServer

NOW = datetime(2024, 5, 1, 10, 7, tzinfo=UTC)
FIVE = timedelta(minutes=5)
NOW_PATH, FORECAST = "/emissions/bylocation", "/emissions/forecasts/current"


def a_rating(time: str, rating: object, location: object = "PJM_ROANOKE") -> dict[str, Any]:
    return {"location": location, "time": time, "rating": rating}


def a_forecast(*values: object, duration: object = 60) -> list[dict[str, Any]]:
    rows = [
        {
            "location": "PJM_ROANOKE",
            "timestamp": f"2024-05-01T{10 + n}:00:00+00:00",
            "duration": duration,
            "value": value,
        }
        for n, value in enumerate(values)
    ]
    return [
        {
            "generatedAt": "2024-05-01T10:05:00+00:00",
            "location": "eastus",
            "windowSize": duration,
            "optimalDataPoint": None,
            "forecastData": rows,
        }
    ]


@pytest.fixture
def api(replay: ReplayServer) -> CarbonAwareSDK:
    return CarbonAwareSDK(
        location="eastus", url=replay.url, egress=LOOPBACK, factors=EmissionFactors.DIRECT
    )


class TestPoints:
    def test_last_until_the_next(self, replay: ReplayServer, api: CarbonAwareSDK):
        """Ratings have no length; they may come in any order."""
        replay.give(
            NOW_PATH,
            [
                a_rating("2024-05-01T10:05:00.5092741+00:00", 70),
                a_rating("2024-05-01T10:00:00.5092741+00:00", 65.5),
            ],
        )

        points = Average(api).points(NOW - 2 * FIVE, NOW)

        assert [65_500, 70_000] == [p.intensity for p in points]
        assert [FIVE, FIVE] == [p.end - p.start for p in points]
        assert ("CarbonAwareSDK/eastus", EmissionFactors.DIRECT) == (
            points[0].source,
            points[0].factors,
        )

    def test_may_be_a_lone_one(self, replay: ReplayServer, api: CarbonAwareSDK):
        """It claims no more than five minutes."""
        replay.give(NOW_PATH, [a_rating("2024-05-01T10:05:00Z", 70)])

        (point,) = Marginal(api).points(NOW, NOW)

        assert (70_000, FIVE) == (
            point.intensity.marginal_milligrams_per_kwh,
            point.end - point.start,
        )

    @pytest.mark.parametrize("answer", [[], Answer(b"", 204)])
    def test_may_be_none(self, replay: ReplayServer, api: CarbonAwareSDK, answer: Any):
        """No content is an answer: nothing is known."""
        replay.give(NOW_PATH, answer)

        assert [] == Average(api).points(NOW, NOW)

    def test_are_asked_for_with_a_look_back(self, replay: ReplayServer, api: CarbonAwareSDK):
        """What is behind it lags: without, the newest value would never be in the answer."""
        replay.give(NOW_PATH, [])

        Average(api).points(NOW, NOW)

        assert {
            "location": "eastus",
            "time": "2024-05-01T08:07:00Z",
            "toTime": "2024-05-01T10:07:00Z",
        } == replay.asked[0].query


class TestForecast:
    def test_is_that_of_its_provider(self, replay: ReplayServer, api: CarbonAwareSDK):
        """With the time at which that made it."""
        replay.give(FORECAST, a_forecast(550.98, 500))

        forecast = Average(api).forecast(NOW)

        assert (550_980, 500_000) == forecast.values
        assert datetime(2024, 5, 1, 10, 5, tzinfo=UTC) == forecast.issued

    def test_may_be_none(self, replay: ReplayServer, api: CarbonAwareSDK):
        """A provider may have no forecast of the location."""
        replay.give(FORECAST, Answer(b"", 204))

        assert Average(api).forecast(NOW) is None

    def test_may_not_be_implemented(self, replay: ReplayServer, api: CarbonAwareSDK):
        """Some providers behind it have no forecast at all, which it answers with 501."""
        replay.give(FORECAST, Answer(b"{}", 501))

        with pytest.raises(SignalUnreachable, match="501"):
            Average(api).forecast(NOW)

    @pytest.mark.parametrize(
        "answer",
        [
            {"a": 1},
            [1],
            a_forecast(1) * 2,
            a_forecast(1, duration=0),
            a_forecast(1, duration="5"),
            a_forecast(1, duration=True),
            a_forecast("1"),
        ],
    )
    def test_of_another_shape_is_refused(
        self, replay: ReplayServer, api: CarbonAwareSDK, answer: Any
    ):
        """As anything else is."""
        replay.give(FORECAST, answer)

        with pytest.raises(SignalMalformed):
            Average(api).forecast(NOW)


def test_check_goes_on_without_a_forecast(replay: ReplayServer, api: CarbonAwareSDK):
    """What the forecast fails with is a limit of the source, not the end of the check."""
    now = datetime.now(UTC)
    replay.give(NOW_PATH, [a_rating(now.strftime("%Y-%m-%dT%H:%M:%SZ"), 70)])
    replay.give(FORECAST, Answer(b"{}", 501))

    access = Average(api).check()

    assert "intensity now" in access.allowed
    assert any(limit.startswith("no forecast: 127.0.0.1") for limit in access.limits)


@pytest.mark.parametrize(
    "answer",
    [
        {"a": 1},
        [7],
        [a_rating("2024-05-01T10:05:00", 70)],
        [a_rating("2024-05-01T10:05:00Z", "70")],
        [a_rating("2024-05-01T10:05:00Z", -1)],
        [a_rating("2024-05-01T10:05:00Z", 1, "a"), a_rating("2024-05-01T10:10:00Z", 1, "b")],
        [a_rating("2024-05-01T10:05:00Z", 1, ["a"])],
    ],
)
def test_answers_of_another_shape_are_refused(
    replay: ReplayServer, api: CarbonAwareSDK, answer: Any
):
    """Values of two locations in one answer are of neither."""
    replay.give(NOW_PATH, answer)

    with pytest.raises(SignalMalformed, match="all of one location"):
        Average(api).points(NOW, NOW)
