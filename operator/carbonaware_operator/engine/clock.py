"""Time, as a port: nothing else in the operator reads a clock or sleeps."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

from carbonaware_operator.quantities.instants import Instant


class Clock(Protocol):
    """Two clocks and a sleep; a test plays all three."""

    def now(self) -> Instant:
        """Wall time in UTC, for windows, deadlines and periods; it may step."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, for durations, back-off and leases; it never steps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only yields to the event loop."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> Instant:
        """Wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only yields to the event loop."""
        await asyncio.sleep(max(0.0, seconds))


async def woken(clock: Clock, wake: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until an event is set, or for so many seconds."""
    if seconds is None:
        await wake.wait()
        return
    waiting = asyncio.ensure_future(wake.wait())
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        sleeping.cancel()
