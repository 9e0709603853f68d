"""Alignment to hours, gaps, and cutting: nothing may look ahead."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from carbonaware_operator.forecasting.prices import DayAheadPrices, published_until
from carbonaware_operator.forecasting.series import (
    aligned,
    filled,
    hourly,
    intensity,
    log_intensity,
)
from forecasting_builders import NEW_YEAR, a_history, with_prices

NAN = float("nan")


class TestHourly:
    def test_averages_what_falls_in_one_hour(self) -> None:
        """Half-hourly traces become hourly."""
        points = [(NEW_YEAR + timedelta(minutes=30 * i), float(v)) for i, v in enumerate((1, 3, 7))]

        start, values = hourly(points)

        assert (NEW_YEAR, [2.0, 7.0]) == (start, values.tolist())

    def test_shows_hours_without_a_value_as_gaps_and_cuts_those_at_the_ends(self) -> None:
        """A column may begin years after its file."""
        cells = [NAN, 1.0, NAN, 2.0, NAN]
        points = [(NEW_YEAR + timedelta(hours=i), v) for i, v in enumerate(cells)]

        start, values = hourly(points)

        assert NEW_YEAR + timedelta(hours=1) == start
        np.testing.assert_array_equal([1.0, NAN, 2.0], values)

    def test_refuses_a_series_without_values(self) -> None:
        """There is no first hour."""
        with pytest.raises(ValueError, match="at least one value"):
            hourly([(NEW_YEAR, NAN)])

    def test_aligned_leaves_out_what_is_before_the_start(self) -> None:
        """Prices may begin before the intensity does, or after."""
        points = [(NEW_YEAR + timedelta(hours=i), float(i)) for i in (-1, 1)]

        np.testing.assert_array_equal([NAN, 1.0], aligned(points, NEW_YEAR))
        assert 0 == len(aligned(points[:1], NEW_YEAR))


class TestFilled:
    def test_repeats_the_same_hour_of_the_day_before_through_long_gaps(self) -> None:
        """A gap of two days repeats the last known day twice."""
        values = np.concatenate([np.arange(24.0), np.full(48, NAN)])

        np.testing.assert_array_equal(np.tile(np.arange(24.0), 3), filled(values))

    def test_never_uses_what_comes_after_the_gap(self) -> None:
        """Else a forecast from within the gap would have looked ahead."""
        before = np.concatenate([np.arange(30.0), [NAN] * 6])

        np.testing.assert_array_equal(filled(before), filled(np.append(before, 999.0))[:36])

    def test_on_the_first_day_takes_the_hour_before(self) -> None:
        """There is no day before."""
        np.testing.assert_array_equal([5, 5, 5, 7], filled(np.array([NAN, 5, NAN, 7])))

    def test_makes_zeros_of_nothing(self) -> None:
        """Prices may be missing altogether."""
        assert [0.0, 0.0] == filled(np.array([NAN, NAN])).tolist()


class TestScale:
    def test_is_finite_and_exact_at_zero(self) -> None:
        """Grids of water and wind reach zero with direct factors."""
        values = np.array([0.0, 1.0, 5_000_000.0])

        np.testing.assert_allclose(values, intensity(log_intensity(values)), atol=1e-6)


class TestUntil:
    def test_cuts_values_and_unpublished_prices(self) -> None:
        """At noon only today's prices are known, from 13:00 on tomorrow's."""
        history = with_prices(a_history(10), np.ones(240))

        known = [history.until(hours).prices for hours in (60, 61)]

        assert [72, 96] == [len(prices.values) for prices in known if prices]
        assert 60 == history.until(60).hours

    @pytest.mark.parametrize(
        ("zone", "now", "end"),
        [
            ("America/Los_Angeles", "2024-01-01T00:00", "2024-01-02T08:00"),
            ("America/Los_Angeles", "2024-01-01T20:59", "2024-01-02T08:00"),
            ("America/Los_Angeles", "2024-01-01T21:00", "2024-01-03T08:00"),
            ("Europe/Berlin", "2024-01-01T00:00", "2024-01-01T23:00"),
            ("Europe/Berlin", "2024-03-30T12:00", "2024-03-31T22:00"),  # the day of 23 hours
        ],
    )
    def test_prices_are_published_by_local_days(self, zone: str, now: str, end: str) -> None:
        """What is tomorrow, and when it is 13:00, depends on where the market is."""
        instants = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, end)]

        assert instants[1] == published_until(instants[0], ZoneInfo(zone))

    def test_prices_that_begin_later_are_none_yet(self) -> None:
        """A cut before the start of the prices leaves an empty array."""
        prices = DayAheadPrices(NEW_YEAR + timedelta(days=9), np.ones(24), UTC)

        assert 0 == len(prices.known_at(NEW_YEAR).values)
