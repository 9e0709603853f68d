"""Energy-Charts against a server that replays answers of the shape its API documents."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.grid.energy_charts import EnergyCharts
from carbonaware_operator.grid.errors import (
    SignalMalformed,
    SignalRateLimited,
    SignalUnreachable,
    SignalZoneUnknown,
)
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.readings import Average
from replay_server import LOOPBACK, Answer, ReplayServer

TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
NOW = TEN + timedelta(minutes=20)
UNIX = int(TEN.timestamp())


def an_answer(actual: list[Any], forecast: list[Any], step: int = 900) -> dict[str, Any]:
    starts = [UNIX + n * step for n in range(len(actual))]
    return {"unix_seconds": starts, "co2eq": actual, "co2eq_forecast": forecast}


def a_provider(replay: ReplayServer, answer: Any) -> Average:
    replay.give("/co2eq", answer)
    return Average(EnergyCharts(country="de", url=replay.url, egress=LOOPBACK))


class TestPoints:
    def test_are_actual_where_that_is_known(self, replay: ReplayServer):
        """Two arrays run in parallel; where the first has null the second stands in."""
        provider = a_provider(replay, an_answer([301.2, None], [300.1, 290.4]))

        assert [
            Point(TEN, TEN + QUARTER, 301_200, PointKind.ACTUAL, "EnergyCharts/de", None),
            Point(
                TEN + QUARTER,
                TEN + 2 * QUARTER,
                290_400,
                PointKind.ESTIMATE,
                "EnergyCharts/de",
                None,
            ),
        ] == provider.points(TEN, NOW)

    def test_are_not_of_the_future(self, replay: ReplayServer):
        """A forecast of later quarters is there, and is none of what was."""
        provider = a_provider(replay, an_answer([300, None, None], [300, 290, 280]))

        assert [300_000, 290_000] == [p.intensity for p in provider.points(TEN, NOW)]

    def test_have_gaps_where_there_is_no_value(self, replay: ReplayServer):
        """Neither of both."""
        provider = a_provider(replay, an_answer([None, 300], [None, None]))

        assert [300_000] == [p.intensity for p in provider.points(TEN, NOW)]

    def test_do_without_a_forecast(self, replay: ReplayServer):
        """Some countries have none."""
        answer = an_answer([300, 310], [])
        del answer["co2eq_forecast"]

        assert [300_000, 310_000] == [
            p.intensity for p in a_provider(replay, answer).points(TEN, NOW)
        ]

    def test_are_as_long_as_the_step(self, replay: ReplayServer):
        """Some countries have hours."""
        answer = an_answer([300], [None], step=3600)
        hourly = an_answer([300, None], [None, 290], step=3600)

        assert TEN + QUARTER == a_provider(replay, answer).points(TEN, NOW)[0].end
        assert TEN + 4 * QUARTER == a_provider(replay, hourly).points(TEN, NOW)[0].end

    def test_are_asked_for_by_local_days(self, replay: ReplayServer):
        """At half past ten at night the next day may have begun in the country."""
        provider = a_provider(replay, an_answer([], []))
        late = datetime(2024, 5, 1, 22, 30, tzinfo=UTC)

        assert [] == provider.points(late - timedelta(hours=24), late)
        assert {"country": "de", "start": "2024-04-30", "end": "2024-05-03"} == (
            replay.asked[0].query
        )

    def test_are_asked_for_no_more_than_the_service_allows(self, replay: ReplayServer):
        """Once in 15 minutes; the forecast is in the same answer."""
        provider = a_provider(replay, an_answer([300] * 4, [280] * 4))

        provider.points(TEN, NOW)
        provider.forecast(NOW)

        assert 1 == len(replay.asked)
        assert (900, 900) == (provider.cadence.poll, provider.cadence.rest)

    def test_are_not_asked_for_again_at_once(self, replay: ReplayServer):
        """A failure counts as a question there."""
        provider = a_provider(replay, Answer(b"", 503))

        with pytest.raises(SignalUnreachable):
            provider.points(TEN, NOW)

        assert 1 == len(replay.asked)


def test_forecast_is_what_is_ahead(replay: ReplayServer):
    """Of both arrays only the forecast counts, from the quarter under way on."""
    answer = an_answer([300] * 2 + [None] * 6, [1, *[280] * 3, *[200] * 4])

    forecast = a_provider(replay, answer).forecast(NOW)

    assert (280_000, 200_000) == forecast.values
    assert (TEN, NOW) == (forecast.start, forecast.issued)
    assert ("2024-05-01", "2024-05-03") == (
        replay.asked[0].query["start"],
        replay.asked[0].query["end"],
    )


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        an_answer([300], [300, 290]),
        an_answer([300], [300]) | {"unix_seconds": []},
        an_answer([300], [300]) | {"unix_seconds": [str(UNIX)]},
        an_answer([300], [300]) | {"unix_seconds": [10**18]},
        an_answer([300], [300]) | {"unix_seconds": [True]},
        an_answer([300, 300], [300, 300], step=0),
        an_answer([300, 300], [300, 300], step=-900),
        an_answer(["300"], [300]),
        an_answer([-1], [300]),
        an_answer([300], [5001]),
    ],
)
def test_answers_of_another_shape_are_refused(replay: ReplayServer, answer: Any):
    """Arrays of unequal length would shift every value."""
    with pytest.raises(SignalMalformed, match="of the same length"):
        a_provider(replay, answer).points(TEN, NOW)


def test_an_unknown_country_is_told_apart(replay: ReplayServer):
    """404 means that."""
    provider = a_provider(replay, Answer(b"{}", 404))

    with pytest.raises(SignalZoneUnknown, match="does not know country 'de'"):
        provider.points(TEN, NOW)


def test_too_many_questions_are_told_apart(replay: ReplayServer):
    """429, with the time for which to leave it alone."""
    provider = a_provider(replay, Answer(b"{}", 429, {"Retry-After": "900"}))

    with pytest.raises(SignalRateLimited) as caught:
        provider.points(TEN, NOW)

    assert 900 == caught.value.retry_after
