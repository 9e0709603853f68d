"""What each panel touches on a large cluster: 50,000 jobs in 200 namespaces, 250 nodes."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from programs import eventually
from prometheus_server import Prometheus, Target, prometheus
from promql import filled_in, selectors

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "helm/carbonaware/dashboards"
MOST_SERIES = 2_500
"""Ten for each of 250 nodes; a query over all pods or places would touch 10,000 and more."""

NAMESPACES = [f"team-{n}" for n in range(200)]
ZONES_OF_A_NAMESPACE = 5
PLACES = [
    (namespace, f"zone-{(n + m) % 50}")
    for n, namespace in enumerate(NAMESPACES)
    for m in range(ZONES_OF_A_NAMESPACE)
]
NODES = [f"node-{n}" for n in range(250)]
STATES = {
    "Held": ("AboveMaxIntensity", "OutsideWindow"),
    "Running": ("IntensityAcceptable", "DeadlineReached"),
    "Complete": ("Succeeded",),
}
REASONS = (
    "IntensityPreferred",
    "IntensityAcceptable",
    "DeadlineReached",
    "SignalMissing",
    "Immediate",
    "ReleasedByUser",
)


def operator_page() -> Iterator[str]:
    """What one replica shows: 50,000 jobs, ten at each place in each state."""
    for namespace, zone in PLACES:
        place = f'namespace="{namespace}",zone="{zone}"'
        for state, reasons in STATES.items():
            for reason in reasons:
                yield f'carbonaware_jobs{{{place},state="{state}",reason="{reason}"}} 10'
        yield f"carbonaware_job_next_deadline_seconds{{{place}}} 3600"
        for counter in ("energy_joules", "emissions_grams", "baseline_emissions_grams"):
            yield f"carbonaware_{counter}_total{{{place}}} 1"
        for reason in REASONS:
            yield f'carbonaware_job_releases_total{{{place},reason="{reason}"}} 1'
        for bucket in (*range(9), "+Inf"):
            yield f'carbonaware_job_hold_seconds_bucket{{{place},le="{bucket}"}} 1'
    for zone in {zone for _, zone in PLACES}:
        yield from _grid(f'zone="{zone}"')
    yield "carbonaware_leader 1"


def _grid(zone: str) -> Iterator[str]:
    intensity = "carbonaware_grid_intensity_grams_per_kilowatt_hour"
    yield f'{intensity}{{{zone},signal="average",factors="lifecycle",source="WattTime"}} 300'
    for hours in (1, 3, 6, 12, 24):
        name = "carbonaware_grid_forecast_intensity_grams_per_kilowatt_hour"
        yield f'{name}{{{zone},horizon_hours="{hours}"}} 300'
    for name in ("signal_fresh", "signal_age_seconds", "forecast_error_ratio"):
        yield f"carbonaware_grid_{name}{{{zone}}} 1"


def agents_page() -> Iterator[str]:
    """What 250 agents show: two sockets and memory each, 40 pods each, 8 GPUs on every fifth."""
    for number, node in enumerate(NODES):
        at = f'node="{node}"'
        for domain in ("package-0", "package-1", "dram-0", "dram-1"):
            labels = f'{at},domain="{domain}",source="rapl",boundary="chip"'
            yield f"carbonaware_node_power_watts{{{labels}}} 100"
        cards = [f"gpu/GPU-{number}-{n}" for n in range(8 if number % 5 == 0 else 0)]
        for domain, part in product(
            ("package", "dram", *cards), ("dynamic", "idle", "system", "unallocated")
        ):
            labels = f'{at},domain="{domain}",component="{part}"'
            yield f"carbonaware_node_attributed_joules_total{{{labels}}} 1"
        for card in cards:
            yield from _card(at, card)
        for pod in range(40):
            namespace = NAMESPACES[(number + pod) % len(NAMESPACES)]
            yield from _pod(
                f'{at},namespace="{namespace}"', f"pod-{number}-{pod}", cards[pod : pod + 1]
            )
        yield f'carbonaware_agent_build_info{{{at},version="1"}} 1'
        yield f"carbonaware_agent_unresolved_gpu_devices{{{at}}} 0"
        for collector in ("rapl", "cgroups", "pods", "nvml", "pod-resources"):
            yield f'carbonaware_agent_collector_success{{{at},collector="{collector}"}} 1'


def _card(at: str, card: str) -> Iterator[str]:
    uuid = card.removeprefix("gpu/")
    stream = f'domain="{card}",source="nvml_counter",boundary="chip"'
    yield f"carbonaware_node_power_watts{{{at},{stream}}} 100"
    yield f'carbonaware_gpu_power_watts{{{at},gpu_uuid="{uuid}",model="H100"}} 100'
    yield f'carbonaware_gpu_utilization_ratio{{{at},gpu_uuid="{uuid}",model="H100"}} 0'
    yield f'carbonaware_gpu_division_info{{{at},gpu_uuid="{uuid}",method="exclusive"}} 1'


def _pod(at: str, name: str, cards: list[str]) -> Iterator[str]:
    for domain, part in product(("package", "dram", *cards), ("dynamic", "idle")):
        labels = f'{at},pod="{name}",pod_uid="{name}",domain="{domain}"'
        source = "nvml_counter" if domain in cards else "rapl"
        stream = f'component="{part}",source="{source}"'
        yield f"carbonaware_pod_energy_joules_total{{{labels},{stream}}} 1"


class _Pages(BaseHTTPRequestHandler):
    pages: dict[str, bytes]

    def do_GET(self) -> None:
        """Answer with the page of that path."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(self.pages[self.path])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with the series of such a cluster, of two replicas of the operator."""
    operator = "\n".join([*operator_page(), ""]).encode()
    agents = "\n".join([*agents_page(), ""]).encode()
    _Pages.pages = {"/a": operator, "/b": operator, "/agents": agents}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    targets = [
        Target("operator", address, {"__metrics_path__": f"/{pod}", "pod": pod}) for pod in "ab"
    ] + [Target("agents", address, {"__metrics_path__": "/agents"})]
    with prometheus(tmp_path_factory.mktemp("large") / "prometheus", targets, "5s") as running:
        eventually(
            lambda: running.ask("namespace:carbonaware_pod_energy_joules:rate5m"), "sums", 120
        )
        yield running
    server.shutdown()


def every_query() -> Iterator[Any]:
    """Each panel's queries, one case a panel."""
    for path in sorted(FOLDER.glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            if panel["type"] != "row":
                queries = [target["expr"] for target in panel["targets"]]
                yield pytest.param(queries, id=f"{path.stem}-{panel['title']}")
        for annotation in board["annotations"]["list"]:
            yield pytest.param([annotation["expr"]], id=f"{path.stem}-{annotation['name']}")


def test_the_large_cluster_is_as_large_as_it_says(large: Prometheus) -> None:
    """Else the bound below would hold for nothing."""
    (jobs,) = large.ask("sum(max by (namespace, zone, state, reason) (carbonaware_jobs))")
    (series,) = large.ask('count({__name__=~"carbonaware_.+"})')

    assert int(jobs["value"][1]) == 50_000
    assert int(series["value"][1]) > 80_000


@pytest.mark.parametrize("queries", list(every_query()))
def test_a_panel_touches_few_series_however_many_there_are(
    large: Prometheus, queries: list[str]
) -> None:
    """With every variable at `All`: the view on which big clusters' dashboards never end."""
    touched = 0
    for selector in (s for query in queries for s in selectors(filled_in(query))):
        answer = large.ask(f"count({selector})")
        touched += int(answer[0]["value"][1]) if answer else 0

    assert touched <= MOST_SERIES
