"""From `kubectl apply` to grams in status: operator, agent and accounting on a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from programs import Program, Stack, a_job, a_zone, condition, eventually, stack
from testbed.cluster import Cluster

pytestmark = pytest.mark.api

GRAMS = 360
MICROJOULES_PER_KILOWATT_HOUR = 3.6e12


@pytest.fixture
def running(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Stack]:
    """Programs in a namespace of their own, and a zone of the same name."""
    with stack(cluster, namespace, tmp_path) as programs:
        programs.apply(a_zone(namespace, GRAMS))
        yield programs
    cluster.kubectl("delete", "carbonzone", namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def agent(running: Stack) -> Program:
    """An agent on a host that follows the simulated node's pods; an operator scrapes it."""
    agent = running.agent(running.simulated_host()).wait_ready()
    running.operator(f"--agent-url={agent.url}").wait_ready()
    return agent


def _settled(running: Stack, name: str) -> dict[str, Any]:
    def status() -> dict[str, Any]:
        found: dict[str, Any] = running.job(name).get("status") or {}
        return found if (found.get("ledger") or {}).get("settled") else {}

    return eventually(status, f"{name} is settled", 90)


def _agent_microjoules(agent: Program, owner: str) -> int:
    """The agent's own total of an owner: the decimals are exact, so is their sum."""
    lines = agent.get("/metrics/accounting").splitlines()
    mine = [
        line
        for line in lines
        if line.startswith("carbonaware_owner_energy_joules_total{") and owner in line
    ]
    return sum(int(line.rpartition(" ")[2].replace(".", "")) for line in mine)


def _ledger_microjoules(status: dict[str, Any]) -> int:
    return sum(source["microjoules"] for source in status["ledger"]["sources"])


class TestEnergyOfAJob:
    def test_is_measured_posted_and_priced(self, running: Stack, agent: Program) -> None:
        """The joules in status are the agent's, to the microjoule; the grams follow from them."""
        running.apply(a_job("counted", running.namespace, run_for="6s", strategy="Immediate"))

        status = _settled(running, "counted")

        energy = _ledger_microjoules(status)
        assert energy > 0
        assert _agent_microjoules(agent, status["workload"]["uid"]) == energy
        assert energy // 1_000_000 == status["energyJoules"]
        milligrams = energy / MICROJOULES_PER_KILOWATT_HOUR * GRAMS * 1000
        assert pytest.approx(milligrams, abs=1) == status["emissionsMilligrams"]
        assert status["pricedPercent"] == 100
        assert status["summary"]["energy"].endswith("J")

    def test_of_an_immediate_job_avoids_nothing(self, running: Stack, agent: Program) -> None:
        """Run at once, the baseline is the run itself."""
        running.apply(a_job("prompt", running.namespace, run_for="4s", strategy="Immediate"))

        status = _settled(running, "prompt")

        assert status["baselineEmissionsMilligrams"] == status["emissionsMilligrams"]
        assert status["avoidedEmissionsMilligrams"] == 0

    def test_survives_the_agents_and_the_operators_death_in_mid_run(
        self, running: Stack, agent: Program
    ) -> None:
        """Both are killed while the pod runs; afterwards no joule is lost or doubled."""
        running.apply(a_job("tough", running.namespace, run_for="14s", strategy="Immediate"))
        eventually(lambda: running.job("tough").get("status", {}).get("energyJoules"), "it counts")
        operator = running.programs[-1]

        agent.kill()
        operator.kill()
        agent.start().wait_ready()
        operator.start().wait_ready()

        status = _settled(running, "tough")
        assert condition(running.job("tough"), "Complete")["status"] == "True"
        assert _agent_microjoules(agent, status["workload"]["uid"]) == _ledger_microjoules(status)

    def test_is_settled_before_the_job_is_deleted_at_the_end_of_its_time(
        self, running: Stack, agent: Program
    ) -> None:
        """`ttlAfterFinished` removes job and child, and no joule is missing in the counters."""
        short = a_job("short", running.namespace, run_for="3s", strategy="Immediate")
        short["spec"]["ttlAfterFinished"] = "1s"
        running.apply(short)
        (child,) = eventually(running.children, "the child exists")

        eventually(lambda: not running.children("caj"), "the job is gone")

        eventually(lambda: not running.children(), "the child is gone")
        joules = running.programs[-1].metric("carbonaware_energy_joules_total")
        measured = _agent_microjoules(agent, child["metadata"]["uid"]) / 1e6
        assert pytest.approx(measured, abs=1e-3) == joules

    def test_shows_in_metrics_per_namespace_and_zone(self, running: Stack, agent: Program) -> None:
        """Counters carry namespace and zone, and no name of a job."""
        running.apply(a_job("metered", running.namespace, run_for="4s", strategy="Immediate"))
        status = _settled(running, "metered")
        operator = running.programs[-1]

        joules = operator.metric("carbonaware_energy_joules_total", namespace=running.namespace)

        assert pytest.approx(_ledger_microjoules(status) / 1e6, abs=1e-3) == joules
        assert "metered" not in operator.get("/metrics")


class TestWrites:
    def test_signals_that_change_no_decision_write_no_job(self, running: Stack) -> None:
        """300 intensity updates, none of which crosses a limit: 0 writes to CarbonAwareJobs."""
        rows = [f"2026-01-{1 + n // 24:02}T{n % 24:02}:00:00Z,{300 + n % 50}" for n in range(400)]
        running.kubectl(
            "create", "configmap", "trace", "--from-literal=day.csv=" + "\n".join(["utc,g", *rows])
        )
        zone = a_zone(f"{running.namespace}-rec")
        source = {"configMapRef": {"name": "trace", "key": "day.csv"}, "speed": 86400, "loop": True}
        zone["spec"]["source"] = {"type": "Recording", "recording": source}
        zone_name = zone["metadata"]["name"]
        operator = running.operator().wait_ready()
        running.apply(zone, *(a_job(f"held-{n}", zone_name, maxGramsPerKWh=100) for n in range(20)))
        eventually(lambda: _held(running) == 20, "all are held")
        versions = _versions(running)
        seen = _updates(operator, zone_name)
        writes = operator.metric("carbonaware_writes_total", kind="carbonawarejobs")

        eventually(lambda: _updates(operator, zone_name) - seen >= 300, "300 updates", 90)

        assert operator.metric("carbonaware_writes_total", kind="carbonawarejobs") == writes
        assert versions == _versions(running)
        running.cluster.kubectl("delete", "carbonzone", zone_name, "--wait=false")

    def test_a_field_that_another_manager_keeps_is_not_fought_over(self, running: Stack) -> None:
        """Server-side apply cannot take away what somebody else set: once is enough to find out."""
        job = a_job("kept", f"{running.namespace}-none", whenDeadlineReached="Fail")
        running.apply(job)
        plan = {"status": {"plan": {"startTime": "2030-01-01T00:00:00Z"}}}
        running.kubectl(
            "patch", "caj", "kept", "--subresource=status", "--type=merge", "-p", json.dumps(plan)
        )
        operator = running.operator().wait_ready()
        eventually(lambda: _is_held(running, "kept"), "it is held")
        running.apply(a_job("later", f"{running.namespace}-none"))
        eventually(lambda: _is_held(running, "later"), "another is held")
        writes = operator.metric("carbonaware_writes_total", kind="carbonawarejobs")

        running.apply(a_job("latest", f"{running.namespace}-none"))
        eventually(lambda: _is_held(running, "latest"), "a third is held")

        # One for the third; a fight is hundreds a second.
        assert operator.metric("carbonaware_writes_total", kind="carbonawarejobs") - writes <= 3
        assert "2030-01-01T00:00:00Z" == running.job("kept")["status"]["plan"]["startTime"]


def _is_held(running: Stack, name: str) -> bool:
    return condition(running.job(name), "Released").get("status") == "False"


def _held(running: Stack) -> int:
    jobs = running.children("caj")
    return sum(condition(job, "Released").get("reason") == "AboveMaxIntensity" for job in jobs)


def _versions(running: Stack) -> list[str]:
    return [job["metadata"]["resourceVersion"] for job in running.children("caj")]


def _updates(operator: Program, zone: str) -> float:
    """How many outlooks the signals loop has handed to the planner."""
    return operator.metric("carbonaware_grid_updates_total", zone=zone)
