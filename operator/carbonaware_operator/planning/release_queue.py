"""The release queue: who goes first when many jobs may start at once, and who has to wait for room.

Pure: monotonic seconds come in, uids come out. It holds uids and never decisions: whether a job
may still start is decided anew when its turn has come.

A namespace whose quota refused a Job is full. Its jobs then wait in a line of their own, until
somebody says that there may be room: one of them tries, and each that succeeds lets two more try,
so that a small gap costs few refusals and a large one is filled quickly.
"""

from dataclasses import dataclass, field
from typing import Any

from sortedcontainers import SortedList

from carbonaware_operator.quantities.instants import Instant

BURST_SECONDS = 1.0
"""What was not used of the rate is kept for so long."""


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A job that may start; in the order of release: least slack, then age.

    latest: its latest start; the slack at any one instant orders as this does.
    """

    latest: Instant
    created: Instant
    uid: str
    namespace: str = field(compare=False)


@dataclass(slots=True)
class TokenBucket:
    """Lets so many a second pass, and after a rest as many at once as a second lets.

    per_second: 0 for no limit.
    """

    per_second: float
    _spent: float = float("-inf")  # when the bucket is full again

    def ready_at(self, now: float) -> float:
        """When the next may pass; `now` if at once."""
        if not self.per_second:
            return now
        return max(now, self._spent + 1 / self.per_second - BURST_SECONDS)

    def take(self, now: float) -> None:
        """Let one pass."""
        if self.per_second:
            self._spent = max(now, self._spent) + 1 / self.per_second


class ReleaseQueue:
    """Jobs that may start, in the order in which they should."""

    def __init__(self, per_second: float = 0.0) -> None:
        """per_second: how many may start a second; 0 for no limit."""
        self._bucket = TokenBucket(per_second)
        self._line: Any = SortedList()
        self._waiting: dict[str, Any] = {}  # by namespace that is full
        self._candidates: dict[str, Candidate] = {}  # in the line or waiting
        self._trying: dict[str, str] = {}  # uid to full namespace

    def __len__(self) -> int:
        return len(self._line)

    def kept(self) -> int:
        """How many entries of any sort are kept."""
        return len(self._candidates) + len(self._trying) + len(self._waiting)

    def offer(self, candidate: Candidate, *, insists: bool = False) -> bool:
        """Put a job into the line; false when it has to wait for room in its namespace.

        insists: it must be tried at least once, however full the namespace is.
        """
        self._remove(candidate.uid)
        self._candidates[candidate.uid] = candidate
        waiting = self._waiting.get(candidate.namespace)
        if waiting is not None and not insists and candidate.uid not in self._trying:
            waiting.add(candidate)
            return False
        self._line.add(candidate)
        return True

    def withdraw(self, uid: str) -> list[str]:
        """A job may not start after all; the uids of those that may try in its place."""
        self._remove(uid)
        namespace = self._trying.pop(uid, None)
        return [] if namespace is None else self._let_try(namespace, 1)

    def ready_at(self, now: float) -> float | None:
        """When the first of the line may go; None when nobody is in it."""
        return self._bucket.ready_at(now) if self._line else None

    def pop(self, now: float) -> str | None:
        """Take out who may go now."""
        if not self._line or self._bucket.ready_at(now) > now:
            return None
        self._bucket.take(now)
        candidate = self._line.pop(0)
        del self._candidates[candidate.uid]
        return str(candidate.uid)

    def released(self, uid: str) -> list[str]:
        """A job has started; the uids of those that may try because of it."""
        self._remove(uid)
        namespace = self._trying.pop(uid, None)
        return [] if namespace is None else self._let_try(namespace, 2)

    def refused(self, candidate: Candidate) -> None:
        """The namespace of a job is full: it waits."""
        self._trying.pop(candidate.uid, None)
        self._remove(candidate.uid)
        self._candidates[candidate.uid] = candidate
        self._waiting.setdefault(candidate.namespace, SortedList()).add(candidate)

    def is_full(self, namespace: str) -> bool:
        """Whether jobs of a namespace wait for room in it."""
        return namespace in self._waiting

    def reopened(self, namespace: str) -> list[str]:
        """There may be room in a namespace: the uids of those that may try."""
        return self._let_try(namespace, 1)

    def _let_try(self, namespace: str, number: int) -> list[str]:
        waiting = self._waiting.get(namespace, ())
        uids = [waiting.pop(0).uid for _ in range(min(number, len(waiting)))]
        for uid in uids:
            del self._candidates[uid]
            self._trying[uid] = namespace
        self._forget_if_empty(namespace)
        return uids

    def _remove(self, uid: str) -> None:
        candidate = self._candidates.pop(uid, None)
        if candidate is None:
            return
        waiting = self._waiting.get(candidate.namespace, ())
        (waiting if candidate in waiting else self._line).remove(candidate)
        self._forget_if_empty(candidate.namespace)

    def _forget_if_empty(self, namespace: str) -> None:
        """A namespace is full for as long as anybody waits or tries there."""
        if not self._waiting.get(namespace) and namespace not in self._trying.values():
            self._waiting.pop(namespace, None)
