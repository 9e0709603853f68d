"""All providers at once on a server of their own: an hour or two of the day of `grid_faults`."""

import asyncio

import pytest

from benchmarks import grid_faults
from carbonaware_operator.cluster.kube import CARBON_ZONES
from replay_server import ReplayServer


@pytest.mark.slow
def test_providers_that_fail_leave_no_zone_without_a_signal():
    """Nothing escapes, every zone can be decided on, and limits hold, whatever comes back."""
    result = grid_faults.run(hours=1.5, seed=2)

    assert [] == result.escaped
    assert {} == result.undecidable
    assert [] == result.wrong_kind
    assert {} == result.over_limit
    assert 10 <= sum(1 for count in result.faults.values() if count)


HORIZONS = {
    "electricity-maps": 72,
    "watt-time": 24,  # that of its accounting source
    "watt-time-average": 72,
    "uk": 48,
    "uk-region": 48,
    "energy-charts": 48,
    "sdk": 24,
    "prometheus": 0,
    "exporter": 24,
}


def test_what_providers_expect_reaches_the_status(replay: ReplayServer):
    """As hourly means from the hour under way on; a query of Prometheus expects nothing."""
    world = grid_faults.World(replay, share=0.0, seed=1)
    world.fill()
    asyncio.run(world.live(2))

    found = {}
    for name in world.store.records:
        status = world.kube.stored(CARBON_ZONES, None, name)["status"]
        forecast = status.get("forecast", {})
        found[name] = len(forecast.get("milligramsPerKWh", []))
        assert forecast.get("startTime", "2026-06-15T00:00:00Z") == "2026-06-15T00:00:00Z"
        assert 3600 == forecast.get("stepSeconds", 3600)
        assert "Average" == status["current"]["signal"]
        assert (name == "watt-time") == ("marginal" in status)
    assert HORIZONS == found
