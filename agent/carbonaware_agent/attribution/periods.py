"""How an interval lies over accounting periods.

Energy is kept by the period in which it was used. An interval that crosses a boundary gives each
period its share by time; a period that is closed stays closed, whatever the wall clock does.
"""

from collections.abc import Sequence


def period_of(wall_us: int, length_us: int) -> int:
    """Start of the period that contains an instant; both in microseconds of Unix time."""
    return wall_us - wall_us % length_us


def crossed(start_us: int, end_us: int, *, open_us: int, length_us: int) -> list[int]:
    """Starts of the periods that an interval touches, the open period first even if it does not.

    start_us, end_us: the interval in Unix time. open_us: start of the open period; later ones in
    which no part of the interval lies, because the clock was set forward, are left out.
    """
    first_us = max(open_us + length_us, period_of(start_us, length_us))
    return [open_us, *range(first_us, period_of(end_us, length_us) + 1, length_us)]


def weights(starts: Sequence[int], start_us: int, end_us: int, length_us: int) -> list[int]:
    """Microseconds of an interval in each of the periods it crosses; they sum to its length.

    Time before the first period counts as spent in it.
    """
    parts = [max(0, min(end_us, start + length_us) - max(start_us, start)) for start in starts]
    parts[0] = max(0, min(end_us, starts[0] + length_us) - start_us)
    return parts
