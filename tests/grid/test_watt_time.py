"""WattTime against a server that replays answers of the shape its API documents."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.api.sources import EmissionFactors, SignalKind
from carbonaware_operator.grid.errors import (
    SignalError,
    SignalForbidden,
    SignalMalformed,
    SignalMisconfigured,
    SignalRateLimited,
    SignalUnauthorized,
    SignalZoneUnknown,
)
from carbonaware_operator.grid.points import MarginalPoint, PointKind
from carbonaware_operator.grid.readings import Average, Marginal
from carbonaware_operator.grid.watt_time import WattTime
from carbonaware_operator.quantities.emissions import MarginalIntensity
from replay_server import LOOPBACK, Answer, Asked, ReplayServer, as_json

NOW = datetime(2024, 5, 1, 10, 7, tzinfo=UTC)
FIVE = timedelta(minutes=5)
HISTORICAL, FORECAST = "/v3/historical", "/v3/forecast"


def an_answer(*values: object, first: str = "2024-05-01T10:00:00+00:00", **meta: object) -> Any:
    """Values from `first` on, one for each five minutes."""
    begin = datetime.fromisoformat(first)
    points = [
        {"point_time": (begin + n * FIVE).isoformat(), "value": v} for n, v in enumerate(values)
    ]
    return {
        "data": points,
        "meta": {
            "region": "CAISO_NORTH",
            "signal_type": "co2_moer",
            "units": "lbs_co2_per_mwh",
            "data_point_period_seconds": 300,
            "generated_at": "2024-05-01T10:05:00+00:00",
            "model": {"date": "2023-03-01"},
            "warnings": [],
        }
        | meta,
    }


class Clock:
    """A monotonic clock in the test's hand."""

    seconds = 1000.0

    def now(self) -> float:
        """Seconds since some start."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(replay: ReplayServer, clock: Clock) -> WattTime:
    replay.give("/login", {"token": "t-1"}, {"token": "t-2"})
    return a_region(replay, clock)


def a_region(replay: ReplayServer, clock: Clock, **fields: Any) -> WattTime:
    credentials = {"username": "me\n", "password": "hunter2\n"}
    return WattTime(
        region="CAISO_NORTH",
        url=replay.url,
        egress=LOOPBACK,
        monotonic=clock.now,
        **(credentials | fields),
    )


class TestPoints:
    def test_are_grams_per_kwh(self, replay: ReplayServer, api: WattTime):
        """1000 lb/MWh are 453.592 g/kWh; each value holds for the period that the answer names."""
        replay.give(HISTORICAL, an_answer(1000, 500))

        points = Marginal(api).points(NOW - FIVE, NOW)

        ten = datetime(2024, 5, 1, 10, tzinfo=UTC)
        source = "WattTime/CAISO_NORTH/co2_moer"
        assert [
            MarginalPoint(
                ten,
                ten + FIVE,
                MarginalIntensity(453_592),
                PointKind.ACTUAL,
                source,
                EmissionFactors.DIRECT,
            ),
            MarginalPoint(
                ten + FIVE,
                ten + 2 * FIVE,
                MarginalIntensity(226_796),
                PointKind.ACTUAL,
                source,
                EmissionFactors.DIRECT,
            ),
        ] == points

    def test_of_now_are_a_forecast_while_nothing_was_measured(
        self, replay: ReplayServer, api: WattTime
    ):
        """The five minutes under way are those of the newest forecast, as an estimate."""
        replay.give(HISTORICAL, an_answer(1000))
        replay.give(FORECAST, an_answer(800, first="2024-05-01T10:05:00+00:00"))

        points = Marginal(api).points(NOW - 2 * FIVE, NOW)

        assert [PointKind.ACTUAL, PointKind.ESTIMATE] == [p.kind for p in points]
        assert "0" == replay.asked[-1].query["horizon_hours"]

    def test_have_gaps_where_there_is_no_value(self, replay: ReplayServer, api: WattTime):
        """A null is a gap."""
        replay.give(HISTORICAL, an_answer(None, 500))

        assert [MarginalIntensity(226_796)] == [
            p.intensity for p in Marginal(api).points(NOW - FIVE, NOW)
        ]

    def test_are_averages_where_that_is_asked_for(self, replay: ReplayServer, clock: Clock):
        """co2_aoer is another signal, and the answer must say so."""
        replay.give("/login", {"token": "t"})
        replay.give(HISTORICAL, an_answer(1000, 500, signal_type="co2_aoer"))
        api = a_region(replay, clock, signal=SignalKind.AVERAGE)

        points = Average(api).points(NOW - FIVE, NOW)

        assert [453_592, 226_796] == [p.intensity for p in points]
        assert "co2_aoer" == replay.asked[-1].query["signal_type"]
        assert "WattTime/CAISO_NORTH/co2_aoer" == points[0].source

    def test_are_asked_for_with_region_and_span(self, replay: ReplayServer, api: WattTime):
        """Ends are inclusive there."""
        replay.give(HISTORICAL, an_answer(1000, 500))

        Marginal(api).points(NOW - FIVE, NOW)

        assert {
            "region": "CAISO_NORTH",
            "signal_type": "co2_moer",
            "start": "2024-05-01T10:02:00Z",
            "end": "2024-05-01T10:07:00Z",
        } == replay.asked[-1].query

    def test_are_of_thirty_days_at_most(self, replay: ReplayServer, api: WattTime):
        """A longer question is refused there."""
        replay.give(HISTORICAL, an_answer(1000, 500))

        Marginal(api).points(NOW - timedelta(days=400), NOW)

        assert "2024-04-01T10:07:00Z" == replay.asked[-1].query["start"]


class TestToken:
    def test_is_got_with_the_credentials_and_used_on(self, replay: ReplayServer, api: WattTime):
        """One log-in serves many questions: they are limited to 100 in five minutes."""
        replay.give(HISTORICAL, an_answer(1000, 500))

        for _ in range(3):
            Marginal(api).points(NOW - FIVE, NOW)

        basic = "Basic " + base64.b64encode(b"me:hunter2").decode()
        assert ["/login", *[HISTORICAL] * 3] == replay.paths()
        assert basic == replay.asked[0].headers["Authorization"]
        assert {"Bearer t-1"} == {asked.headers["Authorization"] for asked in replay.asked[1:]}

    def test_is_renewed_before_it_runs_out(self, replay: ReplayServer, api: WattTime, clock: Clock):
        """It is valid for 30 minutes."""
        replay.give(HISTORICAL, an_answer(1000, 500))
        Marginal(api).points(NOW - FIVE, NOW)

        clock.seconds += 26 * 60
        Marginal(api).points(NOW - FIVE, NOW)

        assert "Bearer t-2" == replay.asked[-1].headers["Authorization"]

    def test_is_renewed_when_it_is_refused_before_its_time(
        self, replay: ReplayServer, api: WattTime
    ):
        """Once; the question is asked again."""
        replay.give(HISTORICAL, an_answer(1000, 500), Answer(b"{}", 401), an_answer(1000, 500))
        Marginal(api).points(NOW - FIVE, NOW)

        assert 2 == len(Marginal(api).points(NOW - FIVE, NOW))
        assert ["/login", HISTORICAL, HISTORICAL, "/login", HISTORICAL] == replay.paths()

    def test_that_is_refused_when_new_is_the_end(self, replay: ReplayServer, api: WattTime):
        """No circle of log-ins."""
        replay.give(HISTORICAL, Answer(b"{}", 401))

        with pytest.raises(SignalUnauthorized):
            Marginal(api).points(NOW - FIVE, NOW)

        assert ["/login", HISTORICAL] == replay.paths()

    def test_is_not_renewed_for_a_region_outside_of_the_plan(
        self, replay: ReplayServer, api: WattTime
    ):
        """403 is about the plan: a free one has CAISO_NORTH alone."""
        replay.give(HISTORICAL, an_answer(1000, 500), Answer(b"{}", 403))
        Marginal(api).points(NOW - FIVE, NOW)

        with pytest.raises(SignalForbidden, match="must include region 'CAISO_NORTH'"):
            Marginal(api).points(NOW - FIVE, NOW)

        assert 1 == replay.paths().count("/login")

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(b"{}", 401), SignalUnauthorized),
            (Answer(b"{}", 403), SignalForbidden),
            (Answer(b"{}", 429, {"Retry-After": "60"}), SignalRateLimited),
            ({}, SignalMalformed),
            ([], SignalMalformed),
            ({"token": 7}, SignalMalformed),
            ({"token": ""}, SignalMalformed),
            ({"token": "a\r\nX-Other: b"}, SignalMalformed),
        ],
    )
    def test_that_there_is_none_of(
        self, replay: ReplayServer, api: WattTime, answer: Any, error: type[SignalError]
    ):
        """What the log-in says is told apart; what comes back must fit a header."""
        replay.give("/login", answer)

        with pytest.raises(SignalError) as caught:
            Marginal(api).points(NOW - FIVE, NOW)

        assert error is type(caught.value)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("missing", ["username", "password"])
    def test_needs_both_credentials(self, replay: ReplayServer, clock: Clock, missing: str):
        """An empty one is refused before it is sent."""
        with pytest.raises(SignalMisconfigured, match="must not be empty"):
            a_region(replay, clock, **{missing: "\n"})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (an_answer(1, region="PJM_ROANOKE"), SignalZoneUnknown),
        (an_answer(1, signal_type="health_damage"), SignalZoneUnknown),
        (an_answer(1, units="percentile"), SignalMalformed),
        (an_answer(1, data_point_period_seconds=0), SignalMalformed),
        (an_answer(1, data_point_period_seconds=True), SignalMalformed),
        (an_answer(1, data_point_period_seconds="300"), SignalMalformed),
        (an_answer(-1), SignalMalformed),
        (an_answer(11_100), SignalMalformed),
        (an_answer("812.4"), SignalMalformed),
        (an_answer(True), SignalMalformed),
        (an_answer([1]), SignalMalformed),
        ({"data": []}, SignalMalformed),
        ({"meta": {}}, SignalMalformed),
        ([], SignalMalformed),
        (None, SignalMalformed),
    ],
)
def test_answers_of_another_kind_are_refused(
    replay: ReplayServer, api: WattTime, answer: Any, error: type[SignalError]
):
    """Another region, another signal, a percentile in place of a rate, or another shape."""
    replay.give(HISTORICAL, answer)

    with pytest.raises(SignalError) as caught:
        Marginal(api).points(NOW - FIVE, NOW)

    assert error is type(caught.value)


class TestForecast:
    def test_is_made_of_hourly_means(self, replay: ReplayServer, clock: Clock):
        """Twelve values of five minutes are an hour; it is issued when it was generated."""
        replay.give("/login", {"token": "t"})
        values = [1000] * 12 + [500] * 6 + [700] * 6
        replay.give(FORECAST, an_answer(*values, signal_type="co2_aoer"))

        forecast = Average(a_region(replay, clock, signal=SignalKind.AVERAGE)).forecast(NOW)

        assert (453_592, 272_155) == forecast.values
        assert datetime(2024, 5, 1, 10, 5, tzinfo=UTC) == forecast.issued
        assert "72" == replay.asked[-1].query["horizon_hours"]

    def test_is_none_for_a_plan_without(self, replay: ReplayServer, api: WattTime):
        """Which is no error."""
        replay.give(FORECAST, Answer(b"{}", 403))

        assert api.expected(NOW) is None

    def test_must_say_when_it_was_made(self, replay: ReplayServer, api: WattTime):
        """In a way that can be read."""
        replay.give(FORECAST, an_answer(1, generated_at=7))

        with pytest.raises(SignalMalformed, match="generated_at"):
            api.expected(NOW)


def test_check_tells_what_the_user_may_read(replay: ReplayServer, api: WattTime):
    """The limit that all zones of a user share is part of it."""

    def now(asked: Asked) -> Answer:
        first = asked.query.get("start", f"{datetime.now(UTC):%FT%TZ}")
        return as_json(an_answer(*[900] * 24, first=first))

    replay.script = now

    access = Marginal(api).check()

    assert ("intensity now", "history, 24 h", "forecast, 2 h") == access.allowed or (
        "intensity now",
        "history, 24 h",
        "forecast, 3 h",
    ) == access.allowed
    assert "3000 questions" in access.limits[0]
