"""Accounting periods: equal slices of Unix time, one UTC hour unless set otherwise."""

from datetime import timedelta

from carbonaware_operator.quantities.instants import Instant, from_unix

HOUR_SECONDS = 3600


def period_start(instant: Instant, seconds: int = HOUR_SECONDS) -> Instant:
    """The start of the period that holds an instant; periods begin at multiples of `seconds`."""
    return from_unix(int(instant.timestamp()) // seconds * seconds)


def periods_between(start: Instant, end: Instant, seconds: int = HOUR_SECONDS) -> list[Instant]:
    """The starts of all periods that overlap [start, end)."""
    first, found = period_start(start, seconds), []
    while first < end:
        found.append(first)
        first += timedelta(seconds=seconds)
    return found
