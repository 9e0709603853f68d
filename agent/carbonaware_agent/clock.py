"""Time, as a port: nothing else in the agent's measuring path reads a clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks; a test plays both. Integers, so that no interval is rounded twice."""

    def wall_us(self) -> int:
        """Unix time in microseconds, for accounting periods; it may step."""
        ...

    def boottime_us(self) -> int:
        """Microseconds since the machine started, suspension included; it never steps."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def wall_us(self) -> int:
        """Unix time in microseconds."""
        return time.time_ns() // 1000

    def boottime_us(self) -> int:
        """Microseconds since the machine started."""
        # Unlike CLOCK_MONOTONIC it counts suspension, during which counters may go on.
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
