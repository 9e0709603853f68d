"""What every provider's readings have in common once they are points, and hourly means."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.readings import HORIZON_HOURS, Reading, hourly, overlapping

TEN = datetime(2024, 5, 1, 10, tzinfo=UTC)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


def quarters(*grams: float, start: datetime = TEN) -> list[Reading]:
    return [
        Reading(start + n * QUARTER, start + (n + 1) * QUARTER, g, PointKind.FORECAST)
        for n, g in enumerate(grams)
    ]


class TestOverlapping:
    def test_is_in_order_of_time(self):
        """Whatever order they came in."""
        readings = quarters(1, 2, 3)

        assert readings == overlapping(reversed(readings), TEN, TEN + HOUR)

    def test_is_what_touches_the_question(self):
        """What ends as the question begins is outside; what begins as it ends is in."""
        readings = quarters(1, 2, 3, 4)

        assert readings[1:3] == overlapping(readings, TEN + QUARTER, TEN + 2 * QUARTER)

    def test_keeps_the_later_of_two(self):
        """What came last is newer."""
        one, other = quarters(1)[0], quarters(2)[0]

        assert [other] == overlapping([one, other], TEN, TEN)


class TestHourly:
    def test_weighs_by_time(self):
        """A reading of half an hour counts twice as much as one of a quarter."""
        half = Reading(TEN, TEN + 2 * QUARTER, 100)

        assert (150_000,) == hourly([half, *quarters(200, 200, start=TEN + 2 * QUARTER)], TEN)

    def test_begins_with_the_hour_under_way(self):
        """Of which a part is enough: a forecast begins in it."""
        readings = quarters(300, *[100] * 4, start=TEN + 3 * QUARTER)

        assert (300_000, 100_000) == hourly(readings, TEN + 3 * QUARTER)

    def test_ends_with_the_first_hour_that_is_not_known(self):
        """A gap in the middle is no value; half an hour stands for the hour."""
        full, half, quarter = quarters(*[1] * 4), [2, 2], [3]

        assert (1000, 2000) == hourly([*full, *quarters(*half, start=TEN + HOUR)], TEN)
        assert (1000,) == hourly([*full, *quarters(*quarter, start=TEN + HOUR)], TEN)
        assert (1000,) == hourly([*full, *quarters(*[4] * 4, start=TEN + 2 * HOUR)], TEN)

    def test_is_nothing_of_nothing(self):
        """Nor of what is past."""
        assert () == hourly([], TEN)
        assert () == hourly(quarters(1, start=TEN - HOUR), TEN)

    def test_reaches_four_days_at_most(self):
        """Which is the longest that the status of a zone holds."""
        assert HORIZON_HOURS == len(hourly(quarters(*[1] * 500), TEN))

    @given(
        st.lists(
            st.tuples(st.integers(-8, 500), st.integers(1, 200), st.floats(0, 5000)), max_size=20
        )
    )
    def test_lies_between_its_readings(self, rows: list[tuple[int, int, float]]):
        """Whatever overlaps whatever, a mean is within the range of what it is made of."""
        readings = [Reading(TEN + n * QUARTER, TEN + (n + k) * QUARTER, g) for n, k, g in rows]

        means = hourly(readings, TEN + QUARTER)

        if means:
            low, high = min(r.grams for r in readings), max(r.grams for r in readings)
            assert all(1000 * low - 1 <= mean <= 1000 * high + 1 for mean in means)
