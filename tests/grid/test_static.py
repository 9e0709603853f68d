"""A source with one value."""

from datetime import UTC, datetime

from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.static import Static

CREATED = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    return CREATED.replace(hour=hour, minute=minute)


class TestStatic:
    def test_can_always_be_read(self):
        """There is nobody to ask and no key."""
        assert ("intensity, always the same",) == Static(300_000, CREATED).check().allowed

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
