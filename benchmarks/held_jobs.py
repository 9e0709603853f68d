"""What the benchmarks of many held jobs share.

The jobs, zones whose value moves at known instants, and how an operator looks that has nothing left
to do.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.watched_operator import WatchedOperator
from testbed.cluster import Cluster

Object = dict[str, Any]
API_VERSION = "carbonaware.io/v1alpha1"
NAMESPACE = "carbonaware-system"
HELD_AT = 400
"""Intensity at which every job of these benchmarks is held, gCO2e/kWh."""

ROW_SECONDS = 20
_ROWS = 2000  # 11 hours of them
_QUIET_SECONDS = 5.0
_QUIET_PERCENT = 3.0
_WINDOWS, _WINDOW = 32, timedelta(minutes=45)


def a_held_job(
    name: str, zone: str, max_grams: int, *, windows: int = 0, **schedule: Any
) -> Object:
    """A job above its limit, whose Job has no pods when it is released: no node is to be measured.

    windows: 0, or the number of the set of windows to have, which together are the whole day.
    """
    if windows:
        schedule["windows"] = _windows(windows)
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "local/busybox:1"}]}
    return {
        "apiVersion": API_VERSION,
        "kind": "CarbonAwareJob",
        "metadata": {"name": name},
        "spec": {
            "zoneName": zone,
            "schedule": {"maxGramsPerKWh": max_grams, **schedule},
            "jobTemplate": {"spec": {"parallelism": 0, "template": {"spec": pod}}},
        },
    }


def _windows(number: int) -> list[Object]:
    first = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    starts = [first + n * _WINDOW for n in range(_WINDOWS)]
    return [{"start": f"{start:%H:%M}", "end": f"{start + _WINDOW:%H:%M}"} for start in starts]


def a_static_zone(name: str, grams: int = HELD_AT) -> Object:
    """A zone with one value for ever."""
    return _zone(name, {"type": "Static", "static": {"gramsPerKWh": grams}})


def _zone(name: str, source: Object) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "CarbonZone",
        "metadata": {"name": name},
        "spec": {"source": source},
    }


@dataclass(frozen=True)
class PlayedZone:
    """A zone that is told to play a recording, so that its value moves at known instants."""

    cluster: Cluster
    name: str
    folder: Path
    created: datetime

    @classmethod
    def of(cls, cluster: Cluster, name: str, folder: Path) -> "PlayedZone":
        """The zone of that name; folder: the operator's `--recordings-folder`."""
        body = json.loads(cluster.kubectl("get", "carbonzone", name, "-o", "json"))
        created = datetime.fromisoformat(body["metadata"]["creationTimestamp"])
        return cls(cluster, name, folder, created)

    def play(self, values: list[int]) -> list[datetime]:
        """Go on with these values, the last one for ever; when each begins.

        The first begins when the zone has been told long enough for that to be over with.
        """
        first = int((datetime.now(UTC) - self.created).total_seconds() // ROW_SECONDS) + 2
        rows = [HELD_AT] * first + values + [values[-1]] * (_ROWS - first - len(values))
        hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(_ROWS)]
        text = "".join(f"{h:%Y-%m-%dT%H:%M:%SZ},{v}\n" for h, v in zip(hours, rows, strict=True))
        file = f"{self.name}-{first}.csv"
        (self.folder / file).write_text(f"start,grams\n{text}")
        recording = {"file": file, "speed": 3600 // ROW_SECONDS}
        self._set({"type": "Recording", "recording": recording, "static": None})
        return [
            self.created + timedelta(seconds=ROW_SECONDS * (first + n)) for n in range(len(values))
        ]

    def _begins(self, row: int) -> datetime:
        return self.created + timedelta(seconds=ROW_SECONDS * row)

    def rest(self, grams: int = HELD_AT) -> None:
        """One value from now on."""
        self._set({"type": "Static", "static": {"gramsPerKWh": grams}, "recording": None})

    def _set(self, source: Object) -> None:
        change = json.dumps({"spec": {"source": source}})
        self.cluster.kubectl("patch", "carbonzone", self.name, "--type=merge", "-p", change)


def page(operator: WatchedOperator, path: str) -> str:
    """A page of the operator; empty while it does not answer with 200."""
    try:
        with urllib.request.urlopen(operator.url + path, timeout=60) as answer:  # noqa: S310
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def metric(operator: WatchedOperator, name: str, **labels: str) -> float:
    """Sum of the series of a metric that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = [
        x for x in page(operator, "/metrics").splitlines() if x.startswith((name + "{", name + " "))
    ]
    return sum(float(x.rpartition(" ")[2]) for x in lines if all(w in x for w in wanted))


def wait_until_ready(operator: WatchedOperator) -> None:
    """Wait for /readyz."""
    while not page(operator, "/readyz"):
        _check(operator)
        time.sleep(0.02)


def wait_until_quiet(operator: WatchedOperator) -> float:
    """Wait until the loop has nothing to do for some seconds; its busy share then, in percent."""
    operator.look()
    while True:
        _check(operator)
        time.sleep(_QUIET_SECONDS)
        percent = operator.look().busy / 10 / _QUIET_SECONDS
        if percent < _QUIET_PERCENT:
            return percent


def wait_until_held(operator: WatchedOperator, count: int) -> None:
    """Wait until so many jobs have been told that they are held."""
    while metric(operator, "carbonaware_jobs", reason="AboveMaxIntensity") < count:
        _check(operator)
        time.sleep(2)


def _check(operator: WatchedOperator) -> None:
    if operator.process.poll() is not None:
        raise RuntimeError(f"the operator ended with {operator.process.returncode}")


def table(columns: dict[str, str], rows: list[Object]) -> str:
    """A table in Markdown; columns: their headings by key, in order."""
    lines = [list(columns.values()), ["---"] * len(columns)]
    lines += [[str(row.get(key, "")) for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def numbers(count: int, start: int = 0) -> Iterator[tuple[int, str]]:
    """Numbers from `start` on, each with a name."""
    return ((n, f"job-{n:06d}") for n in range(start, start + count))
