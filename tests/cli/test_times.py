"""Durations and instants read as people say them."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonaware_operator.quantities.spans import exact, relative, span

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class TestSpan:
    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "0 s"),
            (0.9, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3601, "1 h"),
            (11400, "3 h 10 min"),
            (86400 + 60, "1 d"),
            (2 * 86400 + 3 * 3600 + 59, "2 d 3 h"),
            (-5, "0 s"),
        ],
    )
    def test_says_the_two_largest_units(self, seconds: float, words: str) -> None:
        """More than two units are noise; a unit of which there is none is left out."""
        assert words == span(timedelta(seconds=seconds))


class TestRelative:
    def test_tells_the_future_from_the_past(self) -> None:
        """What comes is `in`, what was is `ago`."""
        assert "in 3 h 10 min" == relative(NOON + timedelta(hours=3, minutes=10), NOON)
        assert "5 min ago" == relative(NOON - timedelta(minutes=5), NOON)
        assert "now" == relative(NOON, NOON)

    def test_exact_gives_the_instant_too(self) -> None:
        """The instant can be copied, the distance can be read."""
        assert "2026-03-01T13:00:00Z (in 1 h)" == exact(NOON + timedelta(hours=1), NOON)
