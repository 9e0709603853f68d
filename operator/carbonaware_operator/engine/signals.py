"""The signals loop: one task that keeps the outlook, the status and the archive of every zone.

A pass looks at all zones in memory: what has run out goes, what is due is asked for or written by
short tasks, at most one of each sort per zone. So a provider or an API server that hangs delays
neither another zone nor the moment at which a value becomes too old.

Every replica asks the providers, so that a new leader has an outlook at once; only the leader
writes.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import SystemRandom
from typing import Any

from carbonaware_operator.api.zone import CarbonZoneStatus
from carbonaware_operator.cluster.kube import ApiError, KubeClient
from carbonaware_operator.cluster.zones import ZoneObjects
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.engine.zone_history import ZoneHistory
from carbonaware_operator.engine.zone_signal import ZoneSignal
from carbonaware_operator.engine.zone_status import zone_status
from carbonaware_operator.grid.archive import Archive
from carbonaware_operator.grid.errors import SignalError, SignalMalformed, SignalUnreachable
from carbonaware_operator.grid.points import Point
from carbonaware_operator.grid.provider import Provider
from carbonaware_operator.grid.sources import provider, reference
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import HOUR_SECONDS
from carbonaware_operator.store.zones import ZoneRecord, ZoneStore

log = logging.getLogger(__name__)

BACKFILL = timedelta(hours=24)  # what Electricity Maps gives
POLLS_IN_FLIGHT = 8
POLL_TIMEOUT_SECONDS = 60.0
REFERENCE_SECONDS = 300.0
"""How old what was read of a Secret or a ConfigMap may be: nobody tells us when they change."""

RETRY_FIRST_SECONDS = 2.0
RETRY_LAST_SECONDS = 300.0
RETRY_AFTER_LAST_SECONDS = 24 * 3600.0
WRITE_RETRY_SECONDS = 10.0
CLOSE_SECONDS = 10.0
_RANDOM = SystemRandom()
_MIN_REST_SECONDS = 0.2
_MAX_REST_SECONDS = 10.0  # bounds what a step of the wall clock or a gained lease waits
_INTO_INTERVAL_SECONDS = 0.01  # a timer that fires early would find the old value once more


@dataclass(slots=True, eq=False)
class _Zone:
    """One zone as the loop follows it; `due` and `write_due` are on the monotonic clock."""

    record: ZoneRecord
    history: ZoneHistory
    signal: ZoneSignal = field(default_factory=ZoneSignal)
    provider: Provider | None = field(default=None, repr=False)
    texts: dict[str, str] = field(default_factory=dict, repr=False)
    texts_read: float = -math.inf
    due: float = 0.0
    failures: int = 0
    written: CarbonZoneStatus | None = None
    write_due: float = 0.0
    polling: asyncio.Task[None] | None = None
    writing: asyncio.Task[None] | None = None

    def cancel(self) -> list[asyncio.Task[None]]:
        tasks = [task for task in (self.polling, self.writing) if task is not None]
        for task in tasks:
            task.cancel()
        return tasks


class SignalsLoop:
    """Follows the zones of a store."""

    def __init__(
        self,
        *,
        zones: ZoneStore,
        kube: KubeClient,
        clock: Clock,
        namespace: str,
        leading: Callable[[], bool],
        on_change: Callable[[str], None],
        period_seconds: int = HOUR_SECONDS,
        backfill: timedelta = BACKFILL,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        """Wire the loop.

        leading: whether this replica may write; on_change: told the name of a zone whose outlook
        is another or gone; jitter: from 0 to 1, spreads attempts after errors.
        """
        self._store, self._clock = zones, clock
        self._objects = ZoneObjects(kube, namespace)
        self._leading, self._on_change, self._jitter = leading, on_change, jitter
        self._period_seconds, self._backfill = period_seconds, backfill
        self._zones: dict[str, _Zone] = {}
        self._led = False
        self._wake = asyncio.Event()
        self._published = asyncio.Event()
        self._slots = asyncio.Semaphore(POLLS_IN_FLIGHT)

    def zone_changed(self, name: str) -> None:
        """A CarbonZone came, changed or went: look at it at once."""
        if (zone := self._zones.get(name)) is not None:
            zone.due = self._clock.monotonic()
        self._wake.set()

    def archive(self, zone_name: str) -> Archive | None:
        """The history of a zone; None when there is no such zone or its source is unusable."""
        zone = self._zones.get(zone_name)
        return zone.history.archive if zone else None

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
                self._take_leadership()
                for zone in list(self._zones.values()):
                    self._publish(zone)
                    self._start(zone)
                await self._rest()
        finally:
            tasks = [task for zone in self._zones.values() for task in zone.cancel()]
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Save what has not been saved; call it after the loop and before the lease is given up."""
        if not self._leading():
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
                self._zones[record.name] = _Zone(record, self._new_history(record.name))
            elif (zone.record.uid, zone.record.spec.source) == (record.uid, record.spec.source):
                zone.record = record
            else:
                zone.cancel()
                self._zones[record.name] = _Zone(record, zone.history)

    def _new_history(self, name: str) -> ZoneHistory:
        return ZoneHistory(
            name,
            period_seconds=self._period_seconds,
            backfill=self._backfill,
            now=self._clock.now(),
        )

    def _take_leadership(self) -> None:
        """A new leader must not write over what the one before it saved."""
        leading = self._leading()
        if leading and not self._led:
            for zone in self._zones.values():
                zone.history.read, zone.written = False, None
                zone.due = self._clock.monotonic()
        self._led = leading

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
        if zone.polling is None and now >= zone.due:
            zone.polling = self._spawn(self._poll(zone), partial(self._polled, zone))
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
        waiting = asyncio.ensure_future(self._wake.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(self._seconds_to_rest()))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    def _seconds_to_rest(self) -> float:
        now, monotonic = self._clock.now(), self._clock.monotonic()
        rests = [_MAX_REST_SECONDS]
        for zone in self._zones.values():
            if zone.polling is None:
                rests.append(zone.due - monotonic)
            if zone.writing is None and zone.write_due > monotonic:
                rests.append(zone.write_due - monotonic)
            if zone.signal.current(now) and zone.signal.valid_until:
                rests.append((zone.signal.valid_until - now).total_seconds())
        return max(0.0, min(rests))

    async def _poll(self, zone: _Zone) -> None:
        try:
            async with self._slots, asyncio.timeout(POLL_TIMEOUT_SECONDS):
                source = await self._provider(zone)
                points = await self._ask(zone, source)
        except TimeoutError:
            self._failed(zone, SignalUnreachable("the source does not answer in time"))
        except SignalError as error:
            self._failed(zone, error)
        else:
            self._answered(zone, source, points)

    async def _provider(self, zone: _Zone) -> Provider:
        """The zone's provider, made anew when what it refers to has changed."""
        spec = zone.record.spec
        source = spec.accounting_source or spec.source
        ref, now = reference(source), self._clock.monotonic()
        if zone.provider and (ref is None or now - zone.texts_read < REFERENCE_SECONDS):
            return zone.provider
        texts: dict[str, str] = {}
        if ref is not None:
            try:
                texts = await self._objects.texts(ref)
            except SignalUnreachable:
                if zone.provider is None:
                    raise
                return zone.provider
        if zone.provider is None or texts != zone.texts:
            make = partial(provider, source, created=zone.record.created, texts=texts)
            zone.provider = await asyncio.to_thread(make)
        zone.texts, zone.texts_read = texts, now
        return zone.provider

    async def _ask(self, zone: _Zone, source: Provider) -> list[Point]:
        history = zone.history
        history.begin(source)
        if not history.read:
            try:
                await history.read_copy(self._objects)
            except ApiError as error:
                self._log(zone, "archive not read", error=error.message)
        now = self._clock.now()
        newest = zone.signal.newest
        start = history.ask_from(
            now, newest.end if newest else None, timedelta(seconds=source.cadence.revised)
        )
        points = await asyncio.to_thread(source.points, start, now)
        return [point for point in points if point.start <= now]

    def _answered(self, zone: _Zone, source: Provider, points: list[Point]) -> None:
        if zone.signal.error is not None:
            log.info("signal is back", extra={"zone": zone.record.name})
        now = self._clock.now()
        zone.history.take(points, now, timedelta(seconds=source.cadence.revised))
        zone.signal.take(points, source.cadence)
        zone.failures = 0
        zone.due = self._clock.monotonic() + self._next_poll(zone, source, now)
        self._publish(zone)

    def _next_poll(self, zone: _Zone, source: Provider, now: Instant) -> float:
        """Seconds until the source is worth asking again: at the end of the interval at last."""
        poll = source.cadence.poll
        if zone.signal.newest and zone.signal.newest.end > now:
            rest = (zone.signal.newest.end - now).total_seconds() + _INTO_INTERVAL_SECONDS
            poll = min(poll, rest)
        return max(_MIN_REST_SECONDS, poll)

    def _failed(self, zone: _Zone, error: SignalError) -> None:
        """Ask again later, later each time, and with what is then in the Secret."""
        before = zone.signal.error
        if before is None or str(before) != str(error):
            self._log(zone, "signal failed", reason=error.reason, error=str(error))
        delay = min(RETRY_LAST_SECONDS, RETRY_FIRST_SECONDS * 2 ** min(zone.failures, 16))
        delay *= 0.5 + 0.5 * self._jitter()
        asked_for = min(error.retry_after or 0.0, RETRY_AFTER_LAST_SECONDS)
        zone.failures += 1
        zone.due = self._clock.monotonic() + max(delay, asked_for)
        # The provider stays: WattTime allows so many log-ins. A new key makes it anew.
        zone.texts_read = -math.inf
        zone.signal.fail(error)
        self._publish(zone)

    def _polled(self, zone: _Zone, task: asyncio.Task[None]) -> None:
        zone.polling = None
        self._wake.set()
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("source failed", exc_info=bug, extra={"zone": zone.record.name})
            message = "the source failed in an unforeseen way; see the operator's log"
            self._failed(zone, SignalMalformed(message))

    def _unwritten(self, zone: _Zone) -> bool:
        if not (self._leading() and zone.signal.asked):
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
        return zone_status(zone.signal, zone.record, before, history, now, price)

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
        if status != self._before(zone) and self._leading():
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
