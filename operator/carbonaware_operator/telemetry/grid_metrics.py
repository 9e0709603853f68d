"""Gauges of the grid: intensity, forecast and age by zone, read from the store at a scrape."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.zones import ZoneReading, ZoneStore

HORIZON_HOURS = (1, 3, 6, 12, 24)

_INTENSITY = "carbonaware_grid_intensity_grams_per_kilowatt_hour"
_FORECAST = "carbonaware_grid_forecast_intensity_grams_per_kilowatt_hour"
_ERROR = "carbonaware_grid_forecast_error_ratio"
_AGE = "carbonaware_grid_signal_age_seconds"
_FRESH = "carbonaware_grid_signal_fresh"
_PRICE = "carbonaware_grid_price_per_kilowatt_hour"
LABELS = {
    _INTENSITY: ("zone", "signal", "factors", "source"),
    _FORECAST: ("zone", "horizon_hours"),
    _ERROR: ("zone",),
    _AGE: ("zone",),
    _FRESH: ("zone",),
    _PRICE: ("zone", "currency", "source"),
}

Sample = tuple[tuple[str, ...], float]
"""Label values, in the order of `LABELS`, and the value."""


class GridCollector(Collector):
    """What is gone leaves no series behind, and what stands in names itself in `source`."""

    def __init__(self, zones: ZoneStore, now: Callable[[], Instant]) -> None:
        self._zones, self._now = zones, now

    def collect(self) -> Iterable[Metric]:
        """Intensity in effect, forecast and age of every zone."""
        now = self._now()
        yield self._family(
            _INTENSITY,
            "Grid intensity in effect, gCO2e/kWh; while no value of the zone is fresh, `source`"
            " begins with the level of the fallback",
            _intensities,
        )
        yield self._family(
            _FORECAST,
            "Average intensity that is forecast of so many hours from now, gCO2e/kWh",
            lambda zone, reading: _expected(zone, reading, now),
        )
        yield self._family(
            _ERROR,
            "Mean absolute error of forecasts of the last weeks, as a ratio of what came",
            _error,
        )
        yield self._family(
            _AGE,
            "Seconds since the start of the newest average value of the zone's source",
            lambda zone, reading: _age(zone, reading, now),
        )
        yield self._family(
            _FRESH,
            "1 while the zone's source has a value that can be decided on, 0 while it has none",
            _fresh,
        )
        yield self._prices()

    def _family(
        self, name: str, text: str, samples: Callable[[str, ZoneReading], Iterator[Sample]]
    ) -> Metric:
        family = GaugeMetricFamily(name, text, labels=LABELS[name])
        for zone, reading in self._zones.readings.items():
            for labels, value in samples(zone, reading):
                family.add_metric(labels, value)
        return family

    def _prices(self) -> Metric:
        family = GaugeMetricFamily(
            _PRICE,
            "Price of energy in effect, units of the currency per kWh; may be negative",
            labels=LABELS[_PRICE],
        )
        for zone, price in self._zones.prices.items():
            family.add_metric((zone, price.currency, price.source), price.micros_per_kwh / 1e6)
        return family


def _intensities(zone: str, reading: ZoneReading) -> Iterator[Sample]:
    if (point := reading.current) is not None:
        labels = (zone, "average", _factors(point.factors), point.source)
        yield labels, point.intensity / 1000
    if (fallback := reading.fallback) is not None:
        source = f"{fallback.level}: {fallback.origin}"
        labels = (zone, "average", _factors(fallback.factors), source)
        yield labels, fallback.intensity / 1000
    if (marginal := reading.marginal) is not None:
        labels = (zone, "marginal", _factors(marginal.factors), marginal.source)
        yield labels, marginal.intensity.marginal_milligrams_per_kwh / 1000


def _expected(zone: str, reading: ZoneReading, now: Instant) -> Iterator[Sample]:
    if (forecast := reading.forecast) is None:
        return
    for hours in HORIZON_HOURS:
        if (expected := forecast.at(now + timedelta(hours=hours))) is not None:
            yield (zone, str(hours)), expected / 1000


def _error(zone: str, reading: ZoneReading) -> Iterator[Sample]:
    if reading.forecast is not None and reading.forecast.error_percent is not None:
        yield (zone,), reading.forecast.error_percent / 100


def _age(zone: str, reading: ZoneReading, now: Instant) -> Iterator[Sample]:
    if reading.newest is not None:
        yield (zone,), (now - reading.newest.start).total_seconds()


def _fresh(zone: str, reading: ZoneReading) -> Iterator[Sample]:
    yield (zone,), float(reading.current is not None)


def _factors(factors: EmissionFactors | None) -> str:
    return factors.lower() if factors else "unknown"
