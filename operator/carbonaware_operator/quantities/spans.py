"""Durations and instants in words, as seen from now."""

from datetime import timedelta

from carbonaware_operator.quantities.instants import Instant, format_instant

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(duration: timedelta) -> str:
    """A duration in its two largest units: `2 d 3 h`, `3 h 10 min`, `45 s`."""
    seconds = max(0, int(duration.total_seconds()))
    counts = []
    for size, unit in _UNITS:
        counts.append((seconds // size, unit))
        seconds %= size
    largest = next((i for i, (count, _) in enumerate(counts) if count), len(counts) - 1)
    first, *smaller = counts[largest : largest + 2]
    return " ".join(f"{count} {unit}" for count, unit in (first, *smaller) if count) or "0 s"


def relative(instant: Instant, now: Instant) -> str:
    """An instant as a distance: `in 3 h 10 min`, `now`, `2 h ago`."""
    distance = instant - now
    if abs(distance) < timedelta(seconds=1):
        return "now"
    return f"in {span(distance)}" if distance > timedelta() else f"{span(-distance)} ago"


def exact(instant: Instant, now: Instant) -> str:
    """Both: `2026-12-01T06:00:00Z (in 3 h 10 min)`."""
    return f"{format_instant(instant)} ({relative(instant, now)})"
