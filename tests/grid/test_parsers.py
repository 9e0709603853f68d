"""Every parser with arbitrary JSON: points or a SignalError, and never another exception."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carbonaware_operator.grid import endpoint
from carbonaware_operator.grid.carbon_aware_sdk import CarbonAwareSDK
from carbonaware_operator.grid.electricity_maps import ElectricityMaps
from carbonaware_operator.grid.energy_charts import EnergyCharts
from carbonaware_operator.grid.errors import SignalMalformed, SignalMisconfigured, SignalZoneUnknown
from carbonaware_operator.grid.exporter import ExporterConfigMap
from carbonaware_operator.grid.prometheus import Prometheus
from carbonaware_operator.grid.readings import Api, Average, Marginal
from carbonaware_operator.grid.uk_carbon_intensity import UKCarbonIntensity
from carbonaware_operator.grid.watt_time import WattTime
from replay_server import LOOPBACK

NOW = datetime(2024, 5, 1, 10, 25, tzinfo=UTC)
URL = "http://127.0.0.1:9"

APIS: dict[str, Callable[[], Api]] = {
    "ElectricityMaps": lambda: ElectricityMaps(zone="DE", key="k", url=URL, egress=LOOPBACK),
    "WattTime": lambda: WattTime(region="DE", username="u", password="p", url=URL, egress=LOOPBACK),
    "UKCarbonIntensity": lambda: UKCarbonIntensity(url=URL, egress=LOOPBACK),
    "UKCarbonIntensity of a region": lambda: UKCarbonIntensity(
        region_id=1, url=URL, egress=LOOPBACK
    ),
    "EnergyCharts": lambda: EnergyCharts(country="de", url=URL, egress=LOOPBACK),
    "CarbonAwareSDK": lambda: CarbonAwareSDK(location="DE", url=URL, egress=LOOPBACK),
    "Prometheus": lambda: Prometheus(query="x", url=URL, egress=LOOPBACK),
}

# fmt: off
WORDS = st.sampled_from([
    "DE", "lifecycle", "success", "matrix", "lbs_co2_per_mwh", "co2_moer", "312.5", "NaN",
    "1e999", "2024-05-01T10:00:00Z", "2024-05-01T10:30Z", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00Z",
])
KEYS = st.sampled_from([
    "zone", "carbonIntensity", "datetime", "history", "forecast", "updatedAt", "isEstimated",
    "token", "data", "meta", "region", "signal_type", "units", "data_point_period_seconds",
    "point_time", "value", "generated_at", "from", "to", "intensity", "actual", "regionid",
    "unix_seconds", "co2eq", "co2eq_forecast", "price", "unit", "location", "time", "rating",
    "generatedAt", "forecastData", "timestamp", "duration", "status", "resultType", "result",
    "values", "emissionFactorType",
])
# fmt: on
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([0, 1, 300, 1714557600, 302.5])
    | WORDS
    | st.text(max_size=5)
)
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=30,
)


SHAPES: dict[str, Any] = {
    "ElectricityMaps": {
        "zone": "DE",
        "datetime": "2024-05-01T10:00:00Z",
        "carbonIntensity": 302,
        "history": [{"datetime": "2024-05-01T09:00:00Z", "carbonIntensity": 302}],
        "forecast": [{"datetime": "2024-05-01T11:00:00Z", "carbonIntensity": 302}],
        "updatedAt": "2024-05-01T10:00:00Z",
    },
    "WattTime": {
        "token": "t",
        "data": [{"point_time": "2024-05-01T10:00:00Z", "value": 1.5}],
        "meta": {
            "region": "DE",
            "signal_type": "co2_moer",
            "units": "lbs_co2_per_mwh",
            "data_point_period_seconds": 300,
            "generated_at": "2024-05-01T10:00:00Z",
        },
    },
    "UKCarbonIntensity": {
        "data": [
            {
                "from": "2024-05-01T10:00Z",
                "to": "2024-05-01T10:30Z",
                "intensity": {"forecast": 1, "actual": None},
            }
        ]
    },
    "UKCarbonIntensity of a region": {
        "data": [
            {
                "regionid": 1,
                "data": [
                    {
                        "from": "2024-05-01T10:00Z",
                        "to": "2024-05-01T10:30Z",
                        "intensity": {"forecast": 1},
                    }
                ],
            }
        ]
    },
    "EnergyCharts": {
        "unix_seconds": [1714557600, 1714558500],
        "co2eq": [1, None],
        "co2eq_forecast": [1, 2],
    },
    "CarbonAwareSDK": [
        {
            "location": "DE",
            "time": "2024-05-01T10:00Z",
            "rating": 1,
            "generatedAt": "2024-05-01T10:00Z",
            "forecastData": [{"timestamp": "2024-05-01T10:00Z", "duration": 5, "value": 1.5}],
        }
    ],
    "Prometheus": {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"values": [[1714557600, "1.5"]]}]},
    },
}
"""One answer that every question of the provider is content with."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in an answer."""
    found = [path]
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        found += places(value[key], (*path, key))
    return found


def spoiled(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """The answer with something else at one place."""
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = spoiled(value[path[0]], path[1:], by)
    return copy


def use(name: str, answer: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Ask everything there is to ask; the number of points that came."""
    body = json.dumps(answer).encode()
    monkeypatch.setattr(endpoint.Endpoint, "_get", lambda *_: body)
    found = 0
    for kind in (Average, Marginal):
        provider = kind(APIS[name]())
        try:
            found += len(provider.points(NOW - timedelta(hours=30), NOW))
        except (SignalMalformed, SignalZoneUnknown, SignalMisconfigured):
            found -= 1
    try:
        forecast = Average(APIS[name]()).forecast(NOW)
        assert forecast is None or forecast.values
    except (SignalMalformed, SignalZoneUnknown, SignalMisconfigured):
        pass
    return found


LENIENT = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", APIS)
def test_the_answer_to_spoil_is_a_good_one(name: str, monkeypatch: pytest.MonkeyPatch):
    """Or nothing would be proved by spoiling it."""
    assert 0 < use(name, SHAPES[name], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", APIS)
@LENIENT
@given(answer=ANY_JSON)
def test_any_answer_is_points_or_an_error(name: str, answer: Any, monkeypatch: pytest.MonkeyPatch):
    """Whatever JSON comes, nothing but a SignalError leaves a provider."""
    use(name, answer, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", APIS)
@LENIENT
@given(choices=st.data())
def test_an_answer_with_one_fault_is_points_or_an_error(
    name: str, choices: st.DataObject, monkeypatch: pytest.MonkeyPatch
):
    """The faults that matter are those in an answer that is otherwise good."""
    path = choices.draw(st.sampled_from(places(SHAPES[name])))
    use(name, spoiled(SHAPES[name], path, choices.draw(ANY_JSON)), monkeypatch)


@pytest.mark.slow
@LENIENT
@given(rows=ANY_JSON, issued=st.none() | st.text() | WORDS)
def test_any_config_map_is_points_or_an_error(rows: Any, issued: str | None):
    """The exporter's ConfigMap is somebody else's as well."""
    texts = {"data": json.dumps(rows)} | ({"forecastDateTime": issued} if issued else {})
    try:
        provider = Average(ExporterConfigMap(texts=texts))
    except (SignalMalformed, SignalZoneUnknown):
        return
    provider.points(NOW - timedelta(hours=30), NOW)
    provider.forecast(NOW)
