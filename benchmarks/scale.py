"""What held jobs cost the operator, on a real API server: its start, its memory, a new value.

Jobs are added size by size and held above their limits, 1 to 300 gCO2e/kWh. Two zones, of at most
10,000 jobs each, play recordings whose value moves at known instants: of one no job has windows, of
the other each has 32. The operator is started twice for each size: once to tell the new jobs that
they are held, and once more to see how long it takes until it is ready and has nothing left to do.
A pass is the processor time that the event loop needs for a new value, less what it needs when
nothing happens; a block is its longest callback, by the processor; JSON has the wall's as well.
Last, at the greatest size, the value of both zones falls below every limit.
Prints one line of JSON for each size and one for the fall, then a table. 50,000 jobs need 12 GB.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bare_client import CARBON_AWARE_JOBS, bare_client
from benchmarks.held_jobs import (
    HELD_AT,
    NAMESPACE,
    Object,
    PlayedZone,
    a_held_job,
    a_static_zone,
    numbers,
    page,
    table,
    wait_until_held,
    wait_until_quiet,
    wait_until_ready,
)
from benchmarks.watched_operator import Seen, WatchedOperator, watched_operator
from testbed.cluster import Cluster

SIZES = (1_000, 10_000, 50_000)
PLAYED, MOST_PLAYED = ("plain", "windows"), 20_000
OTHERS = ("other-1", "other-2", "other-3")
SETS_OF_WINDOWS = 40
VALUES_TIMED = 3
PASS_SECONDS = 15.0  # of the 20 that a value holds
BEFORE = 1.0
COLUMNS = {
    "jobs": "held jobs",
    "created_per_second": "created/s",
    "told_seconds": "s until told",
    "ready_seconds": "s to ready",
    "quiet_seconds": "s to quiet",
    "resident_megabytes": "MB",
    "plain_jobs": "jobs in the zone",
    "plain_pass": "pass, ms",
    "plain_block_processor": "block, ms",
    "windows_pass": "32 windows, ms",
    "windows_block_processor": "block, ms",
    "start_block_processor": "block at the start, ms",
    "scrape_block_processor": "block of /metrics, ms",
    "collection": "garbage collection, ms",
    "writes": "writes",
}


def main(arguments: list[str] | None = None) -> None:
    """Measure each size on one cluster."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    parser.add_argument(
        "--sizes", type=_sizes, default=SIZES, help="numbers of held jobs, with commas between"
    )
    sizes = parser.parse_args(arguments).sizes
    with (
        Cluster.start(f"bench-scale-{os.getpid()}", node="simulated", crds=Path("crds")) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        _prepare(cluster)
        bench = Bench(cluster, Path(folder))
        rows = []
        for size in sizes:
            rows.append(bench.measure(size))
            print(json.dumps({"benchmark": "scale"} | rows[-1]), flush=True)
        print(json.dumps({"benchmark": "scale, all limits crossed"} | bench.cross()), flush=True)
    print(table(COLUMNS, rows))


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(part.replace("_", "")) for part in text.split(",")))


def _prepare(cluster: Cluster) -> None:
    for namespace in (NAMESPACE, "bench"):
        cluster.kubectl("create", "namespace", namespace)
    cluster.apply([a_static_zone(name) for name in (*PLAYED, *OTHERS)])


class Bench:
    """One cluster that is filled step by step."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster, self._folder = cluster, folder
        self._size = 0
        self._zones = {name: PlayedZone.of(cluster, name, folder) for name in PLAYED}

    def measure(self, size: int) -> Object:
        """Fill up to so many jobs and measure."""
        added = size - self._size
        seconds = asyncio.run(self._create(added))
        self._size = size
        row: Object = {"jobs": size, "created_per_second": round(added / seconds)}
        begun = time.monotonic()
        with self._operator() as operator:
            wait_until_held(operator, size)
            row["told_seconds"] = round(time.monotonic() - begun, 1)
            wait_until_quiet(operator)
        return row | self._started_again()

    def _started_again(self) -> Object:
        row: Object = {}
        begun = time.monotonic()
        with self._operator() as operator:
            wait_until_ready(operator)
            row["ready_seconds"] = round(time.monotonic() - begun, 1)
            start = operator.look()
            idle = wait_until_quiet(operator)
            row["quiet_seconds"] = round(time.monotonic() - begun, 1)
            row |= {
                "start_block": round(start.longest),
                "start_block_processor": round(start.longest_processor),
                "start_block_by": start.longest_processor_name,
            }
            row["resident_megabytes"] = operator.resident_megabytes
            row |= self._scraped(operator)
            before = asyncio.run(self._writes())
            for name in PLAYED:
                row |= self._passes(operator, name, idle)
            row["writes"] = sum((asyncio.run(self._writes()) - before).values())
            row["resident_megabytes_after"] = operator.resident_megabytes
        return row

    def cross(self) -> Object:
        """Let the value fall below every limit: how the loop fares with all that is to be done."""
        row: Object = {"jobs": self._size}
        with self._operator() as operator:
            wait_until_ready(operator)
            wait_until_quiet(operator)
            for name in PLAYED:
                (fall,) = self._zones[name].play([0])
                _sleep_until(fall, -BEFORE)
                operator.look()
                seconds = asyncio.run(self._first_release(name, fall))
                _sleep_until(datetime.now(UTC), PASS_SECONDS)
                seen = operator.look()
                row |= {
                    f"{name}_first_release_seconds": round(seconds, 2),
                    f"{name}_block": round(seen.longest, 1),
                    f"{name}_block_processor": round(seen.longest_processor, 1),
                    f"{name}_block_by": seen.longest_processor_name,
                    f"{name}_collection": round(seen.longest_collection, 1),
                }
            operator.process.kill()  # the releases themselves are another benchmark's
        return row

    async def _create(self, count: int) -> float:
        async with bare_client(self._cluster.kubeconfig) as client:
            return await client.create_all(CARBON_AWARE_JOBS.format("bench"), self._jobs(count))

    def _jobs(self, count: int) -> Iterator[Object]:
        for number, name in numbers(count, self._size):
            grams = 1 + number % 300
            if number >= MOST_PLAYED:
                yield a_held_job(name, OTHERS[number % len(OTHERS)], grams, maxDelay="72h")
            elif number % 2:
                windows = 1 + number // 2 % SETS_OF_WINDOWS
                yield a_held_job(name, "windows", grams, maxDelay="72h", windows=windows)
            else:
                yield a_held_job(name, "plain", grams, maxDelay="72h")

    def _operator(self):  # type: ignore[no-untyped-def]
        return watched_operator(
            self._cluster.kubeconfig,
            self._folder / "operator.log",
            f"--namespace={NAMESPACE}",
            f"--recordings-folder={self._folder}",
            "--sweep-seconds=86400",
        )

    def _scraped(self, operator: WatchedOperator) -> Object:
        operator.look()
        page(operator, "/metrics")
        seen = operator.look()
        return {
            "scrape_block": round(seen.longest, 1),
            "scrape_block_processor": round(seen.longest_processor, 1),
        }

    def _passes(self, operator: WatchedOperator, name: str, idle: float) -> Object:
        """Median cost of values that cross no limit."""
        zone = self._zones[name]
        passes, worst, wall, collection = [], Seen(), 0.0, 0.0
        for begins in zone.play([HELD_AT + 1 - n % 2 for n in range(VALUES_TIMED)]):
            _sleep_until(begins, -BEFORE)
            operator.look()
            _sleep_until(begins, PASS_SECONDS)
            seen = operator.look()
            passes.append(seen.busy - idle * 10 * (BEFORE + PASS_SECONDS))
            worst = max(worst, seen, key=lambda each: each.longest_processor)
            wall = max(wall, seen.longest)
            collection = max(collection, seen.longest_collection)
        zone.rest()
        wait_until_quiet(operator)
        return {
            f"{name}_jobs": min(self._size, MOST_PLAYED) // 2,
            f"{name}_pass": round(statistics.median(passes), 1),
            f"{name}_block": round(wall, 1),
            f"{name}_block_processor": round(worst.longest_processor, 1),
            f"{name}_block_by": worst.longest_processor_name,
            "collection": round(collection, 1),
        }

    async def _writes(self) -> Counter[str]:
        async with bare_client(self._cluster.kubeconfig) as client:
            counted = await client.writes()
        return Counter({k: counted[k] for k in ("carbonawarejobs", "jobs", "events")})

    async def _first_release(self, zone: str, since: datetime) -> float:
        """Seconds until a Job of a zone's jobs is seen."""
        path = "/apis/batch/v1/namespaces/bench/jobs"
        async with bare_client(self._cluster.kubeconfig) as client:
            async for event in client.watch(path, await client.version(path)):
                job = event["object"]["metadata"]["labels"].get("carbonaware.io/job", "-0")
                if event["type"] == "ADDED" and PLAYED[int(job.rpartition("-")[2]) % 2] == zone:
                    return (datetime.now(UTC) - since).total_seconds()
        raise RuntimeError(f"the watch ended before a job of {zone} was released")


def _sleep_until(instant: datetime, offset: float) -> None:
    time.sleep(max(0.0, (instant - datetime.now(UTC)).total_seconds() + offset))


if __name__ == "__main__":
    main()
