"""Every panel's query, asked of a real Prometheus that scrapes a real run of operator and agent.

The node is simulated, its two GPUs and kubelet's pod-resources socket are played; the programs,
the API server, the rules and Prometheus are real.
"""

import base64
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carbonaware_operator.api.reasons import Annotation
from carbonaware_operator.grid.archive import Archive
from carbonaware_operator.grid.points import Point, PointKind
from fake_kubelet import FakeKubelet, a_fake_kubelet, a_listed_pod
from fake_nvml import FakeNvml, a_gpu
from programs import Program, Stack, a_job, a_zone, eventually, stack
from prometheus_server import Prometheus, Target, prometheus
from promql import filled_in, recipes
from testbed.cluster import Cluster

pytestmark = pytest.mark.api

FOLDER = Path(__file__).parents[2] / "helm/carbonaware/dashboards"
MOST_SAMPLES = 20_000
HOUR = timedelta(hours=1)


def panel_queries() -> dict[str, list[str]]:
    """The queries of every panel, by board and title, and of every board's annotations."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            if panel["type"] != "row":
                found[f"{path.stem}: {panel['title']}"] = [t["expr"] for t in panel["targets"]]
        for annotation in board["annotations"]["list"]:
            found[f"{path.stem}: {annotation['name']}"] = [annotation["expr"]]
    return found


class Run:
    """A zone with a month of history, jobs that wait and run, and a node with two GPUs."""

    def __init__(self, programs: Stack, driver: FakeNvml, kubelet: FakeKubelet) -> None:
        self.programs, self.driver, self.kubelet = programs, driver, kubelet
        self._draws = 0
        self.draw()

    def draw(self) -> None:
        """The reserved GPU counts energy and rests; the free one shows its power, or is lost."""
        self._draws += 1
        free: dict[str, object] = {"energy": None, "power": 300_000, "utilization": 90}
        if self._draws % 10 == 0:
            free["error"] = 15  # NVML_ERROR_GPU_IS_LOST
        self.driver.show(
            a_gpu("GPU-a", energy=50_000 * self._draws, utilization=0),
            a_gpu("GPU-b", minor=1, **free),
        )

    def start(self, socket: Path) -> list[Target]:
        """Start both programs; what there is to scrape."""
        agent = self.programs.agent(
            self.programs.simulated_host(),
            f"--pod-resources-socket={socket}",
            "--accounting-period-seconds=3600",
        ).wait_ready()
        operator = self.programs.operator(
            f"--agent-url={agent.url}", "--accounting-period-seconds=3600"
        ).wait_ready()
        return [_target("operator", operator), _target("agent", agent, node="n1")]

    def give_a_grid(self) -> None:
        """A recording at 300 gCO2e/kWh, and a month before it in which days were alike."""
        namespace = self.programs.namespace
        rows = [f"2026-01-01T{hour:02}:00:00Z,300" for hour in range(24)]
        zone = a_zone(namespace)
        recording = {"configMapRef": {"name": "trace", "key": "day.csv"}, "speed": 3600}
        zone["spec"]["source"] = {"type": "Recording", "recording": recording | {"loop": True}}
        self.programs.apply(
            _config_map("trace", data={"day.csv": "\n".join(["utc,grams", *rows])}),
            _config_map(f"carbonaware-archive-{namespace}", binaryData={"archive": _a_month()}),
            zone,
        )

    def give_work(self) -> None:
        """A job that runs, two that are above their limit, and a pod that holds a GPU."""
        namespace = self.programs.namespace
        self.programs.apply(
            a_job("dirty", namespace, maxGramsPerKWh=100),
            a_job("urgent", namespace, maxGramsPerKWh=100),
            a_job("runs", namespace, run_for="10m", strategy="Immediate"),
            _a_pod("trainer"),
        )
        self.kubelet.pods = [a_listed_pod("trainer", ["GPU-a"], namespace=namespace)]

    def release(self, name: str) -> None:
        """Have a held job start now, as `kubectl carbonaware release` does."""
        request = f"{Annotation.RELEASE_REQUESTED.value}=now"
        self.programs.kubectl("annotate", "caj", name, request)


def _target(name: str, program: Program, **labels: str) -> Target:
    return Target(f"carbonaware-{name}", program.url.removeprefix("http://"), labels)


def _config_map(name: str, **content: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **content}


def _a_pod(name: str) -> dict[str, Any]:
    template = a_job(name, "", run_for="10m")["spec"]["jobTemplate"]["spec"]["template"]
    metadata = {"name": name, **template["metadata"]}
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}


def _a_month() -> str:
    """An archive of the recording's column, in which every second day is dirtier."""
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    starts = [this_hour - n * HOUR for n in range(1, 30 * 24)]
    archive = Archive(source="Recording/grams", factors=None)
    archive.add(
        Point(
            start,
            start + HOUR,
            300_000 + 40_000 * (start.day % 2),
            PointKind.ACTUAL,
            archive.source,
            None,
        )
        for start in reversed(starts)
    )
    archive.settle(this_hour)
    return base64.b64encode(archive.encode()).decode()


@pytest.fixture
def watched(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Run, Prometheus]]:
    """A run that Prometheus scrapes every second."""
    driver = FakeNvml(tmp_path / "driver")
    for name, value in driver.environment.items():
        monkeypatch.setenv(name, value)
    socket = tmp_path / "kubelet.sock"
    with stack(cluster, namespace, tmp_path) as programs, a_fake_kubelet(socket) as kubelet:
        run = Run(programs, driver, kubelet)
        run.give_a_grid()
        with prometheus(tmp_path / "prometheus", run.start(socket)) as server:
            yield run, server
    cluster.kubectl("delete", "carbonzone", namespace, "--wait=false")


def _numbers(answer: list[dict[str, Any]]) -> list[float]:
    """The values of an answer; nought by nought is none."""
    values = [float(series["value"][1]) for series in answer]
    return [value for value in values if not math.isnan(value)]


def test_every_panel_and_recipe_shows_something(watched: tuple[Run, Prometheus]) -> None:
    """No query fails, none is empty, none is expensive; every rule and alert can be evaluated."""
    run, server = watched
    run.give_work()
    eventually(lambda: server.ask("carbonaware_job_releases_total"), "releases are counted")
    run.release("urgent")
    empty = panel_queries() | {"docs/monitoring.md": recipes(run.programs.namespace)}

    def all_shown() -> bool:
        run.draw()
        for title in list(empty):
            if all(_numbers(server.ask(filled_in(query))) for query in empty[title]):
                del empty[title]
        return not empty

    try:
        eventually(all_shown, "every panel shows something", 150)
    except AssertionError:
        pytest.fail(f"empty: {json.dumps(empty, indent=1)}")
    costs = {q: server.samples(filled_in(q)) for qs in panel_queries().values() for q in qs}
    assert max(costs.values()) < MOST_SAMPLES
    assert all(rule["health"] == "ok" for rule in server.rules())
