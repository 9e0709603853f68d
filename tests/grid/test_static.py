"""A source with one value, and the fallback of a zone."""

from datetime import UTC, datetime

from carbonaware_operator.api.zone import CarbonZoneSpec
from carbonaware_operator.grid.fallback import FallbackIntensity, fallback_intensity
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.static import Static

CREATED = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
SOURCE = {"type": "Static", "static": {"gramsPerKWh": 300}}


def at(hour: int, minute: int = 0) -> datetime:
    return CREATED.replace(hour=hour, minute=minute)


class TestStatic:
    def test_holds_to_the_end_of_the_hour(self):
        """It is one actual value up to the end of the hour that was asked for."""
        points = Static(300_000, CREATED).points(at(14, 10), at(15, 20))

        expected = Point(at(14, 10), at(16), 300_000, PointKind.ACTUAL, "Static", None)
        assert [expected] == points

    def test_begins_with_the_zone(self):
        """There is no value from before the zone was created."""
        static = Static(300_000, CREATED)

        assert [] == static.points(at(11), at(12, 29))
        assert CREATED == static.points(at(11), at(13))[0].start


class TestFallback:
    def test_is_what_the_zone_says(self):
        """The administrator's value comes first."""
        spec = CarbonZoneSpec.model_validate({"source": SOURCE, "fallbackGramsPerKWh": 381})

        expected = FallbackIntensity(381_000, "spec.fallbackGramsPerKWh")
        assert expected == fallback_intensity(spec)

    def test_is_the_mean_of_the_world_otherwise(self):
        """The value that nobody chose says its origin and year."""
        spec = CarbonZoneSpec.model_validate({"source": SOURCE})

        expected = FallbackIntensity(473_000, "world mean of 2024 (Ember)")
        assert expected == fallback_intensity(spec)
