"""Daily windows: which of them holds an instant."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from carbonaware_operator.quantities.daily import DailyWindow

NIGHT = DailyWindow(frozenset({0}), time(22), time(6), ZoneInfo("Europe/Berlin"))
"""Monday from ten at night to six in the morning of Tuesday."""


@pytest.mark.parametrize(
    ("instant", "open_"),
    [
        ("2026-06-15T19:59", False),
        ("2026-06-15T20:00", True),
        ("2026-06-16T03:59", True),
        ("2026-06-16T04:00", False),
        ("2026-06-16T20:00", False),
        ("2026-12-14T20:59", False),
        ("2026-12-14T21:00", True),
    ],
)
def test_an_opening_holds_its_begin_and_not_its_end(instant: str, open_: bool):
    """On the days of its time zone, in summer as in winter."""
    opening = NIGHT.open_at(datetime.fromisoformat(instant).replace(tzinfo=UTC))

    assert open_ == (opening is not None)
