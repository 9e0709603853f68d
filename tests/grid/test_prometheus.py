"""Prometheus against a server that replays answers of the shape its HTTP API documents."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.grid.errors import (
    SignalError,
    SignalMalformed,
    SignalMisconfigured,
    SignalUnreachable,
)
from carbonaware_operator.grid.prometheus import Prometheus
from carbonaware_operator.grid.readings import Average
from replay_server import LOOPBACK, Answer, ReplayServer

TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)
NOW = TEN + timedelta(minutes=7)
FIVE = timedelta(minutes=5)
UNIX = int(TEN.timestamp())
RANGE = "/api/v1/query_range"


def an_answer(*values: Any, series: int = 1) -> dict[str, Any]:
    samples = [[UNIX + 300 * n, value] for n, value in enumerate(values)]
    result = [{"metric": {"zone": str(n)}, "values": samples} for n in range(series)]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def a_provider(replay: ReplayServer, answer: Any) -> Average:
    replay.give(RANGE, answer)
    return Average(Prometheus(query='intensity{zone="DE"}', url=replay.url, egress=LOOPBACK))


class TestPoints:
    def test_are_numbers_that_came_as_strings(self, replay: ReplayServer):
        """Each is the value of five minutes."""
        points = a_provider(replay, an_answer("312.5", "3e2")).points(TEN, NOW)

        assert [312_500, 300_000] == [p.intensity for p in points]
        assert [(TEN, TEN + FIVE), (TEN + FIVE, TEN + 2 * FIVE)] == [
            (p.start, p.end) for p in points
        ]

    def test_have_gaps_where_the_query_has_no_number(self, replay: ReplayServer):
        """NaN is none."""
        points = a_provider(replay, an_answer("NaN", "300")).points(TEN, NOW)

        assert [300_000] == [p.intensity for p in points]

    def test_may_be_none(self, replay: ReplayServer):
        """A query without a series is answered with an empty list; so are stale samples."""
        assert [] == a_provider(replay, an_answer(series=0)).points(TEN, NOW)

    def test_are_not_of_the_future(self, replay: ReplayServer):
        """The server's clock may be ahead of ours."""
        points = a_provider(replay, an_answer("300", "310", "320")).points(TEN, NOW)

        assert [300_000, 310_000] == [p.intensity for p in points]

    def test_are_asked_for_at_full_five_minutes(self, replay: ReplayServer):
        """So that the same instant comes again with the same value."""
        a_provider(replay, an_answer()).points(TEN + timedelta(minutes=2), NOW)

        assert {
            "query": 'intensity{zone="DE"}',
            "start": str(UNIX),
            "end": f"{UNIX + 420}.000",
            "step": "300",
        } == replay.asked[0].query

    def test_are_of_thirty_days_at_most(self, replay: ReplayServer):
        """Prometheus refuses a question with more than 11000 samples."""
        a_provider(replay, an_answer()).points(NOW - timedelta(days=400), NOW)

        assert 30 * 86400 + 300 > NOW.timestamp() - int(replay.asked[0].query["start"])


def test_another_query_is_another_source():
    """Numbers of two queries are never mixed in one archive; the query itself is not shown."""
    made = {
        Prometheus(query=q, url=u, egress=LOOPBACK).source
        for q in ("a", "b")
        for u in ("http://x", "http://y")
    }

    assert 4 == len(made)


def test_there_is_no_forecast(replay: ReplayServer):
    """A query tells what was; nothing is asked."""
    assert a_provider(replay, {}).forecast(NOW) is None
    assert [] == replay.asked


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (an_answer("300", series=2), SignalMisconfigured),
        (Answer(b'{"status": "error", "errorType": "bad_data"}', 400), SignalMisconfigured),
        (Answer(b'{"status": "error", "errorType": "execution"}', 422), SignalMisconfigured),
        (Answer(b'{"status": "error", "errorType": "timeout"}', 503), SignalUnreachable),
        (an_answer("300") | {"status": "error"}, SignalMalformed),
        ({"status": "success", "data": {"resultType": "vector", "result": []}}, SignalMalformed),
        ({"status": "success", "data": {"resultType": "matrix", "result": 7}}, SignalMalformed),
        (
            {"status": "success", "data": {"resultType": "matrix", "result": [{"values": 7}]}},
            SignalMalformed,
        ),
        ([], SignalMalformed),
        (an_answer(300), SignalMalformed),
        (an_answer("+Inf"), SignalMalformed),
        (an_answer("-1"), SignalMalformed),
        (an_answer("much"), SignalMalformed),
    ],
)
def test_refusals_are_told_apart(replay: ReplayServer, answer: Any, error: type[SignalError]):
    """A query of several series is the user's to change; a number that is none is nobody's."""
    with pytest.raises(SignalError) as caught:
        a_provider(replay, answer).points(TEN, NOW)

    assert error is type(caught.value)
