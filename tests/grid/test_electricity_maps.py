"""Electricity Maps against a server that replays answers of the shape its API documents."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.electricity_maps import ElectricityMaps
from carbonaware_operator.grid.errors import (
    SignalError,
    SignalForbidden,
    SignalMalformed,
    SignalMisconfigured,
    SignalUnauthorized,
    SignalZoneUnknown,
)
from carbonaware_operator.grid.points import Forecast, Point, PointKind
from carbonaware_operator.grid.readings import Average
from replay_server import LOOPBACK, Answer, ReplayServer

KEY = "em-key-1234567890"
NOW = datetime(2024, 5, 1, 10, 25, tzinfo=UTC)
TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATEST, HISTORY = "/v3/carbon-intensity/latest", "/v3/carbon-intensity/history"
FORECAST = "/v3/carbon-intensity/forecast"


def an_hour(begin: datetime, grams: object, **fields: object) -> dict[str, Any]:
    """One hour as the API writes it."""
    return {
        "zone": "DE",
        "carbonIntensity": grams,
        "datetime": begin.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "updatedAt": "2024-05-01T10:15:00.000Z",
        "createdAt": "2024-04-28T10:00:00.000Z",
        "emissionFactorType": "lifecycle",
        "isEstimated": False,
        "estimationMethod": None,
    } | fields


def a_history(*hours: dict[str, Any], zone: str = "DE") -> dict[str, Any]:
    return {"zone": zone, "history": list(hours)}


@pytest.fixture
def day(replay: ReplayServer) -> None:
    """A latest hour and the 24 before it."""
    replay.give(LATEST, an_hour(TEN, 302, isEstimated=True))
    hours = (an_hour(TEN - n * HOUR, 300 - n) for n in range(24, 0, -1))
    replay.give(HISTORY, a_history(*hours))


def a_provider(replay: ReplayServer, key: str = KEY, **fields: Any) -> Average:
    return Average(
        ElectricityMaps(zone="DE", key=key, url=f"{replay.url}/v3", egress=LOOPBACK, **fields)
    )


def ask(replay: ReplayServer, start: datetime = TEN, **fields: Any) -> list[Point]:
    return a_provider(replay, **fields).points(start, NOW)


class TestPoints:
    def test_are_the_latest_hour(self, replay: ReplayServer, day: None):
        """The latest value holds for the hour that it names, and says that it is an estimate."""
        (point,) = ask(replay)

        assert (TEN, TEN + HOUR, 302_000) == (point.start, point.end, point.intensity)
        assert PointKind.ESTIMATE is point.kind
        assert ("ElectricityMaps/DE", EmissionFactors.LIFECYCLE) == (point.source, point.factors)

    def test_are_the_hours_before(self, replay: ReplayServer, day: None):
        """History and latest hour follow each other; hours out of the question are left out."""
        points = ask(replay, start=TEN - 2 * HOUR)

        assert [298_000, 299_000, 302_000] == [p.intensity for p in points]
        assert [PointKind.ACTUAL] * 2 + [PointKind.ESTIMATE] == [p.kind for p in points]

    def test_take_one_question_where_one_is_enough(self, replay: ReplayServer, day: None):
        """History is not asked for in vain."""
        ask(replay, start=TEN)

        assert [LATEST] == replay.paths()

    def test_have_gaps_where_there_is_no_value(self, replay: ReplayServer):
        """A null is a gap, not a zero and not an error."""
        replay.give(LATEST, an_hour(TEN, None))
        replay.give(HISTORY, a_history(an_hour(TEN - 2 * HOUR, 280), an_hour(TEN - HOUR, None)))

        assert [280_000] == [p.intensity for p in ask(replay, start=TEN - 5 * HOUR)]

    def test_are_asked_for_by_name(self, replay: ReplayServer, day: None):
        """The fall-back to the location of the caller's address is turned off."""
        ask(replay, start=TEN - HOUR)

        for asked in replay.asked:
            assert KEY == asked.headers["auth-token"]
            assert {
                "zone": "DE",
                "emissionFactorType": "lifecycle",
                "temporalGranularity": "hourly",
                "shouldUseFallbackCallerLookup": "false",
            } == asked.query

    def test_of_direct_factors(self, replay: ReplayServer):
        """Direct factors are another number, and the points say so."""
        replay.give(LATEST, an_hour(TEN, 302, emissionFactorType="direct"))

        (point,) = ask(replay, factors=EmissionFactors.DIRECT)

        assert "direct" == replay.asked[0].query["emissionFactorType"]
        assert EmissionFactors.DIRECT == point.factors

    def test_are_not_of_the_future(self, replay: ReplayServer):
        """A clock that is ahead of ours: an hour that has not begun is not known, whoever says."""
        replay.give(LATEST, an_hour(TEN + HOUR, 100))
        replay.give(HISTORY, a_history(an_hour(TEN, 300)))

        assert [300_000] == [p.intensity for p in ask(replay)]

    def test_are_of_the_later_value_where_an_hour_comes_twice(self, replay: ReplayServer):
        """The latest answer is newer than the history."""
        replay.give(LATEST, an_hour(TEN, 302))
        replay.give(HISTORY, a_history(an_hour(TEN, 1), an_hour(TEN - HOUR, 300)))

        assert [300_000, 302_000] == [p.intensity for p in ask(replay, start=TEN - HOUR)]


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(b'{"error": "Invalid auth-token"}', 401), SignalUnauthorized, "refused the key"),
        (
            Answer(b'{"error": "Token unauthorized for zoneKey=DE"}', 403),
            SignalForbidden,
            "may not read zone 'DE'",
        ),
        (
            Answer(b'{"message": "Endpoint not available"}', 401),
            SignalForbidden,
            "plan of the API key",
        ),
        (Answer(b'{"error": "No data"}', 404), SignalZoneUnknown, "does not know zone 'DE'"),
        (Answer(b"[]"), SignalMalformed, "must be an object"),
        (an_hour(TEN, 302, zone="FR"), SignalZoneUnknown, "something else than zone 'DE'"),
        ({"carbonIntensity": 302}, SignalZoneUnknown, "something else than zone 'DE'"),
        (an_hour(TEN, 302, emissionFactorType="direct"), SignalMalformed, "factors must be those"),
        (an_hour(TEN, -3), SignalMalformed, "of 0 to 5000"),
        (an_hour(TEN, 300_000), SignalMalformed, "of 0 to 5000"),
        (an_hour(TEN, "302"), SignalMalformed, "of 0 to 5000"),
        (an_hour(TEN, True), SignalMalformed, "of 0 to 5000"),
        (an_hour(TEN, 302) | {"datetime": "10 o'clock"}, SignalMalformed, "with its offset"),
        (an_hour(TEN, 302) | {"datetime": "2024-05-01T10:00"}, SignalMalformed, "its offset"),
        (an_hour(TEN, 302) | {"datetime": 1714557600}, SignalMalformed, "its offset"),
        (Answer(b'{"zone": "DE", "carbonIntensity": NaN}'), SignalMalformed, "an hour must"),
    ],
)
def test_refusals_are_told_apart(
    replay: ReplayServer, answer: Any, error: type[SignalError], says: str
):
    """Each refusal is an error of its own kind that says what to change."""
    replay.give(LATEST, answer)

    with pytest.raises(SignalError, match=says) as caught:
        ask(replay)

    assert error is type(caught.value)
    assert KEY not in str(caught.value)


def test_a_history_that_is_none_is_refused(replay: ReplayServer, day: None):
    """The list must be there."""
    replay.give(HISTORY, {"zone": "DE"})

    with pytest.raises(SignalMalformed, match="`history` must be a list"):
        ask(replay, start=TEN - HOUR)


def test_a_key_must_be_one():
    """It is refused before it is sent."""
    with pytest.raises(SignalMisconfigured, match="the API key must be one line"):
        ElectricityMaps(zone="DE", key="\n", egress=LOOPBACK)


class TestForecast:
    def test_is_of_the_hours_from_now_on(self, replay: ReplayServer):
        """Hours before the one under way are left out; the time of issue is the provider's."""
        hours = [
            {"carbonIntensity": 280 + n, "datetime": f"2024-05-01T{9 + n:02}:00:00.000Z"}
            for n in range(4)
        ]
        replay.give(
            FORECAST, {"zone": "DE", "forecast": hours, "updatedAt": "2024-05-01T08:01:02.000Z"}
        )

        forecast = a_provider(replay).forecast(NOW)

        issued = datetime(2024, 5, 1, 8, 1, 2, tzinfo=UTC)
        values = (281_000, 282_000, 283_000)
        assert Forecast(issued, TEN, HOUR, values, "ElectricityMaps/DE") == forecast
        assert "72" == replay.asked[0].query["horizonHours"]

    @pytest.mark.parametrize("status", [401, 403])
    def test_is_none_for_a_plan_without(self, replay: ReplayServer, status: int):
        """A free key has no forecast, which is no error."""
        replay.give(FORECAST, Answer(b'{"message": "Endpoint not available"}', status))

        assert a_provider(replay).forecast(NOW) is None

    @pytest.mark.parametrize(
        "answer",
        [
            {"zone": "DE", "forecast": {}},
            {"zone": "DE", "forecast": [], "updatedAt": 7},
            {"zone": "DE", "forecast": [7]},
        ],
    )
    def test_of_another_shape_is_refused(self, replay: ReplayServer, answer: Any):
        """As anything else is."""
        replay.give(FORECAST, answer)

        with pytest.raises(SignalMalformed):
            a_provider(replay).forecast(NOW)


class TestCheck:
    def test_tells_what_the_key_may_do(self, replay: ReplayServer):
        """By asking for it; the zones of the key are asked for too."""
        begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        replay.give("/v3/zones", {"DE": {"zoneName": "Germany", "access": ["x"]}})
        replay.give(LATEST, an_hour(begin, 302))
        replay.give(HISTORY, a_history(*(an_hour(begin - n * HOUR, 300) for n in (1, 2))))
        replay.give(FORECAST, Answer(b'{"message": "Endpoint not available"}', 403))

        access = a_provider(replay).check()

        assert ("intensity now", "history, 24 h", "zone DE") == access.allowed

    def test_names_the_zones_that_a_key_may_read(self, replay: ReplayServer):
        """Which is what has to be changed: the zone, or the plan."""
        replay.give("/v3/zones", {"FR": {}, "ES": {}})

        with pytest.raises(SignalForbidden, match="may not read zone 'DE'; it may read: ES, FR"):
            a_provider(replay).check()

    def test_refuses_zones_that_are_none(self, replay: ReplayServer):
        """As anything else of another shape."""
        replay.give("/v3/zones", [])

        with pytest.raises(SignalMalformed, match="must be an object"):
            a_provider(replay).check()
