"""The signals loop: one task that keeps the outlook, the status and the archive of every zone.

A pass looks at all zones in memory: what has run out goes, what is due is asked for or written by
short tasks, at most one for each source of a zone and one that writes. So a provider or an API
server that hangs delays neither another zone nor the moment at which a value becomes too old.

Every replica asks the providers, so that a new leader has an outlook at once; only the leader
writes.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import SystemRandom
from typing import Any

from carbonaware_operator.api.sources import SourceType
from carbonaware_operator.api.zone import CarbonZoneStatus
from carbonaware_operator.cluster.kube import ApiError, KubeClient
from carbonaware_operator.cluster.zones import ZoneObjects
from carbonaware_operator.engine.clock import Clock, woken
from carbonaware_operator.engine.feed import BACKFILL, Asking
from carbonaware_operator.engine.forecasts import OWN
from carbonaware_operator.engine.zone_feeds import AnyFeed, archives_what_decides, feeds_of
from carbonaware_operator.engine.zone_history import ZoneHistory
from carbonaware_operator.engine.zone_signal import ZoneSignal
from carbonaware_operator.engine.zone_status import zone_status
from carbonaware_operator.grid.archive import Archive
from carbonaware_operator.grid.errors import SignalMalformed
from carbonaware_operator.grid.points import Forecast
from carbonaware_operator.grid.sources import Permissions
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import HOUR_SECONDS
from carbonaware_operator.store.zones import ZoneRecord, ZoneStore

log = logging.getLogger(__name__)

POLLS_IN_FLIGHT = 8
WRITE_RETRY_SECONDS = 10.0
CLOSE_SECONDS = 10.0
_RANDOM = SystemRandom()
_HOUR = timedelta(hours=1)
_MAX_REST_SECONDS = 10.0  # bounds what a step of the wall clock or a gained lease waits


@dataclass(slots=True, eq=False)
class _Zone:
    """One zone as the loop follows it; `write_due` is on the monotonic clock."""

    record: ZoneRecord
    history: ZoneHistory
    signal: ZoneSignal = field(default_factory=ZoneSignal)
    feeds: list[AnyFeed] = field(default_factory=list)
    written: CarbonZoneStatus | None = None
    write_due: float = 0.0
    writing: asyncio.Task[None] | None = None

    def cancel(self) -> list[asyncio.Task[None]]:
        tasks = [t for t in (*(feed.task for feed in self.feeds), self.writing) if t is not None]
        for task in tasks:
            task.cancel()
        return tasks

    def ask_at(self, monotonic: float) -> None:
        for feed in self.feeds:
            feed.due = monotonic


class SignalsLoop:
    """Follows the zones of a store."""

    def __init__(
        self,
        *,
        zones: ZoneStore,
        kube: KubeClient,
        clock: Clock,
        namespace: str,
        permissions: Permissions,
        on_change: Callable[[str], None],
        period_seconds: int = HOUR_SECONDS,
        backfill: timedelta = BACKFILL,
        jitter: Callable[[], float] = _RANDOM.random,
        observe: Callable[[str, str, float], None] = lambda provider, result, seconds: None,
    ) -> None:
        """Wire the loop.

        permissions: what zones may make the operator do.
        on_change: told the name of a zone whose outlook is another or gone; jitter: from 0 to 1,
        spreads attempts after errors; observe: told provider, result and seconds of every question
        to a provider.
        """
        self._store, self._clock = zones, clock
        self._objects = ZoneObjects(kube, namespace)
        self._on_change = on_change
        self._period_seconds, self._backfill = period_seconds, backfill
        self._zones: dict[str, _Zone] = {}
        self._leads = False
        self._wake = asyncio.Event()
        self._published = asyncio.Event()
        slots = asyncio.Semaphore(POLLS_IN_FLIGHT)
        self._asking = Asking(self._objects, clock, slots, jitter, observe, permissions)

    def zone_changed(self, name: str) -> None:
        """A CarbonZone came, changed or went: look at it at once."""
        if (zone := self._zones.get(name)) is not None:
            zone.ask_at(self._clock.monotonic())
        self._wake.set()

    def archive(self, zone_name: str) -> Archive | None:
        """The history of a zone; None when there is no such zone or its source is unusable."""
        zone = self._zones.get(zone_name)
        return zone.history.archive if zone else None

    def without_forecast(self) -> list[str]:
        """Zones whose history may be forecast: hourly, of the average that jobs are decided on."""
        now = self._clock.now()
        return [name for name, zone in self._zones.items() if _may_be_forecast(zone, now)]

    def known_until(self, zone_name: str) -> Instant | None:
        """Up to where the history of a zone goes; None while it is empty."""
        archive = self.archive(zone_name)
        return archive.known_until if archive else None

    def hourly_means(
        self, zone_name: str, until: Instant
    ) -> list[tuple[Instant, MilligramsPerKWh]]:
        """The hours of a zone that ended by `until`, and their means."""
        archive = self.archive(zone_name)
        if archive is None:
            return []
        ended = (known for known in archive.known() if known[0] + _HOUR <= until)
        return [(start, mean.milligrams_per_kwh) for start, mean in ended]

    def take_forecast(self, zone_name: str, forecast: Forecast) -> None:
        """Use a forecast of ours, unless the provider has given one meanwhile."""
        zone = self._zones.get(zone_name)
        if zone is not None and _may_be_forecast(zone, self._clock.now()):
            zone.signal.forecast, zone.signal.provider_error_percent = forecast, None
            self._publish(zone)
            self._wake.set()

    def provided(self) -> dict[str, Forecast]:
        """The providers' forecasts of zones whose history can be compared with them."""
        now = self._clock.now()
        return {
            name: zone.signal.forecast
            for name, zone in self._zones.items()
            if zone.signal.forecast is not None
            and _has_history(zone)
            and not _may_be_forecast(zone, now)
        }

    def take_score(self, zone_name: str, error_percent: int | None) -> None:
        """Show how good the provider's forecasts of a zone were."""
        if (zone := self._zones.get(zone_name)) is not None:
            zone.signal.provider_error_percent = error_percent
            self._publish(zone)
            self._wake.set()

    async def primed(self) -> None:
        """Wait until every zone has an outlook, be it that its signal is missing.

        A planner that does not wait would take a zone that has not been asked yet for no zone.
        """
        while not self._store.records.keys() <= self._store.outlooks.keys():
            self._published.clear()
            await self._published.wait()

    async def run(self) -> None:
        """Follow the zones until cancelled; nothing that a zone does ends it."""
        try:
            while True:
                self._wake.clear()
                self._take_changes()
                for zone in list(self._zones.values()):
                    self._publish(zone)
                    self._start(zone)
                await self._rest()
        finally:
            tasks = [task for zone in self._zones.values() for task in zone.cancel()]
            await asyncio.gather(*tasks, return_exceptions=True)

    async def lead(self) -> None:
        """Let the loop write until cancelled; what the leader before saved is read first."""
        for zone in self._zones.values():
            zone.history.read, zone.written = False, None
            zone.ask_at(self._clock.monotonic())
        self._leads = True
        self._wake.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._leads = False

    async def close(self) -> None:
        """Save what has not been saved; call it after the loop and before the lease is given up."""
        if not self._leads:
            return
        writes = [
            zone.history.write_copy(self._objects, self._clock.now())
            for zone in self._zones.values()
        ]
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                results = await asyncio.gather(*writes, return_exceptions=True)
        except TimeoutError:
            results = [TimeoutError("the API server does not answer in time")]
        for error in results:
            if isinstance(error, BaseException):
                log.warning("archive not saved", extra={"error": str(error)})

    def _take_changes(self) -> None:
        """Compare with the store: a sweep drops zones without a word."""
        for name in self._zones.keys() - self._store.records.keys():
            self._zones.pop(name).cancel()
            self._published.set()
            self._on_change(name)
        for record in self._store.records.values():
            zone = self._zones.get(record.name)
            if zone is None:
                self._follow(record, self._new_history(record.name))
            elif _asks_alike(zone.record, record):
                zone.record = record
            else:
                zone.cancel()
                self._follow(record, zone.history)

    def _follow(self, record: ZoneRecord, history: ZoneHistory) -> None:
        zone = _Zone(record, history)
        zone.signal.forecast = record.forecast  # until the source has been asked for another
        zone.feeds = feeds_of(
            record, zone.signal, history, asking=self._asking, on_news=partial(self._publish, zone)
        )
        self._zones[record.name] = zone

    def _new_history(self, name: str) -> ZoneHistory:
        return ZoneHistory(
            name,
            period_seconds=self._period_seconds,
            backfill=self._backfill,
            now=self._clock.now(),
        )

    def _publish(self, zone: _Zone) -> None:
        name = zone.record.name
        if not zone.signal.asked or name not in self._store.records:
            return
        now = self._clock.now()
        self._store.readings[name] = zone.signal.reading(zone.record, now)
        outlook = zone.signal.outlook(zone.record, now)
        if self._store.set_outlook(outlook):
            self._on_change(name)
        self._published.set()

    def _start(self, zone: _Zone) -> None:
        """Begin what is due and not under way."""
        now = self._clock.monotonic()
        for feed in zone.feeds:
            if feed.task is None and now >= feed.due:
                feed.task = self._spawn(feed.ask(), partial(self._asked, zone, feed))
        if zone.writing is None and now >= zone.write_due and self._unwritten(zone):
            zone.writing = self._spawn(self._write(zone), partial(self._wrote, zone))

    def _spawn(
        self, work: Coroutine[Any, Any, None], done: Callable[[asyncio.Task[None]], None]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(done)
        return task

    async def _rest(self) -> None:
        """Sleep until something is due, runs out, or changes."""
        await woken(self._clock, self._wake, self._seconds_to_rest())

    def _seconds_to_rest(self) -> float:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        rests = [_MAX_REST_SECONDS]
        for zone in self._zones.values():
            rests += [feed.due - monotonic for feed in zone.feeds if feed.task is None]
            if zone.writing is None and zone.write_due > monotonic:
                rests.append(zone.write_due - monotonic)
            if zone.signal.current(now) and zone.signal.valid_until:
                rests.append((zone.signal.valid_until - now).total_seconds())
        return max(0.0, min(rests))

    def _asked(self, zone: _Zone, feed: AnyFeed, task: asyncio.Task[None]) -> None:
        feed.task = None
        self._wake.set()
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("source failed", exc_info=bug, extra={"zone": zone.record.name})
            message = "the source failed in an unforeseen way; see the operator's log"
            feed.fail(SignalMalformed(message))

    def _unwritten(self, zone: _Zone) -> bool:
        if not (self._leads and zone.signal.asked):
            return False
        return zone.history.due() or self._status(zone) != self._before(zone)

    def _before(self, zone: _Zone) -> CarbonZoneStatus:
        return zone.written or zone.record.status

    def _status(self, zone: _Zone) -> CarbonZoneStatus:
        now = self._clock.now()
        before = self._before(zone)
        # Until the archive has been read, what was said of it before holds.
        history = zone.history.saved or before.history
        price = self._store.prices.get(zone.record.name)
        unguarded = self._store.unguarded
        return zone_status(zone.signal, zone.record, before, history, now, price, unguarded)

    async def _write(self, zone: _Zone) -> None:
        """Archive and status, so that the status can say what is archived; one may fail alone."""
        for write in (self._write_archive, self._write_status):
            try:
                await write(zone)
            except ApiError as error:
                zone.write_due = self._clock.monotonic() + WRITE_RETRY_SECONDS
                self._log(zone, "zone not written", error=error.message)

    async def _write_archive(self, zone: _Zone) -> None:
        if zone.history.due():
            await zone.history.write_copy(self._objects, self._clock.now())

    async def _write_status(self, zone: _Zone) -> None:
        status = self._status(zone)
        if status != self._before(zone) and self._leads:
            await self._objects.write_status(zone.record.name, status)
            zone.written = status

    def _wrote(self, zone: _Zone, task: asyncio.Task[None]) -> None:
        zone.writing = None
        self._wake.set()
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("zone not written", exc_info=bug, extra={"zone": zone.record.name})
            zone.write_due = self._clock.monotonic() + WRITE_RETRY_SECONDS

    def _log(self, zone: _Zone, event: str, **fields: object) -> None:
        log.warning(event, extra={"zone": zone.record.name, **fields})


def _may_be_forecast(zone: _Zone, now: Instant) -> bool:
    """Whether the provider leaves it to us."""
    given = zone.signal.forecast
    static = zone.record.spec.source.type is SourceType.STATIC  # needs no forecast
    provided = given is not None and not given.source.startswith(OWN) and given.end > now
    return _has_history(zone) and not static and not provided


def _has_history(zone: _Zone) -> bool:
    """Whether there are hourly means of the average that jobs are decided on."""
    archive = zone.history.archive
    hourly = archive is not None and archive.period_seconds == HOUR_SECONDS
    return hourly and archives_what_decides(zone.record)


def _asks_alike(one: ZoneRecord, other: ZoneRecord) -> bool:
    """True when both records are of one object with the same sources."""
    mine, theirs = one.spec, other.spec
    return (one.uid, mine.source, mine.accounting_source) == (
        other.uid,
        theirs.source,
        theirs.accounting_source,
    )
