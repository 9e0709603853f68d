"""Day-ahead prices of Energy-Charts against a server that replays its documented shape."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonaware_operator.grid import endpoint
from carbonaware_operator.grid.day_ahead import DayAhead
from carbonaware_operator.grid.errors import SignalMalformed, SignalMisconfigured, SignalZoneUnknown
from carbonaware_operator.grid.tariff import MarketPrice, MarketPrices
from replay_server import LOOPBACK, Answer, ReplayServer

TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def an_answer(*prices: Any, unit: object = "EUR / MWh") -> dict[str, Any]:
    return {
        "license_info": "CC BY 4.0",
        "unix_seconds": [int(TEN.timestamp()) + 3600 * n for n in range(len(prices))],
        "price": list(prices),
        "unit": unit,
    }


def a_market(replay: ReplayServer, answer: Any) -> DayAhead:
    replay.give("/price", answer)
    return DayAhead(bidding_zone="DE-LU", currency="EUR", url=replay.url, egress=LOOPBACK)


def test_prices_are_of_a_kilowatt_hour(replay: ReplayServer):
    """84.1 EUR/MWh are 84100 millionths of a euro per kWh; nulls are gaps; some are below zero."""
    market = a_market(replay, an_answer(84.1, None, -0.01)).prices(TEN)

    found = [market.at(TEN + n * HOUR) for n in range(4)]
    assert [84_100, None, -10, None] == [p.micros_per_kwh if p else None for p in found]
    assert ("EUR", "EnergyCharts/DE-LU") == (found[0].currency, found[0].source)
    assert {"bzn": "DE-LU", "start": "2024-05-01", "end": "2024-05-03"} == replay.asked[0].query


def test_the_past_is_that_of_an_archive(replay: ReplayServer):
    """400 days: what is known of the intensity has a price beside it."""
    a_market(replay, an_answer(84.1)).past(TEN)

    assert {"bzn": "DE-LU", "start": "2023-03-28", "end": "2024-05-01"} == replay.asked[0].query


def test_newer_prices_stand_in_for_what_was_told_of_their_hours(replay: ReplayServer):
    """An hour has one price, the one that was told last."""
    old = a_market(replay, an_answer(1, 2, 3)).prices(TEN)
    new = MarketPrices(old.currency, old.source, (MarketPrice(TEN + HOUR, TEN + 2 * HOUR, 7_000),))

    assert [1_000, 7_000] == [price.micros_per_kwh for price in old.then(new).prices]
    assert old == old.then(MarketPrices(old.currency, old.source, ()))


def test_another_currency_is_refused(replay: ReplayServer):
    """A price in another currency would be off by a factor that nobody sees."""
    with pytest.raises(SignalMisconfigured, match=r"`tariff.currency` must be that of"):
        a_market(replay, an_answer(84.1, unit="PLN / MWh")).prices(TEN)


def test_an_unknown_bidding_zone_is_told_apart(replay: ReplayServer):
    """404 means that."""
    with pytest.raises(SignalZoneUnknown, match="bidding zone 'DE-LU'"):
        a_market(replay, Answer(b"{}", 404)).prices(TEN)


@pytest.mark.parametrize(
    "answer",
    [
        [],
        an_answer(84.1, unit="EUR / kWh"),
        an_answer(84.1, unit=None),
        an_answer("84.1"),
        an_answer(True),
        an_answer(1e7),
        an_answer(84.1) | {"price": []},
        an_answer(84.1) | {"unix_seconds": ["1"]},
    ],
)
def test_answers_of_another_shape_are_refused(replay: ReplayServer, answer: Any):
    """Another unit is another shape."""
    with pytest.raises(SignalMalformed):
        a_market(replay, answer).prices(TEN)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(answer=st.fixed_dictionaries({"unix_seconds": ANY, "price": ANY, "unit": ANY}))
def test_any_answer_is_prices_or_an_error(answer: Any, monkeypatch: pytest.MonkeyPatch):
    """Whatever JSON comes, nothing but a SignalError leaves it."""
    monkeypatch.setattr(endpoint.Endpoint, "_get", lambda *_: json.dumps(answer).encode())
    market = DayAhead(
        bidding_zone="DE-LU", currency="EUR", url="http://127.0.0.1:9", egress=LOOPBACK
    )

    try:
        market.prices(TEN)
    except (SignalMalformed, SignalMisconfigured):
        return
