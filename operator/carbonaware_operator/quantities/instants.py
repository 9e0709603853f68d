"""Instants: timezone-aware UTC datetimes, RFC 3339 at every border."""

from datetime import UTC, datetime
from functools import lru_cache

Instant = datetime

FIRST_YEAR, LAST_YEAR = 1970, 8999
"""Far enough from the ends of `datetime` for durations and days to be added and subtracted."""

PATTERN = (
    r"^(19[7-9][0-9]|[2-8][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""RFC 3339 in these years. The API server's date-time lets more through than anybody can read."""

_FIRST = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_LAST = datetime(LAST_YEAR, 12, 31, 23, 59, 59, tzinfo=UTC)


@lru_cache(maxsize=4096)  # an object says the same instant several times, and is kept for days
def parse_instant(text: str) -> Instant:
    """Read an RFC 3339 instant; raises ValueError when it is not one or has no offset."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"instant must have a time zone offset, not {text!r}")
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"instant must lie between {FIRST_YEAR} and {LAST_YEAR}, not {text!r}")
    return instant.astimezone(UTC)


def format_instant(instant: Instant) -> str:
    """Write an instant to the second, as Kubernetes does."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def writable(instant: Instant) -> Instant:
    """The nearest instant that the API can hold: a whole second in the years of `PATTERN`."""
    return min(max(instant, _FIRST), _LAST).replace(microsecond=0)


def from_unix(seconds: float) -> Instant:
    """The instant of a Unix time in seconds."""
    return datetime.fromtimestamp(seconds, UTC)
