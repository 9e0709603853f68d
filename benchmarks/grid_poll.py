"""What it costs to follow 50 zones whose providers are asked every five minutes.

An hour is simulated: the clock is moved by hand, the questions go over real connections to a server
in another process. Partner in the same run: as many bare calls of `requests` to the same server.
Prints one line of JSON: processor time as a share of one core over the hour.
"""

import asyncio
import json
import multiprocessing
import os
import sys
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import requests

import fakes
import provider_answers
from carbonaware_operator.cluster.kube import CARBON_ZONES, SECRETS
from carbonaware_operator.engine.signals import SignalsLoop
from carbonaware_operator.store.zones import ZoneStore, zone_record
from replay_server import PERMISSIONS, ReplayServer

START = datetime(2026, 6, 15, tzinfo=UTC)
ZONES = 50
KINDS = ("electricity-maps", "watt-time", "sdk")
HOUR_SECONDS = 3600
WARM_UP_SECONDS = 600  # the back-fill and the first forecasts are asked for once
NAMESPACE = "carbonaware-system"


def main() -> None:
    """Follow the zones for an hour, make the partner's calls, and print one JSON line."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    seconds = multiprocessing.Value("d", START.timestamp())
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(seconds, theirs), daemon=True)
    server.start()
    try:
        url = ours.recv()
        used, polls = asyncio.run(_follow(url, seconds, ours))
        ours.send("asked")
        asked: list[str] = ours.recv()
        bare = _bare(asked)
    finally:
        server.terminate()
        server.join()
    print(
        json.dumps(
            {
                "benchmark": "grid_poll",
                "zones": ZONES,
                "polls": polls,
                "questions": len(asked),
                "cpu_percent_of_a_core": round(100 * used / HOUR_SECONDS, 3),
                "milliseconds_of_cpu_per_poll": round(1000 * used / polls, 2),
                "bare_requests_cpu_percent_of_a_core": round(100 * bare / HOUR_SECONDS, 3),
            }
        )
    )


def _serve(seconds: "Synchronized[float]", pipe: Connection) -> None:
    """All providers at the time that `seconds` holds; tells what the last hour asked for."""
    providers = provider_answers.Providers(lambda: datetime.fromtimestamp(seconds.value, UTC))
    server = ReplayServer(providers)
    pipe.send(server.url)
    while True:
        message = pipe.recv()
        if message == "forget":
            server.asked.clear()
            pipe.send("forgotten")
        else:
            pipe.send([_url(server.url, asked.path, asked.query) for asked in server.asked])


def _url(base: str, path: str, query: dict[str, str]) -> str:
    return str(requests.Request("GET", base + path, params=query).prepare().url)


async def _follow(url: str, seconds: "Synchronized[float]", pipe: Connection) -> tuple[float, int]:
    """Processor time and polls of an hour, after a warm-up."""
    clock, kube, store = fakes.ManualClock(START), fakes.FakeKube(), ZoneStore()
    polls: list[str] = []
    loop = SignalsLoop(
        zones=store,
        kube=kube,
        clock=clock,
        namespace=NAMESPACE,
        permissions=PERMISSIONS,
        on_change=lambda _: None,
        observe=lambda provider, result, _: polls.append(f"{provider} {result}"),
    )
    _fill(kube, store, url)
    tasks = [asyncio.create_task(each) for each in (loop.run(), loop.lead())]
    await loop.primed()
    await _pass(loop, clock, seconds, WARM_UP_SECONDS)
    polls.clear()
    pipe.send("forget")
    pipe.recv()
    before = time.process_time()
    await _pass(loop, clock, seconds, HOUR_SECONDS)
    used = time.process_time() - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if failed := [poll for poll in polls if not poll.endswith(" ok")]:
        sys.exit(f"{len(failed)} of {len(polls)} polls failed: {failed[0]}")
    return used, len(polls)


def _fill(kube: fakes.FakeKube, store: ZoneStore, url: str) -> None:
    for name, plain in provider_answers.SECRETS.items():
        kube.put(SECRETS, NAMESPACE, provider_answers.secret(name, **plain))
    specs = provider_answers.sources(url)
    for number in range(ZONES):
        metadata = {"name": f"zone-{number}", "creationTimestamp": f"{START:%FT%TZ}"}
        spec = specs[KINDS[number % len(KINDS)]]
        store.apply(zone_record(kube.put(CARBON_ZONES, None, {"metadata": metadata, "spec": spec})))


async def _pass(
    loop: SignalsLoop, clock: fakes.ManualClock, seconds: "Synchronized[float]", span: float
) -> None:
    """Let time pass in the steps in which the loop looks at its zones anyway."""
    for _ in range(round(span / 10)):
        await clock.advance(10)
        seconds.value = clock.now().timestamp()
        await fakes.eventually(lambda: _idle(loop), seconds=60)


def _idle(loop: SignalsLoop) -> bool:
    zones = loop._zones.values()  # noqa: SLF001 - nobody else needs to know
    return all(z.writing is None and all(f.task is None for f in z.feeds) for z in zones)


def _bare(urls: list[str]) -> float:
    """Processor time of the same questions with nothing around them."""
    before = time.process_time()
    for url in urls:
        answer: Any = requests.get(url, timeout=10).json()
        if not answer:
            sys.exit(f"no answer from {url}")
    return time.process_time() - before
