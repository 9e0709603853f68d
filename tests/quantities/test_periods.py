"""Accounting periods slice Unix time without gap or overlap."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, hours, minutes
from carbonaware_operator.quantities.instants import from_unix
from carbonaware_operator.quantities.periods import period_start, periods_between

instants = st.integers(min_value=0, max_value=4 * 10**9).map(from_unix)
lengths = st.integers(min_value=1, max_value=86400)


class TestPeriodStart:
    @given(instants, lengths)
    def test_an_instant_lies_in_its_period(self, instant, seconds):
        """The period that holds an instant starts at or before it and has not ended."""
        start = period_start(instant, seconds)

        assert start <= instant < start + timedelta(seconds=seconds)

    def test_an_hour_starts_on_the_hour(self):
        """Periods begin at multiples of their length in Unix time."""
        assert NOON == period_start(NOON + minutes(59))


class TestPeriodsBetween:
    def test_holds_every_period_that_is_touched(self):
        """The first and the last may be cut."""
        touched = periods_between(NOON + minutes(30), NOON + hours(2) + minutes(1))

        assert [NOON, NOON + hours(1), NOON + hours(2)] == touched

    def test_an_end_on_the_border_touches_nothing_more(self):
        """The end is not part of the span."""
        assert [NOON] == periods_between(NOON, NOON + hours(1))
