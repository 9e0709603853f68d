"""A feed: one source of one zone, which is asked again and again.

A zone has one feed, or two when it has an `accountingSource`. A feed decides when to ask, keeps the
provider, and hands what comes to those who use it; it never fails: what goes wrong is kept with
the newest value.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from carbonaware_operator.api import sources
from carbonaware_operator.cluster.kube import ApiError
from carbonaware_operator.cluster.zones import ZoneObjects
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.engine.zone_history import ZoneHistory
from carbonaware_operator.engine.zone_signal import Latest, PointT, ZoneSignal
from carbonaware_operator.grid.errors import SignalError, SignalUnreachable
from carbonaware_operator.grid.points import Point
from carbonaware_operator.grid.provider import Cadence, Forecasts, Source
from carbonaware_operator.grid.sources import Permissions, reference
from carbonaware_operator.grid.typical_day import typical_day
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import period_start

log = logging.getLogger(__name__)

BACKFILL = timedelta(hours=24)  # what Electricity Maps gives
POLL_TIMEOUT_SECONDS = 60.0
REFERENCE_SECONDS = 300.0
"""How old what was read of a Secret or a ConfigMap may be: nobody tells us when they change."""

FORECAST_SECONDS = 1800.0  # how often Great Britain's is made, the most frequent of all
RETRY_FIRST_SECONDS = 2.0
RETRY_LAST_SECONDS = 300.0
RETRY_AFTER_LAST_SECONDS = 24 * 3600.0
_MIN_REST_SECONDS = 0.2
_INTO_INTERVAL_SECONDS = 0.01  # a timer that fires early would find the old value once more

T = TypeVar("T")


class Asked(Source, Protocol[PointT]):
    """A provider of either kind."""

    def points(self, start: Instant, end: Instant) -> list[PointT]:
        """What is known of [start, end]; blocks, raises SignalError."""
        ...


class Newest(Generic[PointT]):
    """Keeps the newest value that a feed gives."""

    def __init__(self, latest: Latest[PointT]) -> None:
        self.latest: Latest[PointT] = latest

    async def begin(self, provider: Asked[PointT], objects: ZoneObjects) -> None:
        """Make ready for what this provider gives."""

    def ask_from(self, now: Instant, revised: timedelta) -> Instant:
        """From when on to ask; revised: how far back values may still change."""
        newest = self.latest.newest
        return max(newest.end, now - BACKFILL) if newest else now - BACKFILL

    def take(self, points: list[PointT], cadence: Cadence, now: Instant) -> None:
        """Keep what the provider has answered."""
        self.latest.take(points, cadence)


class Archived(Newest[Point]):
    """Keeps the history of a zone as well, and learns its typical day from it."""

    def __init__(self, latest: Latest[Point], history: ZoneHistory, signal: ZoneSignal) -> None:
        super().__init__(latest)
        self._history, self._signal = history, signal
        self._learnt_in: Instant | None = None

    async def begin(self, provider: Asked[Point], objects: ZoneObjects) -> None:
        """Read what was saved, once; without it the archive goes on in memory."""
        self._history.begin(provider)
        if not self._history.read:
            try:
                await self._history.read_copy(objects)
                self._learn()
            except ApiError as error:
                log.warning(
                    "archive not read",
                    extra={"zone": self._history.zone_name, "error": error.message},
                )

    def ask_from(self, now: Instant, revised: timedelta) -> Instant:
        """From where the archive has a gap, or values may still change."""
        newest = self.latest.newest
        return self._history.ask_from(now, newest.end if newest else None, revised)

    def take(self, points: list[Point], cadence: Cadence, now: Instant) -> None:
        """Archive the points; learn the typical day anew once an hour."""
        super().take(points, cadence, now)
        self._history.take(points, now, timedelta(seconds=cadence.revised))
        if self._learnt_in != period_start(now):
            self._learnt_in = period_start(now)
            self._learn()

    def _learn(self) -> None:
        if self._history.archive is not None:
            self._signal.day = typical_day(self._history.archive)


Make = Callable[[Mapping[str, str]], Asked[PointT]]
"""Makes the provider from what its source refers to; blocks, raises SignalError."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What the feeds of all zones share.

    slots: how many may ask at once; jitter: from 0 to 1, spreads attempts after errors.
    observe: told provider, result and seconds of every question; permissions: what zones may make
    the operator do.
    """

    objects: ZoneObjects
    clock: Clock
    slots: asyncio.Semaphore
    jitter: Callable[[], float]
    observe: Callable[[str, str, float], None]
    permissions: Permissions


class Feed(Generic[PointT]):
    """Asks one source; `due` is on the monotonic clock."""

    def __init__(
        self,
        zone_name: str,
        source: sources.Source,
        keeper: Newest[PointT],
        *,
        make: Make[PointT],
        asking: Asking,
        on_news: Callable[[], None],
        forecasts_to: ZoneSignal | None = None,
    ) -> None:
        """Wire the feed.

        keeper: takes what comes and what goes wrong; on_news: called after each question;
        forecasts_to: takes forecasts, where the provider gives any.
        """
        self.due = 0.0
        self.task: asyncio.Task[None] | None = None
        self._zone_name, self._source = zone_name, source
        self._keeper: Newest[PointT] = keeper
        self._make: Make[PointT] = make
        self._asking, self._on_news = asking, on_news
        self._forecasts_to, self._forecast_due = forecasts_to, 0.0
        self._provider: Asked[PointT] | None = None
        self._texts: dict[str, str] = {}
        self._texts_read = -math.inf
        self._failures = 0

    async def ask(self) -> None:
        """Ask once, and set `due`."""
        try:
            async with self._asking.slots, asyncio.timeout(POLL_TIMEOUT_SECONDS):
                provider = await self._current_provider()
                points = await self._points(provider)
        except TimeoutError:
            self.fail(SignalUnreachable("the source does not answer in time"))
        except SignalError as error:
            self.fail(error)
        else:
            self._answered(provider, points)
            if self._forecasts_to is not None and isinstance(provider, Forecasts):
                await self._ask_forecast(provider, self._forecasts_to)

    def fail(self, error: SignalError) -> None:
        """Ask again later, later each time, and with what is then in the Secret."""
        before = self._keeper.latest.error
        if before is None or str(before) != str(error):
            self._log("signal failed", reason=error.reason, error=str(error))
        delay = min(RETRY_LAST_SECONDS, RETRY_FIRST_SECONDS * 2 ** min(self._failures, 16))
        delay *= 0.5 + 0.5 * self._asking.jitter()
        asked_for = min(error.retry_after or 0.0, RETRY_AFTER_LAST_SECONDS)
        self._failures += 1
        rest = self._provider.cadence.rest if self._provider else 0.0
        self.due = self._asking.clock.monotonic() + max(delay, asked_for, rest)
        # The provider stays: WattTime allows so many log-ins. A new key makes it anew.
        self._texts_read = -math.inf
        self._keeper.latest.fail(error)
        self._on_news()

    async def _current_provider(self) -> Asked[PointT]:
        """The provider, made anew when what its source refers to has changed."""
        ref, now = reference(self._source), self._asking.clock.monotonic()
        if self._provider and (ref is None or now - self._texts_read < REFERENCE_SECONDS):
            return self._provider
        texts: dict[str, str] = {}
        if ref is not None:
            try:
                texts = await self._asking.objects.texts(ref)
            except SignalUnreachable:
                if self._provider is None:
                    raise
                return self._provider
        provider = self._provider
        if provider is None or texts != self._texts:
            provider = await asyncio.to_thread(self._make, texts)
        self._provider, self._texts, self._texts_read = provider, texts, now
        return provider

    async def _points(self, provider: Asked[PointT]) -> list[PointT]:
        await self._keeper.begin(provider, self._asking.objects)
        now = self._asking.clock.now()
        start = self._keeper.ask_from(now, timedelta(seconds=provider.cadence.revised))
        points = await self._timed(lambda: provider.points(start, now))
        return [point for point in points if point.start <= now]

    def _answered(self, provider: Asked[PointT], points: list[PointT]) -> None:
        if self._keeper.latest.error is not None:
            log.info("signal is back", extra={"zone": self._zone_name})
        now = self._asking.clock.now()
        self._keeper.take(points, provider.cadence, now)
        self._failures = 0
        self.due = self._asking.clock.monotonic() + self._next_question(provider, now)
        self._on_news()

    def _next_question(self, provider: Asked[PointT], now: Instant) -> float:
        """Seconds until the source is worth asking again: at the end of the interval at last."""
        poll, newest = provider.cadence.poll, self._keeper.latest.newest
        if newest and newest.end > now:
            rest = (newest.end - now).total_seconds() + _INTO_INTERVAL_SECONDS
            poll = min(poll, rest)
        return max(_MIN_REST_SECONDS, provider.cadence.rest, poll)

    async def _ask_forecast(self, provider: Forecasts, signal: ZoneSignal) -> None:
        """A forecast that cannot be had takes nothing away: the one before holds to its end."""
        clock = self._asking.clock
        if clock.monotonic() < self._forecast_due:
            return
        self._forecast_due = clock.monotonic() + FORECAST_SECONDS
        try:
            async with self._asking.slots, asyncio.timeout(POLL_TIMEOUT_SECONDS):
                forecast = await self._timed(lambda: provider.forecast(clock.now()))
        except (SignalError, TimeoutError) as error:
            self._log("forecast failed", error=str(error))
            return
        if forecast is not None:
            signal.forecast = forecast
            self._on_news()

    async def _timed(self, question: Callable[[], T]) -> T:
        begun, result = self._asking.clock.monotonic(), "NoAnswer"
        try:
            answer = await asyncio.to_thread(question)
        except SignalError as error:
            result = error.reason
            raise
        else:
            result = "ok"
            return answer
        finally:
            seconds = self._asking.clock.monotonic() - begun
            self._asking.observe(self._source.type, result, seconds)

    def _log(self, event: str, **fields: object) -> None:
        log.warning(event, extra={"zone": self._zone_name, **fields})
