"""A typical day is learnt from enough whole days, and from no less."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.archive import Archive
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.typical_day import typical_day

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)


def an_archive(
    hours: int, value: Callable[[int], int | None], period_seconds: int = 3600
) -> Archive:
    """So many hours from midnight on, each with its value in mgCO2e/kWh, None for a gap."""
    factors = EmissionFactors.DIRECT
    archive = Archive(source="s", factors=factors, period_seconds=period_seconds)
    for hour in range(hours):
        start, milligrams = MIDNIGHT + timedelta(hours=hour), value(hour)
        if milligrams is not None:
            end = start + timedelta(hours=1)
            archive.add([Point(start, end, milligrams, PointKind.ACTUAL, "s", factors)])
    return archive


def test_is_the_mean_of_each_hour():
    """Two weeks at 100 and two at 300 mg are 200 mg, plus what the hour adds."""
    day = typical_day(
        an_archive(28 * 24, lambda hour: (100 if hour < 14 * 24 else 300) + 10 * (hour % 24))
    )

    assert day is not None
    assert tuple(200 + 10 * hour for hour in range(24)) == day.hours
    assert 315 == day.mean
    assert MIDNIGHT + timedelta(days=28, hours=-1) == day.last
    assert EmissionFactors.DIRECT is day.factors


@pytest.mark.parametrize(("hours", "known"), [(0, False), (14 * 24 - 1, False), (14 * 24, True)])
def test_needs_two_weeks(hours: int, known: bool):
    """Of less, one windy week would pass for the habit of the zone."""
    assert known == (typical_day(an_archive(hours, lambda _: 100)) is not None)


def test_needs_every_hour_of_the_day():
    """A source that is off at night has no typical night."""
    archive = an_archive(30 * 24, lambda hour: None if hour % 24 == 3 else 100)

    assert typical_day(archive) is None


def test_takes_shorter_periods():
    """Quarters of an hour count for their hour."""
    day = typical_day(an_archive(14 * 24, lambda hour: 10 * (hour % 24), period_seconds=900))

    assert day is not None
    assert tuple(10 * hour for hour in range(24)) == day.hours


def test_scales_to_another_mean():
    """The shape stays; a day of zeros has none."""
    day = typical_day(an_archive(14 * 24, lambda hour: 100 if hour % 24 < 12 else 300))
    clean = typical_day(an_archive(14 * 24, lambda _: 0))

    assert day is not None
    assert clean is not None
    assert (50, 150) == (day.scaled(100, MIDNIGHT), day.scaled(100, MIDNIGHT.replace(hour=13)))
    assert 100 == clean.scaled(100, MIDNIGHT)
