"""Instants cross every border as RFC 3339 in UTC, to the second."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_operator.quantities.instants import format_instant, from_unix, parse_instant

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


class TestParseInstant:
    @pytest.mark.parametrize(
        "text",
        [
            "2026-06-15T12:00:00Z",
            "2026-06-15T14:00:00+02:00",
            "2026-06-15T12:00:00.000000Z",
        ],
    )
    def test_reads_rfc_3339_in_any_offset(self, text):
        """However the offset is written, the instant is the same."""
        assert NOON == parse_instant(text)

    @pytest.mark.parametrize("text", ["2026-06-15T12:00:00", "2026-06-15", "noon", ""])
    def test_refuses_what_has_no_offset(self, text):
        """An instant without an offset is none."""
        with pytest.raises(ValueError, match=r"offset|isoformat"):
            parse_instant(text)

    @pytest.mark.parametrize(
        "text", ["9999-12-31T23:59:59-12:00", "9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z"]
    )
    def test_refuses_the_ends_of_the_calendar(self, text):
        """Days are added to and taken from instants: none may be so far out that this fails."""
        with pytest.raises(ValueError, match="must lie between"):
            parse_instant(text)


class TestFormatInstant:
    def test_cuts_to_the_second(self):
        """As Kubernetes writes its own timestamps."""
        assert "2026-06-15T12:00:00Z" == format_instant(NOON + timedelta(microseconds=999_999))

    @given(st.integers(min_value=0, max_value=4 * 10**9))
    def test_is_read_back_the_same(self, seconds):
        """What is written can be read."""
        assert from_unix(seconds) == parse_instant(format_instant(from_unix(seconds)))
