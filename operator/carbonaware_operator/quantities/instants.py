"""Instants: timezone-aware UTC datetimes, RFC 3339 at every border."""

from datetime import UTC, datetime

Instant = datetime


def parse_instant(text: str) -> Instant:
    """Read an RFC 3339 instant; raises ValueError when it is not one or has no offset."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"instant must have a time zone offset, not {text!r}")
    return instant.astimezone(UTC)


def format_instant(instant: Instant) -> str:
    """Write an instant to the second, as Kubernetes does."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_unix(seconds: float) -> Instant:
    """The instant of a Unix time in seconds."""
    return datetime.fromtimestamp(seconds, UTC)
