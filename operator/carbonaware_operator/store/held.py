"""Held jobs of one zone, by the values at which their decision changes.

A new intensity wakes only the jobs whose limits lie between the old value and the new one: at ten
thousand held jobs a pass over all of them would hold up everything else at each reading.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sortedcontainers import SortedDict, SortedList

from carbonaware_operator.api.job import WhenSignalMissing
from carbonaware_operator.planning.outlook import Outlook, Signal
from carbonaware_operator.planning.resolve import ResolvedSchedule
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant


class Grounds(NamedTuple):
    """All of a zone's outlook that a held job's decision can rest on."""

    intensity: MilligramsPerKWh
    fresh: bool


class HeldJobs:
    """The held jobs of one zone, but those that their user suspended: no grid frees these."""

    def __init__(self) -> None:
        self._deadlines: dict[str, SortedList] = {}  # (latest start, uid) by namespace
        self._by_limit: SortedDict = SortedDict()  # sets of uids
        self._minding_freshness: set[str] = set()
        self._seen: Grounds | None = None

    def __bool__(self) -> bool:
        return bool(self._deadlines)

    def __iter__(self) -> Iterator[str]:
        return (uid for queue in self._deadlines.values() for _, uid in queue)

    def add(self, namespace: str, uid: str, schedule: ResolvedSchedule) -> None:
        """Take in a job that is not there yet."""
        queue = self._deadlines.setdefault(namespace, SortedList())
        queue.add((schedule.deadline, uid))
        for limit in _limits(schedule):
            self._by_limit.setdefault(limit, set()).add(uid)
        if schedule.when_signal_missing is not WhenSignalMissing.USE_FALLBACK:
            self._minding_freshness.add(uid)

    def remove(self, namespace: str, uid: str, schedule: ResolvedSchedule) -> None:
        """Take out a job with the schedule that it came with."""
        queue = self._deadlines[namespace]
        queue.remove((schedule.deadline, uid))
        if not queue:
            del self._deadlines[namespace]
        for limit in _limits(schedule):
            self._by_limit[limit].discard(uid)
            if not self._by_limit[limit]:
                del self._by_limit[limit]
        self._minding_freshness.discard(uid)

    def touched_by(self, outlook: Outlook | None) -> set[str]:
        """Jobs whose decision may differ from that under the outlook of the last call."""
        before, after = self._seen, _grounds(outlook)
        self._seen = after
        if before is None or after is None:
            return set() if before == after else set(self)
        touched = self._limited_between(before.intensity, after.intensity)
        if before.fresh != after.fresh:
            touched |= self._minding_freshness
        return touched

    def next_deadlines(self) -> Iterator[tuple[str, Instant]]:
        """The first latest start of each namespace."""
        for namespace, queue in self._deadlines.items():
            yield namespace, queue[0][0]

    def _limited_between(self, one: MilligramsPerKWh, other: MilligramsPerKWh) -> set[str]:
        # A value equal to a limit is within it: the limit passed lies at or above the lower value.
        low, high = sorted((one, other))
        limits = self._by_limit.irange(low, high, inclusive=(True, False))
        return set().union(*(self._by_limit[limit] for limit in limits))


def _limits(schedule: ResolvedSchedule) -> set[MilligramsPerKWh]:
    both = (schedule.max_intensity, schedule.preferred_intensity)
    return {limit for limit in both if limit is not None}


def _grounds(outlook: Outlook | None) -> Grounds | None:
    if outlook is None:
        return None
    if isinstance(outlook.current, Signal):
        return Grounds(outlook.current.intensity, fresh=True)
    return Grounds(outlook.fallback.intensity, fresh=False)
