"""The operator's life: in which order its parts start, and stop.

Health and metrics come first, so that probes have an answer while the rest waits for the CRDs.
The store is filled before kopf starts: from then on what is not in it does not exist. What acts
lives in the scope of the lease. At SIGTERM nothing more is begun, writes in flight end, the lease
is given back, and the feed stops last.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from carbonaware_operator.api.schema import CRD_NAMES
from carbonaware_operator.cluster.agents import AgentScraper
from carbonaware_operator.cluster.definitions import established
from carbonaware_operator.cluster.events import Recorder
from carbonaware_operator.cluster.feed import run_feed
from carbonaware_operator.cluster.jobs import JobWriter
from carbonaware_operator.cluster.kube import ApiError, KubeClient, connect
from carbonaware_operator.cluster.lease import Elector, Scope
from carbonaware_operator.cluster.ledgers import LedgerWriter
from carbonaware_operator.cluster.sweep import fill, sweep
from carbonaware_operator.engine.accountant import Accountant
from carbonaware_operator.engine.clock import Clock, SystemClock
from carbonaware_operator.engine.forecasts import ForecastsLoop
from carbonaware_operator.engine.guard_check import GuardCheck
from carbonaware_operator.engine.inbox import StoreInbox
from carbonaware_operator.engine.planner import Planner
from carbonaware_operator.engine.pod_reasons import PodReasons
from carbonaware_operator.engine.prices import PricesLoop
from carbonaware_operator.engine.signals import SignalsLoop
from carbonaware_operator.engine.workqueue import Backoff, WorkQueue
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.sources import Permissions
from carbonaware_operator.planning.resolve import SETTINGS
from carbonaware_operator.settings import Settings
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics
from carbonaware_operator.telemetry.server import Readiness, serve

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
START = Backoff(2.0, 2.0)


@dataclass(slots=True)
class Operator:
    """All parts of one operator process."""

    settings: Settings
    kube: KubeClient
    clock: Clock = field(default_factory=SystemClock)
    readiness: Readiness = field(default_factory=Readiness)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: JobStore = field(init=False)
    zones: ZoneStore = field(default_factory=ZoneStore)
    metrics: OperatorMetrics = field(init=False)
    elector: Elector = field(init=False)
    scope: Scope = field(init=False)
    planner: Planner = field(init=False)
    signals: SignalsLoop = field(init=False)
    prices: PricesLoop = field(init=False)
    forecasts: ForecastsLoop = field(init=False)
    accountant: Accountant = field(init=False)
    inbox: StoreInbox = field(init=False)
    guards: GuardCheck = field(init=False)
    pod_reasons: PodReasons = field(init=False)

    def __post_init__(self) -> None:
        """Wire the parts; nothing runs yet."""
        settings = self.settings
        defaults = replace(
            SETTINGS, zone_name=settings.default_zone, max_delay=settings.default_max_delay
        )
        self.jobs = JobStore(defaults=(defaults,))
        self.metrics = OperatorMetrics(
            self.jobs, self.zones, version("carbonaware"), self.clock.now
        )
        self.scope = Scope(
            {
                "planner": lambda: self.planner.run(),
                "accountant": lambda: self.accountant.run(),
                "archives": lambda: self.signals.lead(),
                "pod reasons": lambda: self.pod_reasons.run(),
            }
        )
        self.elector = self._elector()
        self.metrics.led_by(self._leading)
        acting = self.kube.guarded(self._leading)
        self.planner = self._planner(acting)
        self.pod_reasons = PodReasons(
            jobs=self.jobs,
            kube=acting,
            writer=JobWriter(acting),
            recorder=self._recorder(acting),
            clock=self.clock,
        )
        self.signals = self._signals(acting)
        self.prices = PricesLoop(
            zones=self.zones, clock=self.clock, egress=self._permissions().egress
        )
        self.forecasts = ForecastsLoop(
            histories=self.signals, clock=self.clock, prices=self.prices.past
        )
        self.accountant = self._accountant(acting)
        self.guards = GuardCheck(kube=self.kube, zones=self.zones, metrics=self.metrics)
        self.inbox = StoreInbox(
            self.jobs,
            self.zones,
            touch=self.planner.touch,
            zone_changed=self._zone_changed,
            forgotten=self.planner.forget,
            room=self.planner.room,
            name_freed=self.planner.name_freed,
        )

    def _leading(self) -> bool:
        return self.elector.leading

    def _zone_changed(self, name: str) -> None:
        self.signals.zone_changed(name)
        self.planner.zone_changed(name)

    def _outlook_changed(self, name: str) -> None:
        self.metrics.grid_updated(name)
        self.planner.outlook_changed(name)

    def _elector(self) -> Elector:
        return Elector(
            self.kube,
            self.clock,
            namespace=self.settings.namespace,
            name=self.settings.lease_name,
            # Two processes of one name, such as a container and its successor, must not both lead.
            identity=f"{self.settings.identity}_{token_hex(4)}",
            on_change=self.scope.led,
        )

    def _planner(self, kube: KubeClient) -> Planner:
        return Planner(
            jobs=self.jobs,
            zones=self.zones,
            writer=JobWriter(kube),
            recorder=self._recorder(kube),
            metrics=self.metrics,
            clock=self.clock,
            releases_per_second=self.settings.releases_per_second,
        )

    def _recorder(self, kube: KubeClient) -> Recorder:
        return Recorder(kube, self.settings.identity, lambda: self.zones.records)

    def _permissions(self) -> Permissions:
        settings = self.settings
        egress = Egress(
            frozenset(settings.allowed_provider_hosts), settings.allow_local_provider_addresses
        )
        return Permissions(egress, settings.recordings_folder)

    def _signals(self, kube: KubeClient) -> SignalsLoop:
        return SignalsLoop(
            zones=self.zones,
            kube=kube,
            clock=self.clock,
            namespace=self.settings.namespace,
            permissions=self._permissions(),
            period_seconds=self.settings.accounting_period_seconds,
            on_change=self._outlook_changed,
            observe=self.metrics.provider_asked,
        )

    def _accountant(self, kube: KubeClient) -> Accountant:
        return Accountant(
            jobs=self.jobs,
            zones=self.zones,
            agents=AgentScraper(
                self.kube,
                namespace=self.settings.namespace,
                service=self.settings.agent_service,
                urls=self.settings.agent_urls,
            ),
            ledgers=LedgerWriter(kube),
            archive_of=self.signals.archive,
            metrics=self.metrics,
            clock=self.clock,
            period_seconds=self.settings.accounting_period_seconds,
            interval_seconds=self.settings.accounting_interval_seconds,
        )


class CannotStartError(Exception):
    """A setting cannot be used on this machine; the message names its flag."""


async def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT; the exit code. Raises CannotStartError."""
    api = await _connected(settings.kubeconfig)
    try:
        return await _serving(Operator(settings, KubeClient(api)))
    finally:
        await api.close()


def _require_file(kubeconfig: str | None) -> None:
    """The client's own message does not name a file that is missing."""
    if kubeconfig and not Path(kubeconfig).is_file():
        raise CannotStartError(f"--kubeconfig {kubeconfig} must be a file that exists")


async def _connected(kubeconfig: str | None) -> ApiClient:
    _require_file(kubeconfig)
    try:
        return await connect(kubeconfig)
    except ConfigException as error:
        raise CannotStartError(f"--kubeconfig must name a cluster to use: {error}") from error


async def _serving(operator: Operator) -> int:
    address = operator.settings.listen
    _stop_on_signals(operator.stop)
    try:
        server = await serve(address, operator.metrics.registry, operator.readiness)
    except OSError as error:
        raise CannotStartError(f"--listen {address} cannot be used: {error.strerror}") from error
    log.info("listening", extra={"address": address})
    try:
        return await _live(operator)
    finally:
        await server.cleanup()


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def _live(operator: Operator) -> int:
    started = asyncio.create_task(_start(operator))
    stopping = asyncio.create_task(operator.stop.wait())
    await asyncio.wait({started, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        started.cancel()
        return 0
    started.result()
    feed_stop, feed_ready = asyncio.Event(), asyncio.Event()
    feed = asyncio.create_task(_feed(operator, feed_stop, feed_ready), name="feed")
    loops = {
        "elector": operator.elector.run(),
        "scope": operator.scope.run(),
        "signals": operator.signals.run(),
        "prices": operator.prices.run(),
        "forecasts": operator.forecasts.run(),
        "sweep": _sweep_for_ever(operator),
    }
    tasks = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]
    operator.readiness.waiting_for = "waiting for the watches"
    watching = asyncio.create_task(_watching(operator, feed_ready))
    # Whatever ends first ends the operator; that it never became ready is no reason to wait.
    await asyncio.wait({stopping, feed, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    watching.cancel()
    return await _shut_down(operator, [*tasks, feed], feed_stop)


async def _feed(operator: Operator, stop: asyncio.Event, ready: asyncio.Event) -> None:
    given = operator.settings
    await run_feed(
        operator.inbox,
        given.kubeconfig,
        identity=given.identity,
        namespaces=given.watch_namespaces,
        stop=stop,
        ready=ready,
    )


async def _watching(operator: Operator, ready: asyncio.Event) -> None:
    """Say that the operator is ready once the feed is."""
    await ready.wait()
    _stop_on_signals(operator.stop)  # kopf has put its own handlers in place of ours
    operator.readiness.waiting_for = ""
    log.info("ready", extra={"jobs": len(operator.jobs.records)})


async def _start(operator: Operator) -> None:
    """Wait for the CRDs and fill the store, however long the API server takes."""
    for name in CRD_NAMES:
        operator.readiness.waiting_for = f"waiting for the CRD {name}: apply crds/"
        await _persistently(operator.clock, partial(established, operator.kube, name), name)
    await operator.guards.check()
    operator.readiness.waiting_for = "listing objects"
    await _persistently(operator.clock, partial(_filled, operator), "objects")
    # What is there now stays: to look through it for garbage held the loop up for 94 ms of
    # processor time with 1,000 jobs, in the middle of their release.
    gc.freeze()


async def _persistently(clock: Clock, attempt: Callable[[], Awaitable[bool]], subject: str) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add(subject)
    while True:
        await queue.get()
        try:
            if await attempt():
                return
            log.info("waiting", extra={"for": subject})
        except ApiError as error:
            log.warning("waiting", extra={"for": subject, "error": error.message})
        queue.add_rate_limited(subject, START)
        queue.done(subject)


async def _filled(operator: Operator) -> bool:
    await fill(operator.kube, operator.inbox, operator.settings.watch_namespaces)
    return True


async def _sweep_for_ever(operator: Operator) -> None:
    """The safety net: compare with the cluster, and decide on everything anew."""
    while True:
        await operator.clock.sleep(operator.settings.sweep_seconds)
        await operator.guards.check()
        swept = await sweep(
            operator.kube,
            operator.inbox,
            operator.jobs,
            operator.zones,
            operator.settings.watch_namespaces,
        )
        log.info("swept", extra={"dropped": swept.dropped, "read": swept.read})
        operator.planner.touch_all()


async def _shut_down(
    operator: Operator, tasks: list[asyncio.Task[Any]], feed_stop: asyncio.Event
) -> int:
    operator.readiness.waiting_for = "shutting down"
    elector, scope, *loops, feed = tasks
    failed = [t for t in tasks if t.done() and not t.cancelled() and t.exception()]
    for task in failed:
        log.error("loop failed", exc_info=task.exception(), extra={"loop": task.get_name()})
    await _cancelled(loops)
    await operator.planner.drain(DRAIN_SECONDS)
    await operator.signals.close()
    await _cancelled([scope, elector])
    await operator.elector.release()
    feed_stop.set()
    await asyncio.wait({feed}, timeout=DRAIN_SECONDS)
    log.info("stopped")
    return 1 if failed else 0


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
