"""The intensity to decide with when a zone has no fresh value: the first step that has one.

1. what was forecast of now;
2. `fallbackGramsPerKWh` of the zone;
3. the yearly mean of the zone;
4. the mean of its archive, where that knows enough days;
5. the yearly mean of a cloud region in it;
6. the yearly mean of its country;
7. the yearly mean of the world.

Steps 2 to 7 follow the zone's own typical day, where its archive knows enough days. Pure: what
stands in is a function of its arguments, and says who it is from and of which year.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.api.zone import CarbonZoneSpec, FallbackLevel
from carbonaware_operator.grid.fallback_table import FallbackTable, YearlyMean, built_in
from carbonaware_operator.grid.points import Forecast
from carbonaware_operator.grid.typical_day import TypicalDay
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant


@dataclass(frozen=True, slots=True)
class FallbackIntensity:
    """An average intensity that stands in, and where it is from.

    source: who says so, and of what; year: of which year it is a mean; factors: which emissions
    are counted, None where that is not known; typical_day: whether it is that of this hour on the
    zone's typical day, or the mean itself.
    """

    intensity: MilligramsPerKWh
    level: FallbackLevel
    source: str
    year: int | None = None
    factors: EmissionFactors | None = None
    typical_day: bool = False

    @property
    def origin(self) -> str:
        """Source, year and typical day in one phrase."""
        year = f", {self.year}" if self.year else ""
        return self.source + year + (", on the zone's typical day" if self.typical_day else "")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a zone besides its spec: its name, a forecast and its typical day."""

    name: str
    forecast: Forecast | None = None
    day: TypicalDay | None = None


def fallback_intensity(
    spec: CarbonZoneSpec, known: Known, now: Instant, table: FallbackTable | None = None
) -> FallbackIntensity:
    """The first step of the ladder that has a value.

    table: the built-in one unless given.
    """
    if known.forecast and (expected := known.forecast.at(now)) is not None:
        source = f"forecast of {known.forecast.source}"
        return FallbackIntensity(expected, FallbackLevel.FORECAST, source)
    mean = next(_means(spec, known, table or built_in()))
    if known.day is None:
        return mean
    return replace(mean, intensity=known.day.scaled(mean.intensity, now), typical_day=True)


def zone_keys(spec: CarbonZoneSpec, name: str, table: FallbackTable) -> list[str]:
    """Zone keys of Electricity Maps that the zone goes by, the surest first.

    What its sources are asked for; then its own name, when that is such a key in small letters.
    """
    keys = []
    for source in (spec.source, spec.accounting_source):
        if source and source.electricity_maps:
            keys.append(source.electricity_maps.zone)
        if source and source.energy_charts:
            keys.append(source.energy_charts.country.upper())
        if source and source.uk_carbon_intensity:
            keys.append("GB")
    named = name.upper()
    return keys + ([named] if named in table.zones else [])


def _means(spec: CarbonZoneSpec, known: Known, table: FallbackTable) -> Iterator[FallbackIntensity]:
    """Every step from `fallbackGramsPerKWh` on that has a value; the last one always has."""
    if spec.fallback_grams_per_kwh is not None:
        declared = milligrams_per_kwh(spec.fallback_grams_per_kwh)
        yield FallbackIntensity(declared, FallbackLevel.DECLARED, "spec.fallbackGramsPerKWh")
    keys = zone_keys(spec, known.name, table)
    for key in keys:
        if mean := table.zone(key):
            yield _of(mean, FallbackLevel.ZONE, f"zone {key}")
    if known.day:
        day = known.day
        archive, year = "the zone's archive", day.last.year
        yield FallbackIntensity(day.mean, FallbackLevel.HISTORY, archive, year, day.factors)
    for region in _regions(spec):
        lies_in = table.regions.get(region)
        if lies_in and (mean := table.zone(lies_in)):
            keys.append(lies_in)
            yield _of(mean, FallbackLevel.CLOUD_REGION, f"zone {lies_in} of region {region}")
    for key in keys:
        if mean := table.country(key):
            yield _of(mean, FallbackLevel.COUNTRY, f"country {key.partition('-')[0]}")
    yield _of(table.world, FallbackLevel.WORLD, "world")


def _regions(spec: CarbonZoneSpec) -> list[str]:
    """What may be names of cloud regions; locations of the Carbon Aware SDK mostly are."""
    sources = (spec.source, spec.accounting_source)
    locations = [s.carbon_aware_sdk.location for s in sources if s and s.carbon_aware_sdk]
    return [*(spec.regions or []), *locations]


def _of(mean: YearlyMean, level: FallbackLevel, what: str) -> FallbackIntensity:
    source = f"{mean.source}, {what}"
    return FallbackIntensity(mean.intensity, level, source, mean.year, EmissionFactors.LIFECYCLE)
