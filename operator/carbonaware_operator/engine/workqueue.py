"""The work queue: which keys are to be looked at, now or later, each of them one at a time.

The contract is client-go's: a key that is added twice is handed out once; one that is added while
somebody works on it is handed out again afterwards; one that failed comes back later, and later
each time. Nothing else in the operator knows due times and back-off. Keys are kept, never what is
to be done for them: that is decided when their turn has come.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from random import SystemRandom
from typing import Any, Generic, TypeVar

from sortedcontainers import SortedList

from carbonaware_operator.engine.clock import Clock, woken
from carbonaware_operator.quantities.instants import Instant

Key = TypeVar("Key", bound=Hashable)
_RANDOM = SystemRandom()

MOST_REST_SECONDS = 10.0
"""No wait for the wall clock is longer: its steps and pauses of the machine are noticed."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a key that failed has to wait: twice as long each time, up to `last` seconds."""

    first: float
    last: float

    def seconds(self, failures: int, jitter: float) -> float:
        """The wait after so many failures before this one; jitter: from 0 to 1, halves it at 0."""
        return min(self.last, self.first * 2.0 ** min(failures, 32)) * (1 + jitter) / 2


ERRORS = Backoff(1.0, 60.0)


class _Timetable(Generic[Key]):
    """When each key is due on one clock."""

    def __init__(self) -> None:
        self._entries: dict[Key, tuple[Any, int, Key]] = {}
        self._order: Any = SortedList()  # by time, then by when it was set
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first(self) -> Any:
        """The earliest time; None when there is none."""
        return self._order[0][0] if self._order else None

    def set(self, key: Key, when: Any) -> None:
        """Set the one time of a key; None takes it back."""
        known = self._entries.pop(key, None)
        if known is not None:
            self._order.remove(known)
        if when is not None:
            self._entries[key] = entry = (when, next(self._numbers), key)
            self._order.add(entry)

    def pop_due(self, now: Any) -> list[Key]:
        """Take out the keys whose time has come, earliest first."""
        due: list[Key] = []
        while self._order and self._order[0][0] <= now:
            _, _, key = self._order.pop(0)
            del self._entries[key]
            due.append(key)
        return due


class WorkQueue(Generic[Key]):
    """Hands out keys to one task that waits for them."""

    def __init__(self, clock: Clock, jitter: Callable[[], float] = _RANDOM.random) -> None:
        self._clock, self._jitter = clock, jitter
        self._ready: OrderedDict[Key, None] = OrderedDict()
        self._busy: set[Key] = set()
        self._again: set[Key] = set()
        self._at: _Timetable[Key] = _Timetable()  # on the wall clock
        self._after: _Timetable[Key] = _Timetable()  # on the monotonic clock
        self._failures: dict[Key, tuple[Backoff, int]] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """How many keys could be handed out at once."""
        return len(self._ready)

    def kept(self) -> int:
        """How many entries of any sort are kept."""
        sorts = (self._ready, self._busy, self._again, self._at, self._after, self._failures)
        return sum(len(sort) for sort in sorts)

    def add(self, key: Key) -> None:
        """Look at a key, or look again when who is busy with it is done."""
        if key in self._busy:
            self._again.add(key)
        else:
            self._ready[key] = None
            self._wake.set()

    def add_at(self, key: Key, when: Instant | None) -> None:
        """Look at a key at an instant, whatever was said before; None: only if it is added."""
        self._at.set(key, when)
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at a key after so many seconds, whatever was said before."""
        self._after.set(key, self._clock.monotonic() + seconds)
        self._wake.set()

    def add_rate_limited(self, key: Key, backoff: Backoff = ERRORS, at_least: float = 0.0) -> float:
        """Look at a key that failed later, later each time; the seconds until then.

        at_least: what the other side asked for. Failures of another sort count anew.
        """
        known, failures = self._failures.get(key, (backoff, 0))
        failures = failures if known == backoff else 0
        self._failures[key] = (backoff, failures + 1)
        seconds = max(at_least, backoff.seconds(failures, self._jitter()))
        self.add_after(key, seconds)
        return seconds

    def succeeded(self, key: Key) -> None:
        """The next failure of a key begins with the shortest wait again."""
        if self._failures.pop(key, None) is not None:
            self._after.set(key, None)

    def forget(self, key: Key) -> None:
        """A key is gone: nothing of it remains, but that somebody may still be busy with it."""
        self._ready.pop(key, None)
        self._again.discard(key)
        self._failures.pop(key, None)
        self._at.set(key, None)
        self._after.set(key, None)

    async def get(self) -> Key:
        """The key whose turn it is, busy from now on; waits until there is one."""
        while True:
            self._take_due()
            if self._ready:
                key, _ = self._ready.popitem(last=False)
                self._busy.add(key)
                return key
            self._wake.clear()
            await woken(self._clock, self._wake, self._seconds_until_due())

    def claim(self, key: Key) -> bool:
        """Be busy with a key out of turn; false when somebody is: then it is looked at again."""
        if key in self._busy:
            self._again.add(key)
            return False
        if key in self._ready:
            del self._ready[key]
            self._again.add(key)
        self._busy.add(key)
        return True

    def done(self, key: Key) -> None:
        """Nobody is busy with a key any more."""
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _take_due(self) -> None:
        for key in self._at.pop_due(self._clock.now()):
            self.add(key)
        for key in self._after.pop_due(self._clock.monotonic()):
            self.add(key)

    def _seconds_until_due(self) -> float | None:
        waits = []
        if self._at:
            until: timedelta = self._at.first - self._clock.now()
            waits.append(min(until.total_seconds(), MOST_REST_SECONDS))
        if self._after:
            waits.append(self._after.first - self._clock.monotonic())
        return min(waits, default=None)
