"""Energy of sensors that show only their power, by the trapezoid between two readings."""

from carbonaware_agent.sources.sensor import Energy, Interval, Rebaseline

# What lies between two readings is unknown. Integrating the recorded power of eight H100 GPUs over
# 12 minutes of training erred by up to 2.4 % with a reading each second, 7.2 % each 5 s, 14 % each
# 15 s.
POWER_ERROR_RATIO = 0.072
LONGEST_TICK_SECONDS = 5
# And a second for a tick that comes late.
_LONGEST_US = (LONGEST_TICK_SECONDS + 1) * 1_000_000


def integrated(before_uw: int, after_uw: int, interval: Interval) -> Energy | Rebaseline:
    """The energy between two readings of power in microwatts; beyond 6 s it was not measured."""
    if interval.duration_us > _LONGEST_US:
        return Rebaseline("unmeasured")
    return Energy((before_uw + after_uw) * interval.duration_us // 2_000_000)
