"""What stands in for a missing value: the first step that has one, and who says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.api.zone import CarbonZoneSpec, FallbackLevel
from carbonaware_operator.grid.fallback import FallbackIntensity, Known, fallback_intensity
from carbonaware_operator.grid.fallback_table import FallbackTable, YearlyMean
from carbonaware_operator.grid.points import Forecast
from carbonaware_operator.grid.typical_day import TypicalDay

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATIC = {"type": "Static", "static": {"gramsPerKWh": 300}}
TABLE = FallbackTable(
    zones={
        "XA-ONE": YearlyMean(200_000, 2025, "Maps"),
        "XB-TWO": YearlyMean(250_000, 2025, "Maps"),
    },
    countries={
        "XA": YearlyMean(400_000, 2024, "Statistics"),
        "WORLD": YearlyMean(473_000, 2024, "Statistics"),
    },
    regions={"xb-central1": "XB-TWO"},
)
FORECAST = Forecast(NOON - HOUR, NOON - HOUR, HOUR, (90_000, 100_000), "ElectricityMaps/DE")
FLAT = TypicalDay((150_000,) * 24, NOON - HOUR)


def keyed(zone: str) -> dict[str, Any]:
    """A source that is asked for a zone by the key of Electricity Maps."""
    secret = {"name": "em", "key": "token"}
    return {
        "type": "ElectricityMaps",
        "electricityMaps": {"zone": zone, "secretRef": secret},
    }


def a_spec(source: dict[str, Any] | None = None, **fields: Any) -> CarbonZoneSpec:
    """The spec of a zone whose source tells nothing of where it is, unless given."""
    return CarbonZoneSpec.model_validate({"source": source or STATIC, **fields})


def fallback(spec: CarbonZoneSpec, known: Known | None = None) -> FallbackIntensity:
    """What stands in at noon."""
    return fallback_intensity(spec, known or Known("lab"), NOON, TABLE)


class TestSteps:
    def test_forecast_of_now(self):
        """What was expected of this hour is closer than any mean."""
        found = fallback(a_spec(), Known("lab", forecast=FORECAST))

        expected = FallbackIntensity(
            100_000, FallbackLevel.FORECAST, "forecast of ElectricityMaps/DE"
        )
        assert expected == found

    def test_forecast_that_has_run_out_is_none(self):
        """It says nothing of now."""
        late = replace(FORECAST, start=NOON - 3 * HOUR)

        assert FallbackLevel.WORLD is fallback(a_spec(), Known("lab", forecast=late)).level

    def test_value_that_the_zone_declares(self):
        """The administrator knows better than a table."""
        found = fallback(a_spec(keyed("XA-ONE"), fallbackGramsPerKWh=381))

        assert (
            FallbackIntensity(381_000, FallbackLevel.DECLARED, "spec.fallbackGramsPerKWh") == found
        )

    @pytest.mark.parametrize("name", ["lab", "xb-two"])
    def test_mean_of_the_zone_that_its_source_is_asked_for(self, name: str):
        """Whatever the object is called."""
        found = fallback(a_spec(keyed("XA-ONE")), Known(name))

        assert "Maps, zone XA-ONE, 2025" == found.origin
        assert (200_000, FallbackLevel.ZONE) == (found.intensity, found.level)
        assert EmissionFactors.LIFECYCLE is found.factors

    def test_mean_of_the_zone_that_it_is_named_after(self):
        """A recording or a query does not say where it is from; `xa-one` does."""
        assert "Maps, zone XA-ONE, 2025" == fallback(a_spec(), Known("xa-one")).origin

    def test_name_that_only_begins_like_a_country_is_no_zone(self):
        """`xa-lab` may be anything."""
        assert FallbackLevel.WORLD is fallback(a_spec(), Known("xa-lab")).level

    def test_mean_of_its_archive(self):
        """A zone that no table knows has its own history."""
        found = fallback(a_spec(), Known("lab", day=FLAT))

        assert "the zone's archive, 2026, on the zone's typical day" == found.origin
        assert (150_000, FallbackLevel.HISTORY) == (found.intensity, found.level)

    @pytest.mark.parametrize(
        "spec",
        [
            a_spec(regions=["nowhere-1", "xb-central1"]),
            a_spec({
                "type": "CarbonAwareSDK",
                "carbonAwareSDK": {
                    "location": "xb-central1", "url": "http://sdk", "signal": "Average"},
            }),
        ],
        ids=["regions of the spec", "location of the Carbon Aware SDK"],
    )  # fmt: skip
    def test_mean_of_a_cloud_region(self, spec: CarbonZoneSpec):
        """The first region that the table knows."""
        found = fallback(spec)

        assert "Maps, zone XB-TWO of region xb-central1, 2025" == found.origin
        assert (250_000, FallbackLevel.CLOUD_REGION) == (found.intensity, found.level)

    def test_mean_of_its_country(self):
        """A zone that the table does not know lies in a country that it does."""
        found = fallback(a_spec(keyed("XA-NEW")))

        assert "Statistics, country XA, 2024" == found.origin
        assert (400_000, FallbackLevel.COUNTRY) == (found.intensity, found.level)

    def test_mean_of_the_world(self):
        """There is always a value, and it says how little it knows."""
        found = fallback(a_spec(keyed("ZZ-ZZ")))

        assert "Statistics, world, 2024" == found.origin
        assert (473_000, FallbackLevel.WORLD) == (found.intensity, found.level)


class TestTypicalDay:
    def test_bends_a_mean_to_the_hour(self):
        """Noon at a sixth of the mean stays a sixth of it, whatever the mean is."""
        day = TypicalDay((310_000,) * 12 + (50_000,) + (300_000,) * 11, NOON)

        found = fallback(a_spec(keyed("XA-ONE")), Known("lab", day=day))

        assert round(200_000 * 50_000 / day.mean) == found.intensity
        assert found.typical_day
        assert "Maps, zone XA-ONE, 2025, on the zone's typical day" == found.origin


STEPS = {
    FallbackLevel.FORECAST: lambda spec, known: (spec, replace(known, forecast=FORECAST)),
    FallbackLevel.DECLARED: lambda spec, known: (
        spec.model_copy(update={"fallback_grams_per_kwh": 381}), known),
    FallbackLevel.ZONE: lambda spec, known: (spec, replace(known, name="xa-one")),
    FallbackLevel.HISTORY: lambda spec, known: (spec, replace(known, day=FLAT)),
    FallbackLevel.CLOUD_REGION: lambda spec, known: (
        spec.model_copy(update={"regions": ["xb-central1"]}), known),
    FallbackLevel.COUNTRY: lambda spec, known: (
        spec.model_copy(update={"source": a_spec(keyed("XA-NEW")).source}), known),
}  # fmt: skip
"""How a zone gets each step; the order is that of the ladder, and the world is always there."""


@given(available=st.sets(st.sampled_from(list(STEPS))))
def test_the_first_step_that_is_there_wins_and_says_so(available: set[FallbackLevel]):
    """For any combination of steps."""
    spec, known = a_spec(), Known("lab")
    for level in available:
        spec, known = STEPS[level](spec, known)

    found = fallback(spec, known)

    first = next((level for level in STEPS if level in available), FallbackLevel.WORLD)
    assert first is found.level
    assert found.source
    assert (found.year is None) == (first in (FallbackLevel.FORECAST, FallbackLevel.DECLARED))
