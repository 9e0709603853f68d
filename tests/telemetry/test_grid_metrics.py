"""The gauges of the grid: each number with its kind, its factors and who says so."""

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from builders import NOON, hours
from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.api.zone import FallbackLevel
from carbonaware_operator.grid.fallback import FallbackIntensity
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point, PointKind
from carbonaware_operator.grid.tariff import Price
from carbonaware_operator.quantities.emissions import MarginalIntensity
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneReading, ZoneStore
from carbonaware_operator.telemetry.grid_metrics import GridCollector
from carbonaware_operator.telemetry.metrics import OperatorMetrics

INTENSITY = "carbonaware_grid_intensity_grams_per_kilowatt_hour"
FORECAST = "carbonaware_grid_forecast_intensity_grams_per_kilowatt_hour"
FRESH = "carbonaware_grid_signal_fresh"
AGE = "carbonaware_grid_signal_age_seconds"
POINT = Point(
    NOON, NOON + hours(1), 123_456, PointKind.ACTUAL, "ElectricityMaps/DE", EmissionFactors.DIRECT
)
NOTHING = ZoneReading(newest=None, current=None, marginal=None, forecast=None, fallback=None)


class Meter:
    """The collector over a store, half an hour past noon."""

    def __init__(self) -> None:
        self.zones, self.registry = ZoneStore(), CollectorRegistry()
        self.registry.register(GridCollector(self.zones, lambda: NOON + hours(0.5)))

    def show(self, **fields: object) -> None:
        """What is known of zone de."""
        known = {name: getattr(NOTHING, name) for name in ZoneReading.__slots__} | fields
        self.zones.readings["de"] = ZoneReading(**known)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample of zone de, None when there is no such series."""
        return self.registry.get_sample_value(name, {"zone": "de", **labels})


@pytest.fixture
def meter() -> Meter:
    """A collector over an empty store."""
    return Meter()


class TestIntensity:
    def test_is_in_grams_with_kind_factors_and_source(self, meter: Meter):
        """Numbers of different kinds are never mixed."""
        meter.show(newest=POINT, current=POINT)

        labels = {"signal": "average", "factors": "direct", "source": "ElectricityMaps/DE"}
        assert 123.456 == meter.value(INTENSITY, **labels)

    def test_of_a_fallback_says_its_level_and_year(self, meter: Meter):
        """A stale value does not look like a present one, nor a mean like a value."""
        fallback = FallbackIntensity(342_000, FallbackLevel.ZONE, "Electricity Maps, zone DE", 2025)
        meter.show(newest=POINT, fallback=fallback)

        source = "Zone: Electricity Maps, zone DE, 2025"
        assert 342 == meter.value(INTENSITY, signal="average", factors="unknown", source=source)
        assert 1 == generate_latest(meter.registry).count(INTENSITY.encode() + b"{")

    def test_of_both_kinds_are_two_series(self, meter: Meter):
        """The marginal one is another signal, not another value of the same."""
        marginal = MarginalPoint(
            NOON, NOON + hours(1), MarginalIntensity(812_000), PointKind.ACTUAL, "WattTime/X", None
        )
        meter.show(current=POINT, marginal=marginal)

        assert 812 == meter.value(
            INTENSITY, signal="marginal", factors="unknown", source="WattTime/X"
        )
        assert 2 == generate_latest(meter.registry).count(INTENSITY.encode() + b"{")


class TestForecast:
    def test_is_read_at_each_horizon(self, meter: Meter):
        """Half past noon and an hour is in the second hour; what is beyond has no series."""
        values = tuple(100_000 + 1000 * hour for hour in range(7))
        meter.show(forecast=Forecast(NOON, NOON, timedelta(hours=1), values, "x"))

        found = [meter.value(FORECAST, horizon_hours=h) for h in ("1", "3", "6", "12", "24")]

        assert [101, 103, 106, None, None] == found


class TestAge:
    def test_is_that_of_the_last_value_however_old(self, meter: Meter):
        """It goes on growing while a fallback stands in."""
        meter.show(newest=POINT)

        assert 1800 == meter.value(AGE)

    def test_of_no_value_is_no_series(self, meter: Meter):
        """Not knowing is not zero."""
        meter.show()

        assert meter.value(AGE) is None


class TestFreshness:
    def test_is_whether_the_source_has_a_value_to_decide_on(self, meter: Meter):
        """An old value or a fallback decides as well, but is no news of the grid."""
        meter.show(newest=POINT, current=POINT)
        fresh = meter.value(FRESH)
        meter.show(newest=POINT, fallback=FallbackIntensity(1, FallbackLevel.ZONE, "x"))

        assert (1, 0) == (fresh, meter.value(FRESH))


def test_a_price_is_in_units_of_its_currency(meter: Meter):
    """It may be below zero."""
    meter.zones.prices["de"] = Price(-84_100, "EUR", "EnergyCharts/DE-LU")

    labels = {"currency": "EUR", "source": "EnergyCharts/DE-LU"}
    assert -0.0841 == meter.value("carbonaware_grid_price_per_kilowatt_hour", **labels)


def test_questions_to_providers_are_counted_by_result():
    """With how long they took."""
    metrics = OperatorMetrics(JobStore(), ZoneStore(), "1")
    metrics.provider_asked("WattTime", "RateLimited", 0.2)

    labels = {"provider": "WattTime", "result": "RateLimited"}
    value = metrics.registry.get_sample_value
    assert 1 == value("carbonaware_provider_requests_total", labels)
    assert 0.2 == value("carbonaware_provider_request_duration_seconds_sum", labels)
