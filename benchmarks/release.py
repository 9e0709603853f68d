"""One threshold crossing that releases thousands of jobs, beside a bare client's creations.

The jobs are held in one zone, with deadlines in an order of their own; a second client creates the
same Jobs in another namespace, and then the zone's value falls below all limits. Measured: the rate
at which the operator creates Jobs from the first to the last, by the API server's own watch; how
many were created out of their turn, by more places than requests can be under way at once; how long
the longest answer of /healthz and the longest time between two renewals of the Lease were; when all
statuses were right. Then the same with fewer jobs through a proxy that refuses a share of all
writes with 429 or 409.
Prints one line of JSON for each run, then a table.
"""

import argparse
import asyncio
import itertools
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import yaml

from api_proxy import ApiProxy, Asked, Fault, Refusal
from benchmarks.bare_client import CARBON_AWARE_JOBS, IN_FLIGHT, JOBS, BareClient, bare_client
from benchmarks.held_jobs import (
    NAMESPACE,
    Object,
    PlayedZone,
    a_held_job,
    a_static_zone,
    numbers,
    table,
    wait_until_held,
    wait_until_quiet,
    wait_until_ready,
)
from benchmarks.watched_operator import watched_operator
from testbed.cluster import Cluster

MAX_GRAMS = 100
CLEAN = 50
PATIENCE_SECONDS = 60.0  # without any progress
PROBE_SECONDS = 0.1
TOO_MANY, CONFLICT = 0.10, 0.05  # shares of the writes that the proxy refuses
COLUMNS = {
    "run": "run",
    "jobs": "jobs",
    "rate": "released/s",
    "bare_rate": "bare client, Jobs/s",
    "ratio": "ratio",
    "first_seconds": "s to the first",
    "told_seconds": "s until all are told",
    "out_of_turn": f"more than {IN_FLIGHT} places from their turn",
    "farthest": "farthest from its turn",
    "health_max_seconds": "/healthz, max s",
    "lease_gap_seconds": "between renewals, max s",
    "longest_block_processor": "block, ms",
    "longest_block": "block by the wall, ms",
    "wrong": "wrong statuses",
}


def main(arguments: list[str] | None = None) -> None:
    """Run both on one cluster."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks release", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000, help="jobs of the undisturbed run")
    parser.add_argument("--disturbed-jobs", type=int, default=1_000, help="jobs of the other")
    given = parser.parse_args(arguments)
    with (
        Cluster.start(
            f"bench-release-{os.getpid()}", node="simulated", crds=Path("crds")
        ) as cluster,
        tempfile.TemporaryDirectory() as name,
    ):
        cluster.kubectl("create", "namespace", NAMESPACE)
        rows = [Run("undisturbed", cluster, Path(name)).measure(given.jobs)]
        print(json.dumps({"benchmark": "release"} | rows[-1]), flush=True)
        with ApiProxy(cluster) as proxy:
            proxy.disturb = refused_at_random(Random(1))  # noqa: S311 - the same in every run
            run = Run("429 and 409", cluster, Path(name), proxy.url)
            rows.append(run.measure(given.disturbed_jobs))
            print(json.dumps({"benchmark": "release"} | rows[-1]), flush=True)
    print(table(COLUMNS, rows))


def refused_at_random(random: Random) -> Any:
    """Refuses a share of all writes as a busy API server does."""
    many = Refusal(429, "TooManyRequests", "too many requests, please try again later", 1)
    conflict = Refusal(
        409, "Conflict", "the object has been modified; please apply your changes to the latest"
    )

    def disturb(asked: Asked) -> Fault | None:
        if asked.method == "GET" or "/leases" in asked.path:
            return None
        drawn = random.random()
        return many if drawn < TOO_MANY else conflict if drawn < TOO_MANY + CONFLICT else None

    return disturb


@dataclass
class Probes:
    """What was seen of the operator while it released."""

    health_max: float = 0.0
    renewals: list[float] = field(default_factory=list)

    @property
    def lease_gap(self) -> float:
        """The longest time between two renewals, seconds."""
        times = self.renewals
        return max((b - a for a, b in itertools.pairwise(times)), default=0.0)


class Run:
    """One crossing in a namespace and a zone of its own."""

    def __init__(self, name: str, cluster: Cluster, folder: Path, server: str = "") -> None:
        self._name, self._cluster, self._folder, self._server = name, cluster, folder, server
        self._space = "disturbed" if server else "undisturbed"
        self._deadlines: dict[str, datetime] = {}
        self._created: dict[str, float] = {}

    def measure(self, count: int) -> Object:
        """Fill, let the bare client create as many, cross, and wait until all is told."""
        self._cluster.apply([a_static_zone(self._space)])
        for namespace in (self._space, f"{self._space}-bare"):
            self._cluster.kubectl("create", "namespace", namespace)
        asyncio.run(self._fill(count))
        zone = PlayedZone.of(self._cluster, self._space, self._folder)
        log = self._folder / f"{self._space}.log"
        flags = (f"--namespace={NAMESPACE}", "--sweep-seconds=86400")
        with watched_operator(self._kubeconfig(), log, *flags) as operator:
            wait_until_ready(operator)
            wait_until_held(operator, count)
            wait_until_quiet(operator)
            bare = count / asyncio.run(self._bare(count))
            wait_until_quiet(operator)
            operator.look()
            with _probed(operator.url, self._cluster) as probes:
                row = asyncio.run(self._cross(zone, count))
            seen = operator.look()
        return {
            "run": self._name,
            "jobs": count,
            **row,
            "bare_rate": round(bare),
            "ratio": round(row["rate"] / bare, 2),
            **self._order(),
            "health_max_seconds": round(probes.health_max, 3),
            "lease_gap_seconds": round(probes.lease_gap, 2),
            "longest_block": round(seen.longest, 1),
            "longest_block_by": seen.longest_name,
            "longest_block_processor": round(seen.longest_processor, 1),
            "longest_block_processor_by": seen.longest_processor_name,
            "longest_collection": round(seen.longest_collection, 1),
        }

    def _kubeconfig(self) -> Path:
        if not self._server:
            return self._cluster.kubeconfig
        config = yaml.safe_load(self._cluster.kubeconfig.read_text())
        config["clusters"][0]["cluster"] = {"server": self._server}
        path = self._folder / "proxied.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    async def _fill(self, count: int) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        order = list(range(count))
        Random(2).shuffle(order)  # noqa: S311 - deadlines in another order than names and ages
        bodies = []
        for number, name in numbers(count):
            self._deadlines[name] = now + timedelta(hours=24, seconds=order[number])
            start_by = f"{self._deadlines[name]:%Y-%m-%dT%H:%M:%SZ}"
            bodies.append(a_held_job(name, self._space, MAX_GRAMS, startBy=start_by))
        async with bare_client(self._cluster.kubeconfig) as client:
            await client.create_all(CARBON_AWARE_JOBS.format(self._space), bodies)

    async def _bare(self, count: int) -> float:
        """Seconds for a client that does nothing but create the same Jobs on the same way."""
        path = JOBS.format(f"{self._space}-bare")
        async with bare_client(self._cluster.kubeconfig, self._server) as client:
            return await client.create_all(path, (_bare_job(name) for _, name in numbers(count)))

    async def _cross(self, zone: PlayedZone, count: int) -> Object:
        path = JOBS.format(self._space)
        async with bare_client(self._cluster.kubeconfig) as client:
            version = await client.version(path)
            watching = asyncio.create_task(self._watch(client, path, version, count))
            begun = time.monotonic()
            await asyncio.to_thread(zone.rest, CLEAN)
            await self._wait_for_jobs(watching)
            wrong = await self._wait_until_told(client)
            told = time.monotonic() - begun
        times = list(self._created.values())
        return {
            "released": len(times),
            "rate": round((len(times) - 1) / (times[-1] - times[0]), 1),
            "first_seconds": round(times[0] - begun, 2),
            "last_seconds": round(times[-1] - begun, 1),
            "told_seconds": round(told, 1),
            "wrong": wrong or 0,
        }

    async def _watch(self, client: BareClient, path: str, version: str, count: int) -> None:
        async for event in client.watch(path, version):
            if event["type"] == "ADDED":
                name = event["object"]["metadata"]["labels"]["carbonaware.io/job"]
                if name in self._created:
                    raise RuntimeError(f"{name} was started twice")
                self._created[name] = time.monotonic()
                if len(self._created) == count:
                    return

    async def _wait_for_jobs(self, watching: asyncio.Task[None]) -> None:
        """Until all are seen or no more come: what was never started is counted as wrong."""
        seen = -1
        while not watching.done() and len(self._created) > seen:
            seen = len(self._created)
            await asyncio.wait({watching}, timeout=PATIENCE_SECONDS)
        if not watching.cancel():
            watching.result()

    async def _wait_until_told(self, client: BareClient) -> dict[str, int]:
        """Until every status says that and why its job was let start; what stays wrong."""
        wrong, best, changed = Counter({"": -1}), sys.maxsize, time.monotonic()
        while wrong and time.monotonic() - changed < PATIENCE_SECONDS:
            await asyncio.sleep(1)
            jobs = await client.list(CARBON_AWARE_JOBS.format(self._space))
            wrong = Counter(w for job in jobs if (w := _wrong(job)))
            if wrong.total() < best:
                best, changed = wrong.total(), time.monotonic()
        return dict(wrong)

    def _order(self) -> Object:
        """By how many places jobs were created before or after their turn, which is by slack."""
        turns = {name: n for n, (_, name) in enumerate(sorted(self._slack()))}
        off = [abs(n - turns[name]) for n, name in enumerate(self._created)]
        return {"out_of_turn": sum(places > IN_FLIGHT for places in off), "farthest": max(off)}

    def _slack(self) -> list[tuple[datetime, str]]:
        return [(self._deadlines[name], name) for name in self._created]


def _bare_job(name: str) -> Object:
    spec = a_held_job(name, "none", MAX_GRAMS)["spec"]["jobTemplate"]["spec"]
    metadata = {"name": name, "labels": {"carbonaware.io/job": name}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _wrong(job: Object) -> str:
    status = job.get("status") or {}
    released = next((c for c in status.get("conditions") or [] if c["type"] == "Released"), {})
    if (released.get("status"), released.get("reason")) != ("True", "IntensityAcceptable"):
        return f"Released is {released.get('status')}, {released.get('reason')}"
    return "" if (status.get("workload") or {}).get("uid") else "no workload"


@contextmanager
def _probed(url: str, cluster: Cluster) -> Iterator[Probes]:
    """Ask for health and follow the Lease, each in a thread of its own."""
    probes, over = Probes(), threading.Event()

    def ask() -> None:
        while not over.wait(PROBE_SECONDS):
            begun = time.monotonic()
            with urllib.request.urlopen(f"{url}/healthz", timeout=60) as answer:  # noqa: S310
                answer.read()
            probes.health_max = max(probes.health_max, time.monotonic() - begun)

    async def follow() -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
        async with bare_client(cluster.kubeconfig) as client:
            events = client.watch(path, await client.version(path))
            while not over.is_set():
                event = await asyncio.wait_for(anext(events), PATIENCE_SECONDS)
                renewed = datetime.fromisoformat(event["object"]["spec"]["renewTime"])
                probes.renewals.append(renewed.timestamp())

    threads = [
        threading.Thread(target=ask, daemon=True),
        threading.Thread(target=lambda: asyncio.run(follow()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield probes
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


if __name__ == "__main__":
    main()
