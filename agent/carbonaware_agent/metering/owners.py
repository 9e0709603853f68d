"""Energy by owner: series that only grow, from 0 at the start of an epoch, marked by period."""

import secrets
from collections.abc import Callable, Iterable, Sequence

from carbonaware_agent.saved.journal import Journal, Mark
from carbonaware_agent.saved.snapshot import PodRecord, SeriesKey, SeriesRecord, Snapshot
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import Owner

KEPT_AFTER_LAST_POD_US = 6 * 3600 * 1_000_000

# Microjoules; a series may come several times.
Increments = Iterable[tuple[SeriesRecord, int]]


def random_epoch() -> str:
    """64 random bits in hexadecimal: no two series ever share them."""
    return secrets.token_hex(8)


class OwnerSeries:
    """The owner series of a snapshot, and the journal in which their past is kept."""

    def __init__(
        self, snapshot: Snapshot, journal: Journal, new_epoch: Callable[[], str] = random_epoch
    ) -> None:
        self._snapshot = snapshot
        self._journal = journal
        self._new_epoch = new_epoch

    def grow(self, by_period: Sequence[tuple[int, Increments]]) -> None:
        """Add energy, period by period; all periods but the last are closed on the way.

        by_period: starts in rising order, beginning with the open period, and what series gain.
        """
        for position, (start_us, increments) in enumerate(by_period):
            if position:
                # Only now is all energy of the period before in the totals.
                self._close_period(start_us)
            for record, microjoules in increments:
                record.total_uj += microjoules

    def series_of(self, pod: PodRecord, owner: Owner, stream: Stream) -> SeriesRecord:
        """The open series of a pod's owner; one that is new begins at 0."""
        # Kept with the pod, as hashing a key of seven words takes longer than all else here.
        record = pod.series.get(stream)
        if record is None:
            record = pod.series[stream] = self._record((owner, stream))
        return record

    def join(self, pod: PodRecord, owner: Owner) -> None:
        """Pin a pod's owner, and give it what the pod used while its owner was not known.

        That energy counts in the open period, since a closed one is never changed.
        """
        pod.owner = owner
        for stream, parts in pod.energy.items():
            if sum(parts):
                self._record((owner, stream)).total_uj += sum(parts)

    def see(self, owner: Owner, boottime_us: int) -> None:
        """Note that an owner has a pod now; told when one is first known and when it ends."""
        self._snapshot.owners_seen_us[owner] = boottime_us

    def close_absent(self, boottime_us: int, wall_us: int) -> None:
        """Close the series of owners whose last pod ended six hours ago."""
        seen = self._snapshot.owners_seen_us
        oldest_us = boottime_us - KEPT_AFTER_LAST_POD_US
        absent = {owner for owner, seen_us in seen.items() if seen_us < oldest_us}
        if absent:
            running = {p.owner for p in self._snapshot.pods.values() if p.ended_us is None}
            seen.update(dict.fromkeys(absent & running, boottime_us))
            absent -= running
            self._close(lambda key: key[0] in absent, wall_us)
            for pod in self._snapshot.pods.values():
                if pod.owner in absent:
                    pod.series.clear()
            for owner in absent:
                del seen[owner]

    def close_all(self, wall_us: int) -> None:
        """Close every series: the machine was started anew."""
        self._close(lambda _: True, wall_us)
        self._snapshot.owners_seen_us.clear()

    def _record(self, key: SeriesKey) -> SeriesRecord:
        record = self._snapshot.series.get(key)
        if record is None:
            record = self._snapshot.series[key] = SeriesRecord(self._new_epoch())
        return record

    def _close_period(self, next_us: int) -> None:
        for key, record in self._snapshot.series.items():
            self._mark(key, record)
        self._snapshot.open_us = next_us

    def _mark(self, key: SeriesKey, record: SeriesRecord) -> None:
        if record.total_uj > record.marked_uj:
            mark = Mark(self._snapshot.open_us, record.total_uj)
            self._journal.mark(record.epoch, key, mark)
            record.marked_uj = record.total_uj

    def _close(self, chosen: Callable[[SeriesKey], bool], wall_us: int) -> None:
        series = self._snapshot.series
        for key in [key for key in series if chosen(key)]:
            record = series.pop(key)
            self._mark(key, record)
            self._journal.close(record.epoch, key, record.total_uj, wall_us)
