"""The history of a zone: means by period, whatever the order in which values arrive."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.archive import (
    MAX_PERIODS,
    Archive,
    ArchiveError,
    PeriodIntensity,
)
from carbonaware_operator.grid.points import Point, PointKind

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOURCE = "ElectricityMaps/DE"
ACTUAL, ESTIMATE = PointKind.ACTUAL, PointKind.ESTIMATE


def an_archive(*points: Point, seconds: int = 3600) -> Archive:
    archive = Archive(source=SOURCE, factors=EmissionFactors.LIFECYCLE, period_seconds=seconds)
    archive.add(points)
    return archive


def a_point(
    start: float, end: float, milligrams: int, kind: PointKind = ACTUAL, source: str = SOURCE
) -> Point:
    """Minutes after noon."""
    begin, until = (NOON + timedelta(minutes=minute) for minute in (start, end))
    return Point(begin, until, milligrams, kind, source, EmissionFactors.LIFECYCLE)


def actual(milligrams: int) -> PeriodIntensity:
    return PeriodIntensity(milligrams, estimated=False)


def estimated(milligrams: int) -> PeriodIntensity:
    return PeriodIntensity(milligrams, estimated=True)


class TestMean:
    def test_is_weighted_by_time(self):
        """A value counts for as long as it held."""
        archive = an_archive(a_point(0, 15, 400), a_point(15, 60, 200))

        assert actual(250) == archive.mean(NOON)

    def test_divides_a_value_that_spans_periods(self):
        """A stretch belongs to each period by the part that lies in it."""
        archive = an_archive(a_point(-30, 30, 400), a_point(30, 90, 200))

        assert estimated(400) == archive.mean(NOON - HOUR)
        assert actual(300) == archive.mean(NOON)
        assert estimated(200) == archive.mean(NOON + HOUR)

    def test_rounds_half_up_once(self):
        """The mean is rounded once, after everything is added."""
        assert actual(2) == an_archive(a_point(0, 30, 1), a_point(30, 60, 2)).mean(NOON)

    def test_of_a_period_known_in_part_is_an_estimate(self):
        """The open period, and one with a gap, answer with the mean of what is known."""
        archive = an_archive(a_point(0, 10, 100), a_point(20, 30, 300))

        assert estimated(200) == archive.mean(NOON)

    def test_of_an_unknown_period_is_nothing(self):
        """Absent is not zero: neither in a gap nor outside of the archive."""
        archive = an_archive(a_point(0, 60, 100), a_point(120, 180, 0))

        assert [actual(100), None, actual(0)] == [archive.mean(NOON + n * HOUR) for n in range(3)]
        assert archive.mean(NOON - HOUR) is None

    def test_that_rests_on_an_estimate_says_so(self):
        """One estimated stretch makes the mean an estimate."""
        archive = an_archive(a_point(0, 45, 100), a_point(45, 60, 100, ESTIMATE))

        assert estimated(100) == archive.mean(NOON)

    def test_of_any_length_of_period(self):
        """Periods may last seconds."""
        archive = an_archive(a_point(0, 0.05, 100), a_point(0.05, 0.1, 200), seconds=3)

        assert actual(100) == archive.mean(NOON)
        assert actual(200) == archive.mean(NOON + timedelta(seconds=3))


class TestRevision:
    def test_actual_replaces_estimate(self):
        """The final value of an hour replaces what was thought of it."""
        archive = an_archive(a_point(0, 60, 100, ESTIMATE), a_point(0, 60, 200))

        assert actual(200) == archive.mean(NOON)

    def test_estimate_never_replaces_actual(self):
        """An estimate that comes late changes nothing."""
        archive = an_archive(a_point(0, 60, 200), a_point(0, 60, 100, ESTIMATE))

        assert actual(200) == archive.mean(NOON)

    def test_the_later_of_two_equals_holds(self):
        """A revised value replaces the one before."""
        archive = an_archive(a_point(0, 60, 200), a_point(0, 60, 210))

        assert actual(210) == archive.mean(NOON)

    def test_estimate_fills_what_is_not_known_yet(self):
        """Actual quarters stand on top of an estimated hour."""
        archive = an_archive(a_point(0, 15, 400), a_point(0, 60, 200, ESTIMATE))

        assert estimated(250) == archive.mean(NOON)

    def test_settled_period_is_replaced_only_as_a_whole(self):
        """Of a settled period the parts are forgotten, so a part cannot be revised."""
        archive = an_archive(a_point(0, 30, 100), a_point(30, 60, 300))
        archive.settle(NOON + HOUR)

        archive.add([a_point(0, 30, 500)])
        assert actual(200) == archive.mean(NOON)
        archive.add([a_point(30, 60, 300)])
        assert actual(400) == archive.mean(NOON)

    def test_settled_estimate_fills_the_rest(self):
        """What is known in part keeps its mean for the part that is never told again."""
        archive = an_archive(a_point(0, 30, 100))
        archive.settle(NOON + HOUR)

        archive.add([a_point(30, 60, 300)])

        assert estimated(200) == archive.mean(NOON)

    def test_open_period_is_not_settled(self):
        """A period is settled when it has ended."""
        archive = an_archive(a_point(0, 30, 100))
        archive.settle(NOON + timedelta(minutes=59))

        archive.add([a_point(30, 60, 300)])

        assert actual(200) == archive.mean(NOON)


slots = st.lists(
    st.tuples(
        st.none() | st.integers(0, 5_000_000),
        st.none() | st.integers(0, 5_000_000),
    ),
    min_size=1,
    max_size=24,
)
"""For each slot of 25 minutes an estimate, an actual value, both, or neither."""


def points_of(values: list[tuple[int | None, int | None]]) -> list[Point]:
    return [
        a_point(25 * index, 25 * index + 25, value, kind)
        for index, pair in enumerate(values)
        for value, kind in zip(pair, (ESTIMATE, ACTUAL), strict=True)
        if value is not None
    ]


def whole_periods(archive: Archive) -> list[tuple[datetime, PeriodIntensity]]:
    return [(start, mean) for start, mean in archive.known() if not mean.estimated]


class TestProperties:
    @given(slots, st.randoms(use_true_random=False), st.booleans())
    def test_order_of_arrival_does_not_matter(self, values, random, twice: bool):
        """The same points give the same means in any order, and as often as they come."""
        points = points_of(values)
        shuffled = points * 2 if twice else list(points)
        random.shuffle(shuffled)

        expected, archive = an_archive(*points), an_archive(*shuffled)

        assert list(expected.known()) == list(archive.known())

    @given(slots, st.integers(0, 12))
    def test_survives_encoding(self, values, settled: int):
        """What is read back answers as what was written, settled or not."""
        archive = an_archive(*points_of(values))
        archive.settle(NOON + settled * HOUR)

        read = Archive.decode(archive.encode())

        assert list(archive.known()) == list(read.known())
        assert archive.known_until == read.known_until
        assert archive.same_kind(read)
        assert archive.encode() == read.encode()

    @given(slots)
    def test_settling_changes_no_answer(self, values):
        """A settled archive says what it said before."""
        archive = an_archive(*points_of(values))
        before = list(archive.known())

        archive.settle(NOON + 24 * HOUR)

        assert before == list(archive.known())

    @given(slots, st.integers(0, 24))
    def test_backfill_completes_a_saved_archive(self, values, cut: int):
        """Actual values that come again after a restart give what there was without one.

        That is said of periods known as a whole: of one with a gap either mean is an estimate.
        """
        actual_only = [(None, value) for _, value in values]
        points = points_of(actual_only)
        restarted = an_archive()
        restarted.adopt(Archive.decode(an_archive(*points[:cut]).encode()))

        restarted.add(points)

        assert whole_periods(an_archive(*points)) == whole_periods(restarted)


class TestAdopt:
    def test_takes_what_it_does_not_know(self):
        """Own values stay, others are taken over, actual ones in place of estimates."""
        mine = an_archive(a_point(60, 120, 1), a_point(120, 180, 2, ESTIMATE))

        mine.adopt(an_archive(a_point(0, 60, 7), a_point(60, 120, 8), a_point(120, 180, 9)))

        assert [7, 1, 9] == [mean.milligrams_per_kwh for _, mean in mine.known()]

    @pytest.mark.parametrize(
        "other",
        [
            Archive(source="Static", factors=EmissionFactors.LIFECYCLE),
            Archive(source=SOURCE, factors=EmissionFactors.DIRECT),
            Archive(source=SOURCE, factors=EmissionFactors.LIFECYCLE, period_seconds=60),
        ],
    )
    def test_refuses_another_kind(self, other: Archive):
        """Archives of other sources, factors or periods are never mixed."""
        with pytest.raises(ValueError, match="must not be mixed"):
            an_archive().adopt(other)

    def test_refuses_points_of_another_source(self):
        """Nor do single values of another source get in."""
        with pytest.raises(ValueError, match="must not enter"):
            an_archive(a_point(0, 60, 1, source="Static"))


class TestBounds:
    def test_keeps_400_days_of_hours(self):
        """The oldest periods go when there are more than 9600."""
        count = MAX_PERIODS + 5
        archive = an_archive(*(a_point(60 * n, 60 * n + 60, n) for n in range(count)))
        archive.settle(NOON + count * HOUR)

        assert MAX_PERIODS == len(list(archive.known()))
        assert archive.mean(NOON + 4 * HOUR) is None
        assert actual(5) == archive.mean(NOON + 5 * HOUR)

    def test_ignores_what_is_too_old(self):
        """A point from before the oldest period is not kept."""
        archive = an_archive(a_point(60 * MAX_PERIODS, 60 * MAX_PERIODS + 60, 1))

        archive.add([a_point(0, 60, 2)])

        assert archive.mean(NOON) is None
        assert 1 == len(list(archive.known()))

    def test_a_point_of_years_costs_no_more_than_the_archive(self):
        """A stretch longer than the archive is cut."""
        archive = an_archive(a_point(0, 60 * 24 * 365 * 10, 1))

        assert MAX_PERIODS == len(list(archive.known()))

    def test_is_small_when_encoded(self):
        """Even values without any pattern fit into a ConfigMap many times over."""
        scattered = (a_point(60 * n, 60 * n + 60, n * 7919 % 900_000) for n in range(MAX_PERIODS))

        assert len(an_archive(*scattered).encode()) < 30_000


class TestKnownUntil:
    def test_is_the_end_of_the_last_whole_period(self):
        """What is known in part or estimated is asked for again."""
        assert an_archive().known_until is None
        assert NOON + HOUR == an_archive(a_point(0, 60, 1)).known_until
        assert NOON + HOUR == an_archive(a_point(0, 60, 1), a_point(60, 90, 1)).known_until


class TestDecode:
    @pytest.mark.parametrize(
        "encoded",
        [
            b"",
            b"no gzip",
            an_archive(a_point(0, 60, 1)).encode()[:-9],
            gzip.compress(b"no json\n"),
            gzip.compress(b'{"source": "x"}\n'),
            gzip.compress(b"[]\n"),
            gzip.compress(
                b'{"source": "x", "factors": null, "periodSeconds": 0, "first": 0}\n\0\0\0'
            ),
            gzip.compress(
                b'{"source": "x", "factors": null, "periodSeconds": 60, "first": 0}\n\0\0'
            ),
            gzip.compress(
                b'{"source": "x", "factors": null, "periodSeconds": 60, "first": 0}\n'
                + bytes(100_000_000)
            ),
        ],
        ids=lambda encoded: f"{len(encoded)} bytes",
    )
    def test_refuses_what_it_did_not_write(self, encoded: bytes):
        """Anything else is refused, and never unpacked without bound."""
        with pytest.raises(ArchiveError):
            Archive.decode(encoded)
