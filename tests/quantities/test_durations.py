"""Durations are read as Go writes them and said as people say them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_operator.quantities.durations import (
    DurationError,
    format_duration,
    parse_duration,
)


class TestParseDuration:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2h30m", timedelta(hours=2, minutes=30)),
            ("90m", timedelta(minutes=90)),
            ("0.5h", timedelta(minutes=30)),
            ("1h1h", timedelta(hours=2)),
            ("1500ms", timedelta(seconds=1.5)),
            ("168h", timedelta(days=7)),
            ("0s", timedelta(0)),
        ],
    )
    def test_reads_go_syntax(self, text, expected):
        """Units add up, in any order and more than once, as in Go."""
        assert expected == parse_duration(text)

    @pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1d", "1h 30m", "1H", "1h\n", ".5h"])
    def test_refuses_everything_else(self, text):
        """No sign, no bare number, no day, no space."""
        with pytest.raises(DurationError, match="must look like 2h30m"):
            parse_duration(text)

    def test_refuses_what_no_instant_can_be_moved_by(self):
        """A length beyond Go's own range is an error of the duration, not of the arithmetic."""
        with pytest.raises(DurationError):
            parse_duration("9" * 31 + "h")


class TestFormatDuration:
    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [(0, "0s"), (5, "5s"), (9000, "2h30m"), (93605, "26h5s"), (86400, "24h")],
    )
    def test_leaves_out_what_is_zero(self, seconds, expected):
        """Only the units that count are said."""
        assert expected == format_duration(timedelta(seconds=seconds))

    @given(st.integers(min_value=0, max_value=10**9))
    def test_is_read_back_the_same(self, seconds):
        """What is written can be read, to the second."""
        duration = timedelta(seconds=seconds)

        assert duration == parse_duration(format_duration(duration))
