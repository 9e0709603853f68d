"""What the store alone costs: bytes a held job, and time for a new value, an echo and a scrape.

No cluster: 50,000 jobs as the API server would show them, held and told so, in 40 sets of windows,
with limits of 1 to 300 gCO2e/kWh. Bytes are those that tracemalloc counts, indexes included; times
are processor time, the best of five. Prints one line of JSON for each number of windows.
"""

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client import generate_latest

from carbonaware_operator.planning.outlook import Fallback, Outlook, Signal
from carbonaware_operator.planning.progress import advance
from carbonaware_operator.planning.rules import decide
from carbonaware_operator.store.jobs import JobStore, record_of
from carbonaware_operator.store.status import status_of
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics

JOBS = 50_000
SETS_OF_WINDOWS = 40
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def main() -> None:
    """Measure for jobs without windows, with one and with 32."""
    for windows in (0, 1, 32):
        print(json.dumps({"benchmark": "store", "jobs": JOBS, "windows": windows} | _cost(windows)))


def _cost(windows: int) -> dict[str, float]:
    tracemalloc.start()
    store = JobStore()
    for body in _bodies(windows):
        store.apply(body)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    bodies = list(_bodies(windows, count=500))
    metrics = OperatorMetrics(store, ZoneStore(), "0")
    new = _best(lambda: _applied(JobStore(), bodies)) / len(bodies)
    return {
        "bytes_per_job": round(held / JOBS),
        "apply_microseconds": round(new),
        "echo_microseconds": round(_best(lambda: _applied(store, bodies)) / len(bodies), 1),
        **_new_value(store, "no_limit_passed", 250_500, 250_900),
        **_new_value(store, "two_of_300_limits_passed", 250_500, 248_000),
        "scrape_microseconds": round(_best(lambda: generate_latest(metrics.registry))),
    }


def _new_value(store: JobStore, name: str, *milligrams: int) -> dict[str, int]:
    """How many jobs a value wakes that comes after another one, and how long it takes to say."""
    before, after = (_outlook(value) for value in milligrams)
    store.touched_by("de", before)
    woken = len(store.touched_by("de", after))
    both = _best(lambda: (store.touched_by("de", before), store.touched_by("de", after)))
    return {name: woken, f"{name}_microseconds": round(both / 2)}


def _applied(store: JobStore, bodies: list[dict[str, Any]]) -> None:
    for body in bodies:
        store.apply(body)


def _best(action: Callable[[], object]) -> float:
    """Microseconds of processor time, of the best of five tries."""
    tries = []
    for _ in range(5):
        began = time.process_time()
        action()
        tries.append(time.process_time() - began)
    return 1e6 * min(tries)


def _outlook(milligrams: int) -> Outlook:
    return Outlook("de", Signal(milligrams, "Static", NOW, NOW), Fallback(473_000, "world mean"))


def _bodies(windows: int, count: int = JOBS) -> Iterator[dict[str, Any]]:
    for number in range(count):
        # From JSON, as the API server's answers are: nothing is shared but by the store.
        yield json.loads(json.dumps(_told(_body(number, windows))))


def _told(body: dict[str, Any]) -> dict[str, Any]:
    """The same with the status that the operator writes to a held job."""
    record = record_of(body)
    situation = record.situation(_outlook(400_000), NOW)
    progress = advance(record.progress, situation, decide(situation))
    return body | {"status": status_of(progress)}


def _body(number: int, windows: int) -> dict[str, Any]:
    created = f"2026-06-15T{number // 3600 % 12:02}:{number // 60 % 60:02}:{number % 60:02}Z"
    schedule: dict[str, Any] = {"maxGramsPerKWh": 1 + number % 300, "maxDelay": "48h"}
    if windows:
        schedule["windows"] = [_window(number % SETS_OF_WINDOWS, n) for n in range(windows)]
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {
            "name": f"train-{number:06}",
            "namespace": f"team-{number % 20}",
            "uid": f"00000000-0000-4000-8000-{number:012}",
            "resourceVersion": str(1_000_000 + number),
            "generation": 1,
            "creationTimestamp": created,
        },
        "spec": {
            "zoneName": "de",
            "schedule": schedule,
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }


def _window(kind: int, number: int) -> dict[str, Any]:
    hour, minute = number % 24, kind
    return {
        "days": [["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][number % 7]],
        "start": f"{hour:02}:{minute:02}",
        "end": f"{hour:02}:{minute + 10:02}",
        "timeZone": "Europe/Berlin",
    }
