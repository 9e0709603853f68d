"""The prices loop: what a kilowatt-hour costs now in every zone that has a tariff.

Every replica follows the prices; the signals loop of the leader writes them to the status.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import SystemRandom

from carbonaware_operator.api import tariff as api
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.grid.day_ahead import POLL_SECONDS, DayAhead
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.energy_charts import DEFAULT_URL
from carbonaware_operator.grid.errors import SignalError
from carbonaware_operator.grid.tariff import MarketPrices, Tariff, tariff_of
from carbonaware_operator.store.zones import ZoneStore

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
RETRY_FIRST_SECONDS = 60.0
PAST_RETRY_SECONDS = 24 * 3600.0
RETRY_AFTER_LAST_SECONDS = 24 * 3600.0
_RANDOM = SystemRandom()


@dataclass(slots=True)
class _ZonePrice:
    """One zone's tariff; `due` and `past_due` are when to ask the market, on the monotonic clock.

    past: what the market's prices were, and are; None before it has told.
    """

    spec: api.Tariff
    tariff: Tariff | None
    source: DayAhead | None
    market: MarketPrices | None = None
    past: MarketPrices | None = None
    due: float = 0.0
    past_due: float = 0.0
    failures: int = 0
    error: str = ""
    asking: asyncio.Task[None] | None = None


class PricesLoop:
    """Keeps `ZoneStore.prices`."""

    def __init__(
        self,
        *,
        zones: ZoneStore,
        clock: Clock,
        egress: Egress,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        """Wire the loop.

        egress: where markets may be asked; jitter: from 0 to 1, spreads questions to them.
        """
        self._store, self._clock, self._jitter = zones, clock, jitter
        self._egress = egress
        self._zones: dict[str, _ZonePrice] = {}

    async def run(self) -> None:
        """Follow the prices until cancelled; nothing that a market does ends it."""
        try:
            while True:
                self.look()
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            tasks = [zone.asking for zone in self._zones.values() if zone.asking is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def past(self, zone_name: str) -> MarketPrices | None:
        """Day-ahead prices of a zone, past and published; None where there are none."""
        zone = self._zones.get(zone_name)
        return zone.past if zone else None

    def look(self) -> None:
        """Take in changes of tariffs, ask the markets that are due, and price every zone anew."""
        self._take_changes()
        now, monotonic = self._clock.now(), self._clock.monotonic()
        for name, zone in self._zones.items():
            if zone.source is not None and zone.asking is None and monotonic >= zone.due:
                zone.asking = asyncio.create_task(self._ask(name, zone, zone.source))
                zone.asking.add_done_callback(partial(self._asked, name, zone))
        self._store.prices = {
            name: zone.tariff.price_at(now, zone.market)
            for name, zone in self._zones.items()
            if zone.tariff is not None
        }

    def _take_changes(self) -> None:
        specs = {
            name: record.spec.tariff
            for name, record in self._store.records.items()
            if record.spec.tariff is not None
        }
        for name in self._zones.keys() - specs.keys():
            self._drop(name)
        for name, spec in specs.items():
            known = self._zones.get(name)
            if known is None or known.spec != spec:
                self._drop(name)
                self._zones[name] = _zone_price(name, spec, self._egress)

    def _drop(self, name: str) -> None:
        zone = self._zones.pop(name, None)
        if zone is not None and zone.asking is not None:
            zone.asking.cancel()

    async def _ask(self, name: str, zone: _ZonePrice, source: DayAhead) -> None:
        try:
            zone.market = await asyncio.to_thread(source.prices, self._clock.now())
        except SignalError as error:
            self._failed(name, zone, str(error), error.retry_after or 0.0)
        else:
            zone.failures, zone.error = 0, ""
            self._ask_again(zone, POLL_SECONDS)
            await self._learn(name, zone, source)

    async def _learn(self, name: str, zone: _ZonePrice, source: DayAhead) -> None:
        """What forecasts learn from: asked for once, and from then on kept up hour by hour."""
        if zone.past is None and self._clock.monotonic() >= zone.past_due:
            zone.past_due = self._clock.monotonic() + PAST_RETRY_SECONDS
            try:
                zone.past = await asyncio.to_thread(source.past, self._clock.now())
            except SignalError as error:
                log.warning("past prices not told", extra={"zone": name, "error": str(error)})
        if zone.past is not None and zone.market is not None:
            zone.past = zone.past.then(zone.market)

    def _failed(self, name: str, zone: _ZonePrice, error: str, asked_for: float = 0.0) -> None:
        """Ask again later, later each time; the prices that are known hold."""
        if error != zone.error:
            log.warning("market failed", extra={"zone": name, "error": error})
        zone.error = error
        delay = min(POLL_SECONDS, RETRY_FIRST_SECONDS * 2 ** min(zone.failures, 16))
        zone.failures += 1
        self._ask_again(zone, max(delay, min(asked_for, RETRY_AFTER_LAST_SECONDS)))

    def _ask_again(self, zone: _ZonePrice, seconds: float) -> None:
        zone.due = self._clock.monotonic() + seconds * (1 + 0.1 * self._jitter())

    def _asked(self, name: str, zone: _ZonePrice, task: asyncio.Task[None]) -> None:
        zone.asking = None
        if not task.cancelled() and (bug := task.exception()) is not None:
            log.error("market failed", exc_info=bug, extra={"zone": name})
            self._failed(name, zone, "the market failed in an unforeseen way")


def _zone_price(name: str, spec: api.Tariff, egress: Egress) -> _ZonePrice:
    try:
        tariff = tariff_of(spec)
    except SignalError as error:
        log.warning("tariff unusable", extra={"zone": name, "error": str(error)})
        tariff = None
    source = None
    if (market := spec.day_ahead) is not None:
        source = DayAhead(
            bidding_zone=market.bidding_zone,
            currency=spec.currency,
            url=market.url or DEFAULT_URL,
            egress=egress,
        )
    return _ZonePrice(spec, tariff, source)
