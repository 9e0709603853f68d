"""A day of providers that fail three times in ten, in every way they can.

24 hours are simulated: the clock is moved by hand, everything else is what the operator runs, over
real connections to a server on loopback. Prints one line of JSON; exits with 1 when an exception
escaped, a zone had nothing to decide on, a number was of the wrong kind, or a provider was asked
more often than it allows.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import fakes
import provider_answers
from carbonaware_operator.cluster.kube import CARBON_ZONES, CONFIG_MAPS, SECRETS
from carbonaware_operator.engine.signals import SignalsLoop
from carbonaware_operator.grid import endpoint
from carbonaware_operator.planning.outlook import Signal
from carbonaware_operator.store.zones import ZoneStore, zone_record
from provider_answers import AVERAGE_GRAMS, MARGINAL_GRAMS, Faults, Providers
from replay_server import PERMISSIONS, ReplayServer

START = datetime(2026, 6, 15, tzinfo=UTC)
HOURS = 24
SHARE = 0.3
STEP_SECONDS = 60.0
READ_TIMEOUT, SLOW = 0.05, 0.2
NAMESPACE = "carbonaware-system"
LIMITS = {
    # provider's path -> (questions, in so many seconds): published, or what it puts up with
    "/wt/login": (100, 300),
    "/wt/v3": (3000, 300),
    "/ec": (1, 900),
}


@dataclass
class Result:
    """What came of a run."""

    escaped: list[str] = field(default_factory=list)
    undecidable: Counter[str] = field(default_factory=Counter)
    wrong_kind: list[str] = field(default_factory=list)
    over_limit: dict[str, int] = field(default_factory=dict)
    fresh: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    questions: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether all held that must."""
        return not (self.escaped or self.undecidable or self.wrong_kind or self.over_limit)

    def line(self, seconds: float) -> dict[str, Any]:
        """The result as it is printed."""
        return {
            "benchmark": "grid_faults",
            "simulated_hours": round(self.looks * STEP_SECONDS / 3600, 1),
            "questions": sum(self.questions.values()),
            "failed_questions": sum(self.faults.values()),
            "kinds_of_failure": sum(1 for count in self.faults.values() if count),
            "exceptions_escaped": len(self.escaped),
            "minutes_without_usable_signal": sum(self.undecidable.values()),
            "numbers_of_the_wrong_kind": len(self.wrong_kind),
            "over_limit": self.over_limit,
            "fresh_percent": {
                zone: round(100 * count / self.looks, 1)
                for zone, count in sorted(self.fresh.items())
            },
            "questions_by_provider": dict(sorted(self.questions.items())),
            "wall_seconds": round(seconds, 1),
        }


class Escapes(logging.Handler):
    """Collects what was logged as an error: an exception that nothing had foreseen."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the event."""
        self._into.append(f"{record.getMessage()}: {record.exc_info and record.exc_info[1]!r}")


class World:
    """One operator's signals loop among providers that fail."""

    def __init__(self, server: ReplayServer, *, share: float, seed: int) -> None:
        self.clock, self.kube, self.store = fakes.ManualClock(START), fakes.FakeKube(), ZoneStore()
        self.result = Result()
        self.providers = Providers(self.clock.now)
        self.asked: list[tuple[float, str]] = []
        self._server = server
        self._faults = Faults(
            self.providers,
            share=share,
            random=Random(seed),  # noqa: S311 - faults are to be the same in every run
            slow=SLOW,
            elsewhere=f"{server.url}/elsewhere",
        )
        server.script = self._answer
        self.loop = SignalsLoop(
            zones=self.store,
            kube=self.kube,
            clock=self.clock,
            namespace=NAMESPACE,
            permissions=PERMISSIONS,
            on_change=lambda _: None,
            jitter=lambda: 1.0,
        )

    def _answer(self, asked: Any) -> Any:
        self.asked.append((self.clock.monotonic(), asked.path))
        return self._faults(asked)

    def fill(self) -> None:
        """A zone for each provider, and what they refer to."""
        for name, plain in provider_answers.SECRETS.items():
            self.kube.put(SECRETS, NAMESPACE, provider_answers.secret(name, **plain))
        self.kube.put(CONFIG_MAPS, provider_answers.EXPORTER[0], self.providers.exporter())
        for name, spec in provider_answers.sources(self._server.url).items():
            metadata = {"name": name, "creationTimestamp": f"{START:%FT%TZ}", "generation": 1}
            body = self.kube.put(CARBON_ZONES, None, {"metadata": metadata, "spec": spec})
            self.store.apply(zone_record(body))

    async def live(self, minutes: int) -> None:
        """Let so many minutes pass and look at every zone after each."""
        tasks = [asyncio.create_task(each) for each in (self.loop.run(), self.loop.lead())]
        await self.loop.primed()
        for minute in range(minutes):
            if minute % 720 == 0:
                self.kube.put(CONFIG_MAPS, provider_answers.EXPORTER[0], self.providers.exporter())
            await self.clock.advance(STEP_SECONDS)
            await fakes.eventually(self._idle, seconds=60)
            self._look()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._count()

    def _idle(self) -> bool:
        zones = self.loop._zones.values()  # noqa: SLF001 - nobody else needs to know
        return all(z.writing is None and all(f.task is None for f in z.feeds) for z in zones)

    def _look(self) -> None:
        self.result.looks += 1
        for name in self.store.records:
            outlook, reading = self.store.outlooks[name], self.store.readings[name]
            if isinstance(outlook.current, Signal):
                self.result.fresh[name] += 1
                self._check(name, outlook.current.intensity / 1000, AVERAGE_GRAMS)
            elif outlook.fallback.intensity <= 0 or not outlook.fallback.source:
                self.result.undecidable[name] += 1
            for value in reading.forecast.values if reading.forecast else ():
                self._check(name, value / 1000, AVERAGE_GRAMS)
            if reading.marginal is not None:
                grams = reading.marginal.intensity.marginal_milligrams_per_kwh / 1000
                self._check(name, grams, MARGINAL_GRAMS)

    def _check(self, name: str, grams: float, bounds: tuple[int, int]) -> None:
        if not bounds[0] - 1 <= grams <= bounds[1] + 1:
            self.result.wrong_kind.append(f"{name}: {grams}")

    def _count(self) -> None:
        self.result.faults = self._faults.counts
        self.result.questions = Counter(path.split("/")[1] for _, path in self.asked)
        for prefix, (most, seconds) in LIMITS.items():
            times = [at for at, path in self.asked if path.startswith(prefix)]
            busiest = max(
                (sum(1 for t in times[n:] if t < at + seconds) for n, at in enumerate(times)),
                default=0,
            )
            if busiest > most:
                self.result.over_limit[prefix] = busiest


def run(*, hours: float, share: float = SHARE, seed: int = 1) -> Result:
    """Simulate so many hours in which a share of all questions fails."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    log, server = logging.getLogger("carbonaware_operator"), ReplayServer()
    world = World(server, share=share, seed=seed)
    handler = Escapes(world.result.escaped)
    before = endpoint._TIMEOUT, log.level, log.propagate  # noqa: SLF001 - a day takes a minute
    endpoint._TIMEOUT = (5.0, READ_TIMEOUT)  # noqa: SLF001
    log.addHandler(handler)
    log.propagate = False
    try:
        world.fill()
        asyncio.run(world.live(round(hours * 60)))
    finally:
        log.removeHandler(handler)
        endpoint._TIMEOUT, log.level, log.propagate = before  # noqa: SLF001
        server.close()
    return world.result


def main() -> None:
    """Run a day and print one JSON line."""
    begun = time.monotonic()
    result = run(hours=HOURS)
    print(json.dumps(result.line(time.monotonic() - begun)))
    if not result.good:
        print(json.dumps({"escaped": result.escaped[:5], "wrong_kind": result.wrong_kind[:5]}))
        sys.exit(1)
