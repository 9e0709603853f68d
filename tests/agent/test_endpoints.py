"""What scrapers see: names, exact values, one rendering, and that looking changes nothing."""

import gzip
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from copy import deepcopy
from unittest import mock

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent_builders import (
    HOUR,
    AgentUnderTest,
    SimulatedMachine,
    a_pod_manifest,
    a_uid,
    samples,
)
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.readings import Collected
from carbonaware_agent.saved.journal import Journal
from carbonaware_agent.serving import exposition
from carbonaware_agent.serving.board import Board
from carbonaware_agent.serving.exposition import AgentHealth
from carbonaware_agent.serving.server import MetricsServer

OWNER = 'namespace="ml",owner_kind="Job",owner_name="job-1",owner_uid="job-uid-1"'


@pytest.fixture
def agent(tmp_path) -> AgentUnderTest:
    machine = SimulatedMachine()
    agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE, idle_watts=0)
    machine.start(1)
    agent.know(a_pod_manifest(1))
    for seconds in (3600, 12):
        machine.use(a_uid(1), 5)
        machine.draw(12_345_678, seconds=seconds)
        agent.tick()
    return agent


@pytest.fixture(autouse=True)
def quick_shutdown(monkeypatch):
    """Servers of tests end at once."""
    monkeypatch.setattr("carbonaware_agent.serving.server._POLL_SECONDS", 0.01)


@pytest.fixture
def server(agent) -> Iterator[str]:
    serving = MetricsServer(("127.0.0.1", 0), agent.board, alive=lambda: True)
    serving.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


def get(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


class TestMetrics:
    def test_values_are_exact_decimals(self, agent):
        """Integer microjoules, not floats."""
        epoch = next(iter(agent.snapshot.series.values())).epoch
        name = "carbonaware_owner_energy_joules_total"
        labels = f'{OWNER},domain="package",source="rapl",boundary="chip",epoch="{epoch}"'

        assert "24.691356" == agent.metrics()[f"{name}{{{labels}}}"]
        assert re.fullmatch("[0-9a-f]{16}", epoch)

    def test_each_family_has_help_and_type(self, agent):
        """Prometheus' own parser reads the page, and finds the names of the contract."""
        text = (agent.board.metrics() or b"").decode()
        found = {
            family.name + ("_total" if family.type == "counter" else ""): family
            for family in text_string_to_metric_families(text)
        }

        assert {
            "carbonaware_node_energy_joules_total",
            "carbonaware_node_platform_energy_joules_total",
            "carbonaware_node_power_watts",
            "carbonaware_node_idle_power_watts",
            "carbonaware_node_attributed_joules_total",
            "carbonaware_pod_energy_joules_total",
            "carbonaware_owner_energy_joules_total",
            "carbonaware_gpu_energy_joules_total",
            "carbonaware_gpu_power_watts",
            "carbonaware_gpu_utilization_ratio",
            "carbonaware_gpu_division_info",
            "carbonaware_agent_unresolved_gpu_devices",
            "carbonaware_agent_collector_success",
            "carbonaware_agent_collector_duration_seconds",
            "carbonaware_agent_tick_lag_seconds",
            "carbonaware_agent_gaps_total",
            "carbonaware_agent_model_error_ratio",
            "carbonaware_agent_build_info",
            "carbonaware_agent_sample_timestamp_seconds",
        } == found.keys()
        assert all(family.documentation for family in found.values())

    def test_node_and_pod_series_have_their_labels(self, agent):
        """As the contract states them, in order."""
        metrics = agent.metrics()
        pod = f'namespace="ml",pod="pod-1",pod_uid="{a_uid(1)}"'

        node = 'domain="package-0",source="rapl",boundary="chip"'
        assert "24.691356" == metrics[f"carbonaware_node_energy_joules_total{{{node}}}"]
        assert "1.028806" == metrics[f"carbonaware_node_power_watts{{{node}}}"]
        parts = {
            component: metrics[
                f'carbonaware_pod_energy_joules_total{{{pod},domain="package",'
                f'component="{component}",source="rapl"}}'
            ]
            for component in ("dynamic", "idle")
        }
        assert {"dynamic": "24.691356", "idle": "0.000000"} == parts

    def test_collectors_and_model_errors_are_told(self, agent):
        """A modelled domain states its error."""
        health = AgentHealth({"rapl": Collected(False, 0.25)}, 0.5, {("package", "shape"): 0.6})
        metrics = samples(exposition.metrics(agent.snapshot, health))

        assert "0" == metrics['carbonaware_agent_collector_success{collector="rapl"}']
        duration = 'carbonaware_agent_collector_duration_seconds{collector="rapl"}'
        assert "0.250000" == metrics[duration]
        assert "0.500000" == metrics["carbonaware_agent_tick_lag_seconds"]
        error = 'carbonaware_agent_model_error_ratio{domain="package",source="shape"}'
        assert "0.6" == metrics[error]

    def test_labels_are_escaped(self, agent):
        """An owner's kind is whatever its creator wrote."""
        agent.machine.start(2)
        agent.know(a_pod_manifest(2, owner=('a"b', "c\\d", "e\nf")))
        agent.machine.use(a_uid(2), 5)
        agent.machine.draw(100)
        agent.tick()

        text = (agent.board.metrics() or b"").decode()
        family = {f.name: f for f in text_string_to_metric_families(text)}
        kinds = {
            (sample.labels["owner_kind"], sample.labels["owner_name"], sample.labels["owner_uid"])
            for sample in family["carbonaware_owner_energy_joules"].samples
        }
        assert ('a"b', "c\\d", "e\nf") in kinds

    def test_one_rendering_serves_all_scrapers(self, agent):
        """Until the next tick."""
        with mock.patch.object(exposition, "metrics", wraps=exposition.metrics) as rendered:
            agent.machine.draw(1)
            agent.tick()
            pages = [agent.board.metrics() for _ in range(3)]
            agent.board.metrics(compressed=True)

        assert pages[0] is pages[2]
        assert 1 == rendered.call_count

    def test_a_scrape_changes_nothing(self, agent):
        """Two scrapers and a probe see what one would."""
        before = deepcopy(agent.snapshot)
        first = (agent.board.metrics(), agent.board.accounting(0))
        for _ in range(5):
            agent.board.metrics(compressed=True)
            agent.board.accounting(0)

        assert first == (agent.board.metrics(), agent.board.accounting(0))
        assert before == agent.snapshot


class TestAccounting:
    def test_the_page_is_what_the_operator_reads(self, agent):
        """Sample time, period, totals, marks; then EOF."""
        epoch = next(iter(agent.snapshot.series.values())).epoch
        labels = f'node="n1",{OWNER},domain="package",source="rapl",boundary="chip",epoch="{epoch}"'
        expected = f"""\
carbonaware_agent_sample_timestamp_seconds{{node="n1"}} {HOUR + 3712}.000
carbonaware_agent_accounting_period_seconds{{node="n1"}} 3600
carbonaware_owner_energy_joules_total{{{labels}}} 24.691356
carbonaware_owner_energy_mark_joules{{{labels},hour="{HOUR}"}} 12.002743
# EOF
"""
        assert expected == (agent.board.accounting(0) or b"").decode()

    def test_marks_that_were_not_saved_are_not_shown(self, agent):
        """The journal may be ahead of the snapshot that is exposed."""
        agent.machine.use(a_uid(1), 5)
        agent.machine.draw(1000, seconds=3600)
        shown = agent.board.accounting(0)
        agent.meter.tick(agent.machine.readings())

        assert shown == agent.board.accounting(0)

    def test_a_series_that_closes_now_is_shown_once(self, agent):
        """Until the snapshot without it is saved, it is the open one."""
        shown = agent.board.accounting(0)
        key, record = next(iter(agent.snapshot.series.items()))
        agent.folder.journal.close(record.epoch, key, record.total_uj, 0)

        assert shown == agent.board.accounting(0)


class TestServer:
    def test_plain_text_and_gzip_are_the_same_page(self, server, agent):
        """With the content type that Prometheus expects."""
        status, plain, headers = get(f"{server}/metrics")
        _, packed, packed_headers = get(f"{server}/metrics", **{"Accept-Encoding": "gzip"})

        assert (200, agent.board.metrics()) == (status, plain)
        assert "text/plain; version=0.0.4; charset=utf-8" == headers["Content-Type"]
        assert ("gzip", plain) == (packed_headers["Content-Encoding"], gzip.decompress(packed))

    def test_accounting_takes_since(self, server, agent):
        """In seconds, whole or not; gzip if accepted."""
        _, body, _ = get(f"{server}/metrics/accounting?since={HOUR + 3600}")
        _, packed, _ = get(f"{server}/metrics/accounting", **{"Accept-Encoding": "gzip"})

        assert agent.board.accounting((HOUR + 3600) * 1_000_000) == body
        assert agent.board.accounting(0) == gzip.decompress(packed)
        assert b"mark_joules" not in body

    @pytest.mark.parametrize("value", ["yesterday", "-1", "nan", "inf", ""])
    def test_a_bad_since_is_named(self, server, value):
        """A reader that asks for nonsense must not get everything."""
        status, body, _ = get(f"{server}/metrics/accounting?since={value}")

        assert 400 == status
        assert b"since=" in body

    def test_other_paths_are_not_found(self, server):
        """There is no index."""
        assert 404 == get(f"{server}/")[0]

    def test_probes_do_not_touch_the_metrics(self, server):
        """Health and readiness have their own paths."""
        assert (200, 200) == (get(f"{server}/healthz")[0], get(f"{server}/readyz")[0])

    def test_before_the_first_snapshot_it_is_not_ready(self, tmp_path):
        """Nothing is better than something that was not saved."""
        board = Board("n1", Journal(tmp_path / "j", 1))
        serving = MetricsServer(("127.0.0.1", 0), board, alive=lambda: False)
        serving.start()
        url = f"http://127.0.0.1:{serving.server_port}"

        paths = ("/metrics", "/metrics/accounting", "/readyz", "/healthz")
        assert [503] * 4 == [get(url + path)[0] for path in paths]
        serving.shutdown()
        serving.server_close()
