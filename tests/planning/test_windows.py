"""Windows open at the wall-clock times that people wrote, whether the clocks change or not."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, a_window, hours, minutes, some_windows
from carbonaware_operator.planning.windows import (
    ALWAYS,
    CLOSING_MARGIN,
    Windows,
    windows_of,
)

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    """An instant of UTC: `2026-06-15 12:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opening_of(windows, day: str) -> tuple[datetime, datetime]:
    """When the first window at or after an instant opens, and closes."""
    opens = windows.next_opening(at(day))
    return opens, windows.closing(opens)


class TestContains:
    @pytest.mark.parametrize(
        ("instant", "expected"),
        [
            ("2026-06-15 20:00", True),
            ("2026-06-15 23:59", True),
            ("2026-06-16 05:59", True),
            ("2026-06-16 06:00", False),
            ("2026-06-15 19:59", False),
            ("2026-06-15 05:59", False),  # the window of Sunday, which it does not have
        ],
    )
    def test_a_window_that_wraps_midnight_belongs_to_the_day_it_opens(self, instant, expected):
        """Mon 20:00 to 06:00 is open until Tuesday morning, and not on Monday morning."""
        assert expected == some_windows(a_window("20:00", "06:00", None, "Mon")).contains(
            at(instant)
        )

    def test_equal_times_are_a_whole_day(self):
        """A window that ends when it starts ends a day later."""
        windows = some_windows(a_window("08:00", "08:00", None, "Mon"))

        assert (at("2026-06-15 08:00"), at("2026-06-16 08:00")) == opening_of(
            windows, "2026-06-15 00:00"
        )

    def test_days_are_those_of_the_windows_time_zone(self):
        """Monday 01:00 in Auckland is still Sunday in UTC."""
        windows = some_windows(a_window("01:00", "02:00", "Pacific/Auckland", "Mon"))

        assert windows.contains(at("2026-06-14 13:30"))

    def test_without_windows_every_instant_is_inside(self):
        """No windows, no restriction."""
        assert ALWAYS.contains(NOON)


class TestNextOpening:
    def test_finds_a_weekly_window_from_just_after_it(self):
        """The farthest a window can be is a week."""
        windows = some_windows(a_window("10:00", "11:00", None, "Mon"))

        assert at("2026-06-22 10:00") == windows.next_opening(at("2026-06-15 11:00"))

    def test_takes_the_earliest_of_several(self):
        """The union opens when the first of its windows does."""
        windows = some_windows(a_window("18:00", "19:00"), a_window("14:00", "15:00"))

        assert at("2026-06-15 14:00") == windows.next_opening(NOON)


class TestLastStart:
    def test_without_windows_is_the_deadline(self):
        """Any instant will do, so the last one does."""
        assert NOON + hours(5) == ALWAYS.last_start(NOON + hours(5))

    def test_is_the_deadline_when_that_is_inside_a_window(self):
        """The deadline cuts the window."""
        windows = some_windows(a_window("13:00", "15:00"))

        assert at("2026-06-15 14:00") == windows.last_start(at("2026-06-15 14:00"))

    def test_lies_a_margin_before_the_window_closes(self):
        """A release takes a moment: it must end inside the window."""
        windows = some_windows(a_window("13:00", "15:00"))

        assert at("2026-06-15 15:00") - CLOSING_MARGIN == windows.last_start(NOON + hours(8))

    def test_lies_in_the_middle_of_a_window_shorter_than_two_margins(self):
        """Even a window of a minute has a last start."""
        windows = some_windows(a_window("13:00", "13:01"))

        assert at("2026-06-15 13:00:30") == windows.last_start(NOON + hours(8))

    def test_lies_in_an_earlier_window_when_none_opens_shortly_before_the_deadline(self):
        """Whoever asks knows whether that has passed."""
        windows = some_windows(a_window("20:00", "21:00", None, "Mon"))

        assert at("2026-06-08 21:00") - CLOSING_MARGIN == windows.last_start(NOON)


class TestDaylightSaving:
    @pytest.mark.parametrize(
        ("window", "day", "expected"),
        [
            pytest.param(
                a_window("20:00", "06:00", BERLIN),
                "2026-03-28 12:00",
                ("2026-03-28 19:00", "2026-03-29 04:00"),
                id="Berlin in spring: the night is an hour shorter",
            ),
            pytest.param(
                a_window("20:00", "06:00", BERLIN),
                "2026-10-24 12:00",
                ("2026-10-24 18:00", "2026-10-25 05:00"),
                id="Berlin in autumn: the night is an hour longer",
            ),
            pytest.param(
                a_window("02:15", "02:45", BERLIN),
                "2026-03-29 00:00",
                ("2026-03-29 01:15", "2026-03-29 01:45"),
                id="Berlin in spring: a window inside the skipped hour opens as if it existed",
            ),
            pytest.param(
                a_window("02:30", "03:15", BERLIN),
                "2026-03-29 00:00",
                ("2026-03-29 01:30", "2026-03-29 02:15"),
                id="Berlin in spring: a window that starts in the skipped hour keeps its length",
            ),
            pytest.param(
                a_window("02:15", "02:45", BERLIN),
                "2026-10-25 00:00",
                ("2026-10-25 00:15", "2026-10-25 00:45"),
                id="Berlin in autumn: a time that comes twice is meant the first time",
            ),
            pytest.param(
                a_window("02:30", "04:00", "America/New_York"),
                "2026-03-08 00:00",
                ("2026-03-08 07:30", "2026-03-08 08:00"),
                id="New York in spring: a window is cut short",
            ),
            pytest.param(
                a_window("01:30", "02:30", "America/New_York"),
                "2026-11-01 00:00",
                ("2026-11-01 05:30", "2026-11-01 07:30"),
                id="New York in autumn: a window holds the repeated hour",
            ),
            pytest.param(
                a_window("02:05", "02:25", "Australia/Lord_Howe"),
                "2026-10-03 12:00",
                ("2026-10-03 15:35", "2026-10-03 15:55"),
                id="Lord Howe in spring: half an hour is skipped",
            ),
            pytest.param(
                a_window("01:00", "03:00", "Australia/Lord_Howe"),
                "2026-04-04 12:00",
                ("2026-04-04 14:00", "2026-04-04 16:30"),
                id="Lord Howe in autumn: half an hour is repeated",
            ),
        ],
    )
    def test_opens_once_and_means_the_wall_clock(self, window, day, expected):
        """Wall-clock times stay what they are; what does not exist is read in the old offset."""
        assert tuple(map(at, expected)) == opening_of(some_windows(window), day)


zone_names = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"]
)
times_of_day = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(
    lambda pair: f"{pair[0]:02}:{pair[1]:02}"
)
day_names = st.sampled_from(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])


def clock_changes(zone: str) -> list[tuple[str, datetime]]:
    """The days of 2026 on which a zone changes its clocks, as the noon of each."""
    noons = [
        datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone)) + timedelta(days=n) for n in range(365)
    ]
    return [
        (zone, noon) for before, noon in pairwise(noons) if before.utcoffset() != noon.utcoffset()
    ]


CLOCK_CHANGES = [
    change
    for zone in (BERLIN, "America/New_York", "Australia/Lord_Howe", "Europe/Lisbon")
    for change in clock_changes(zone)
]


@st.composite
def drawn_windows(draw):
    """One window of any kind."""
    days = draw(st.sets(day_names, max_size=3))
    return a_window(draw(times_of_day), draw(times_of_day), draw(zone_names), *sorted(days))


unions = st.lists(drawn_windows(), min_size=1, max_size=4)
# From 2026 on, so that three changes of the clocks lie inside; to the second.
instants = st.integers(min_value=0, max_value=500 * 86400).map(
    lambda seconds: at("2026-01-01 00:00") + timedelta(seconds=seconds)
)


def walked(windows: Windows, instant: datetime, before: int, after: int):
    """All openings on the days around an instant."""
    return [o for daily in windows.daily for o in daily.around(instant, before, after)]


def closing_by_walking(windows: Windows, instant: datetime):
    """closing(), with nothing kept."""
    ends = (end for start, end in walked(windows, instant, 2, 1) if start <= instant < end)
    return max(ends, default=None)


def opening_by_walking(windows: Windows, instant: datetime):
    """next_opening(), with nothing kept."""
    if closing_by_walking(windows, instant):
        return instant
    return min(start for start, _ in walked(windows, instant, 1, 9) if start > instant)


def last_by_walking(windows: Windows, not_after: datetime):
    """last_start(), with nothing kept."""
    return max(
        min(end - min(CLOSING_MARGIN, (end - start) / 2), not_after)
        for start, end in walked(windows, not_after, 9, 1)
        if start <= not_after
    )


class TestProperties:
    @given(unions, st.lists(st.tuples(instants, st.booleans()), min_size=1, max_size=6))
    def test_what_is_kept_of_an_earlier_answer_changes_no_later_one(self, union, asked):
        """Every answer is the one that a walk through all openings around the instant finds."""
        windows = some_windows(*union)

        for instant, again in asked:
            for when in (instant, instant + hours(1)) if again else (instant,):
                assert closing_by_walking(windows, when) == windows.closing(when)
                assert opening_by_walking(windows, when) == windows.next_opening(when)
                assert last_by_walking(windows, when) == windows.last_start(when)

    @given(unions)
    def test_equal_windows_are_one_object(self, union):
        """What is computed for one job serves all with the same windows."""
        assert windows_of(union) is windows_of([spec.model_copy() for spec in union])

    @given(unions, instants)
    def test_an_instant_is_inside_exactly_if_it_is_its_own_next_opening(self, union, instant):
        """contains() and next_opening() speak of the same windows."""
        windows = some_windows(*union)

        assert windows.contains(instant) == (windows.next_opening(instant) == instant)

    @given(unions, instants)
    def test_the_next_opening_is_inside_and_nothing_before_it_is(self, union, instant):
        """No window is passed over on the way to the next."""
        windows = some_windows(*union)
        opening = windows.next_opening(instant)
        between = [instant + (opening - instant) * part / 7 for part in range(7)]

        assert windows.contains(opening)
        assert opening == instant or not any(map(windows.contains, between))

    @given(unions, instants)
    def test_outside_is_what_follows_a_closing_or_another_window(self, union, instant):
        """Until the closing it is open throughout."""
        windows = some_windows(*union)
        closing = windows.closing(instant)

        assert (closing is not None) == windows.contains(instant)
        assert closing is None or windows.contains(closing - timedelta(seconds=1))

    @given(unions, instants, st.integers(0, 21 * 86400))
    def test_a_last_start_is_inside_a_window_and_not_too_late(self, union, start, seconds):
        """Never after the deadline, never outside; every window opens weekly."""
        windows, end = some_windows(*union), start + timedelta(seconds=seconds)
        last = windows.last_start(end)

        assert last is not None
        assert last <= end
        assert windows.contains(last)

    @given(unions, instants, st.integers(0, 21 * 86400))
    def test_after_the_last_start_at_most_a_margin_is_open(self, union, start, seconds):
        """Only the tail of a closing window is left out."""
        windows, end = some_windows(*union), start + timedelta(seconds=seconds)
        last = windows.last_start(end)
        if last is None or last >= start:
            return
        first = windows.next_opening(start)

        assert first > end or windows.closing(first) - first <= CLOSING_MARGIN

    @given(
        st.permutations(
            [
                a_window("22:00", "02:00", BERLIN),
                a_window("01:00", "03:00", "UTC"),
                a_window("12:00", "13:00", "America/New_York", "Mon"),
            ]
        ),
        instants,
    )
    def test_the_order_of_windows_does_not_matter(self, union, instant):
        """A union has no order."""
        windows, reverse = some_windows(*union), some_windows(*reversed(union))

        assert windows.next_opening(instant) == reverse.next_opening(instant)
        assert windows.closing(instant) == reverse.closing(instant)
        assert windows.last_start(instant) == reverse.last_start(instant)

    @given(
        st.sampled_from(CLOCK_CHANGES),
        times_of_day,
        times_of_day,
    )
    def test_a_daily_window_opens_once_on_each_local_day(self, change, start, end):
        """No change of the clocks skips a window or opens it twice."""
        zone, noon = change
        windows = some_windows(a_window(start, end, zone))
        local_days = [(noon + timedelta(days=n)).date() for n in (-1, 0, 1)]
        openings = windows.daily[0].around(noon, 1, 1)

        opened_on = [opens.astimezone(ZoneInfo(zone)).date() for opens, _ in openings]

        assert local_days == opened_on

    @given(st.sampled_from(CLOCK_CHANGES), times_of_day, times_of_day)
    def test_a_window_is_as_long_as_on_paper_give_or_take_the_change(self, change, start, end):
        """The clocks move a border by an hour at most, and never past the other one."""
        zone, noon = change
        (daily,) = some_windows(a_window(start, end, zone)).daily
        on_paper = datetime.combine(noon, daily.end) - datetime.combine(noon, daily.start)
        on_paper += hours(24) if on_paper <= minutes(0) else minutes(0)

        for opens, closes in daily.around(noon, 1, 1):
            assert opens < closes
            assert abs(closes - opens - on_paper) <= hours(1)
