"""How an interval lies over accounting periods.

Energy is kept by the period in which it was used. An interval that crosses a boundary gives each
period its share by time; a period that is closed stays closed, whatever the wall clock does.
"""


def period_of(wall_us: int, length_us: int) -> int:
    """Start of the period that contains an instant; both in microseconds of Unix time."""
    return wall_us - wall_us % length_us


def segments(start_us: int, end_us: int, *, open_us: int, length_us: int) -> list[tuple[int, int]]:
    """The open period and all that began since, each with the microseconds of the interval in it.

    start_us, end_us: the interval in Unix time. open_us: start of the open period; time before it
    counts as spent in it. At least one weight is above 0.
    """
    last_us = max(open_us, period_of(end_us, length_us))
    parts = []
    for period in range(open_us, last_us + 1, length_us):
        begin = start_us if period == open_us else max(start_us, period)
        parts.append((period, max(0, min(end_us, period + length_us) - begin)))
    if not any(weight for _, weight in parts):
        parts[0] = (open_us, 1)
    return parts
