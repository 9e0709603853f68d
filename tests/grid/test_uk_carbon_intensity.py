"""The Carbon Intensity API of Great Britain against a server that replays its documented shapes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.errors import (
    SignalError,
    SignalMalformed,
    SignalMisconfigured,
    SignalUnreachable,
    SignalZoneUnknown,
)
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.readings import Average
from carbonaware_operator.grid.uk_carbon_intensity import UKCarbonIntensity
from replay_server import LOOPBACK, Answer, ReplayServer, as_json

NOW = datetime(2024, 5, 1, 10, 40, tzinfo=UTC)
TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)
HALF = timedelta(minutes=30)


def a_period(begin: datetime, forecast: object, actual: object = None) -> dict[str, Any]:
    intensity = {"forecast": forecast, "actual": actual, "index": "moderate"}
    return {
        "from": begin.strftime("%Y-%m-%dT%H:%MZ"),
        "to": (begin + HALF).strftime("%Y-%m-%dT%H:%MZ"),
        "intensity": intensity,
    }


def a_region(*periods: dict[str, Any], number: object = 13) -> dict[str, Any]:
    regional = [
        period
        | {
            "intensity": {k: v for k, v in period["intensity"].items() if k != "actual"},
            "generationmix": [{"fuel": "wind", "perc": 40.1}],
        }
        for period in periods
    ]
    return {"regionid": number, "shortname": "London", "data": regional}


def national(replay: ReplayServer, *periods: Any) -> Average:
    replay.script = lambda _: as_json({"data": list(periods)})
    return Average(UKCarbonIntensity(url=replay.url, egress=LOOPBACK))


class TestNationalPoints:
    def test_are_actual_where_that_is_known(self, replay: ReplayServer):
        """Else the operator's own forecast stands in, as an estimate."""
        provider = national(replay, a_period(TEN, 121, 118), a_period(TEN + HALF, 125))

        points = provider.points(TEN, NOW)

        source, direct = "UKCarbonIntensity/GB", EmissionFactors.DIRECT
        assert [
            Point(TEN, TEN + HALF, 118_000, PointKind.ACTUAL, source, direct),
            Point(TEN + HALF, TEN + 2 * HALF, 125_000, PointKind.ESTIMATE, source, direct),
        ] == points

    def test_do_not_begin_a_period_early(self, replay: ReplayServer):
        """Some answers do: what ended before the question is left out."""
        provider = national(
            replay, a_period(TEN - HALF, 1, 1), a_period(TEN, 121, 118), a_period(TEN + HALF, 125)
        )

        assert [TEN, TEN + HALF] == [p.start for p in provider.points(TEN, NOW)]

    def test_are_not_of_the_future(self, replay: ReplayServer):
        """The question reaches past now, or the period under way would not be answered."""
        provider = national(replay, a_period(TEN + HALF, 125), a_period(TEN + 2 * HALF, 130))

        assert [125_000] == [p.intensity for p in provider.points(TEN, NOW)]
        assert ["/intensity/2024-05-01T10:00Z/2024-05-01T11:10Z"] == replay.paths()

    def test_are_of_fourteen_days_at_most(self, replay: ReplayServer):
        """A longer question is refused there."""
        provider = national(replay)

        provider.points(NOW - timedelta(days=30), NOW)

        assert ["/intensity/2024-04-17T11:10Z/2024-05-01T11:10Z"] == replay.paths()

    def test_have_gaps_where_there_is_no_value(self, replay: ReplayServer):
        """Neither forecast nor actual."""
        assert [] == national(replay, a_period(TEN, None)).points(TEN, NOW)

    def test_of_zero_are_values(self, replay: ReplayServer):
        """An actual of 0 is not taken for none."""
        provider = national(replay, a_period(TEN, 5, 0))

        assert [(0, PointKind.ACTUAL)] == [(p.intensity, p.kind) for p in provider.points(TEN, NOW)]


class TestRegionalPoints:
    @pytest.mark.parametrize("wrapped", [True, False])
    def test_are_estimates(self, replay: ReplayServer, wrapped: bool):
        """Regions have forecasts only; some answers wrap the region in a list."""
        region = a_region(a_period(TEN, 121), a_period(TEN + HALF, 125))
        replay.script = lambda _: as_json({"data": [region] if wrapped else region})

        points = Average(UKCarbonIntensity(region_id=13, url=replay.url, egress=LOOPBACK)).points(
            TEN, NOW
        )

        assert [(121_000, PointKind.ESTIMATE), (125_000, PointKind.ESTIMATE)] == [
            (p.intensity, p.kind) for p in points
        ]
        assert "UKCarbonIntensity/region/13" == points[0].source
        assert replay.paths()[0].startswith("/regional/intensity/2024-05-01T10:00Z/")
        assert replay.paths()[0].endswith("/regionid/13")

    def test_of_a_postcode(self, replay: ReplayServer):
        """Which region that is, is the API's to say."""
        replay.script = lambda _: as_json({"data": a_region(a_period(TEN, 121))})

        points = Average(
            UKCarbonIntensity(postcode="RG10", url=replay.url, egress=LOOPBACK)
        ).points(TEN, NOW)

        assert "UKCarbonIntensity/postcode/RG10" == points[0].source
        assert replay.paths()[0].endswith("/postcode/RG10")

    def test_of_another_region_are_refused(self, replay: ReplayServer):
        """The number that comes back is checked."""
        replay.script = lambda _: as_json({"data": a_region(a_period(TEN, 121), number=12)})

        with pytest.raises(SignalZoneUnknown, match="something else than region 13"):
            Average(UKCarbonIntensity(region_id=13, url=replay.url, egress=LOOPBACK)).points(
                TEN, NOW
            )


def test_forecast_is_of_hours(replay: ReplayServer):
    """Two half hours are an hour; the one under way counts with the half that is left."""
    periods = [a_period(TEN + n * HALF, 100 + n, 7 if n == 0 else None) for n in range(1, 6)]

    forecast = national(replay, *periods).forecast(NOW)

    assert (101_000, 102_500, 104_500) == forecast.values
    assert (TEN, NOW) == (forecast.start, forecast.issued)
    assert ["/intensity/2024-05-01T10:40Z/fw48h"] == replay.paths()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            Answer(b'{"error": {"code": "400 Bad Request", "message": "bad"}}', 400),
            SignalMisconfigured,
        ),
        (Answer(b'{"error": {"code": "500 Internal Server Error"}}', 500), SignalUnreachable),
        (as_json({"error": {"code": "400 Bad Request"}}), SignalMalformed),
        (as_json({"data": {"from": 1}}), SignalMalformed),
        (as_json([]), SignalMalformed),
        (as_json({"data": [7]}), SignalMalformed),
        (as_json({"data": [a_period(TEN, -1)]}), SignalMalformed),
        (as_json({"data": [a_period(TEN, "121")]}), SignalMalformed),
        (as_json({"data": [a_period(TEN, 121) | {"to": "2024-05-01T10:00Z"}]}), SignalMalformed),
        (as_json({"data": [a_period(TEN, 121) | {"to": "2034-05-01T10:00Z"}]}), SignalMalformed),
        (as_json({"data": [a_period(TEN, 121) | {"intensity": None}]}), SignalMalformed),
    ],
)
def test_refusals_are_told_apart(replay: ReplayServer, answer: Answer, error: type[SignalError]):
    """Its errors come as objects under `error`, with a status; shapes must be as documented."""
    replay.script = lambda _: answer

    with pytest.raises(SignalError) as caught:
        Average(UKCarbonIntensity(url=replay.url, egress=LOOPBACK)).points(TEN, NOW)

    assert error is type(caught.value)
