"""The boundary heap: one ordered list of instants at which time alone may change a decision."""

import heapq
from dataclasses import dataclass, field

from carbonaware_operator.quantities.instants import Instant


@dataclass(slots=True)
class Boundaries:
    """The next boundary of each job; a later `set` replaces an earlier one."""

    _due: dict[str, Instant] = field(default_factory=dict)
    _heap: list[tuple[Instant, str]] = field(default_factory=list)

    def set(self, uid: str, when: Instant | None) -> None:
        """Note when to look at a job again; None: only when something changes."""
        if when is None:
            self._due.pop(uid, None)
        elif self._due.get(uid) != when:
            self._due[uid] = when
            heapq.heappush(self._heap, (when, uid))
            self._drop_replaced()

    def next(self) -> Instant | None:
        """The earliest boundary."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # replaced since it was pushed
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: Instant) -> list[str]:
        """Uids whose boundary has come, earliest first; each is returned once."""
        due = []
        while (first := self.next()) is not None and first <= now:
            _, uid = heapq.heappop(self._heap)
            del self._due[uid]
            due.append(uid)
        return due

    def _drop_replaced(self) -> None:
        # A job that is retried for days moves its boundary to and fro: each move leaves an entry.
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(when, uid) for uid, when in self._due.items()]
            heapq.heapify(self._heap)
