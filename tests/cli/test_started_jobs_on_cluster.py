"""What the plugin says of started jobs, on a real API server with the real scheduler."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from programs import Stack, a_job, a_zone, console_script, eventually, stack
from testbed.cluster import Cluster

pytestmark = pytest.mark.api

Plugin = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def running(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Stack]:
    """An operator, its namespace, and a zone of the same name at 360 gCO2e/kWh."""
    with stack(cluster, namespace, tmp_path) as programs:
        programs.apply(a_zone(namespace, 360))
        programs.operator().wait_ready()
        zone = f"carbonzone/{namespace}"
        programs.kubectl("wait", "--for=condition=Fresh", zone, "--timeout=60s")
        yield programs
    cluster.kubectl("delete", "carbonzone", namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def plugin(running: Stack) -> Plugin:
    """The plugin in the test's namespace, without kubectl before it."""
    environment = os.environ | running.cluster.kubectl_environment()
    program = console_script("kubectl-carbonaware")

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, program, *arguments, "-n", running.namespace]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    return call


def listed(plugin: Plugin) -> dict[str, Any]:
    """The one job of the namespace."""
    (item,) = json.loads(plugin("list", "-o", "json").stdout)["items"]
    return dict(item)


class TestWithoutPods:
    def test_because_of_a_quota(self, running: Stack, plugin: Plugin) -> None:
        """The Job controller says so in an event alone."""
        running.kubectl("create", "quota", "none", "--hard=pods=0")
        running.apply(a_job("full", running.namespace, strategy="Immediate"))

        item = eventually(
            lambda: (found := listed(plugin))["pods"] and found["pods"]["reason"] and found,
            "the quota is named",
        )

        assert ("Starting", "QuotaExceeded", 0) == (
            item["state"],
            item["pods"]["reason"],
            item["pods"]["ready"],
        )
        text = plugin("explain", "caj/full").stdout
        assert "Starting, QuotaExceeded" in text
        assert "exceeded quota: none" in text

    def test_because_no_node_fits(self, running: Stack, plugin: Plugin) -> None:
        """In the words of the scheduler."""
        job = a_job("big", running.namespace, strategy="Immediate")
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        container["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
        running.apply(job)

        eventually(
            lambda: "Unschedulable" in plugin("list").stdout, "the scheduler's word is shown"
        )
        eventually(
            lambda: (
                ["big", "Starting", "Unschedulable"]
                == running.kubectl("get", "caj", "--no-headers").split()[:3]
            ),
            "the operator tells it to who has no plugin",
            60,
        )
        described = running.kubectl("describe", "caj", "big")
        assert "Warning  Starting" in described

        assert "Insufficient nvidia.com/gpu" in plugin("explain", "big").stdout


class TestTop:
    def test_shows_what_a_job_draws_now(self, running: Stack, plugin: Plugin) -> None:
        """A real agent; at 360 g/kWh a watt is 0.36 g an hour."""
        agent = running.agent(running.simulated_host()).wait_ready()
        running.apply(a_job("hot", running.namespace, run_for="120s", strategy="Immediate"))
        eventually(lambda: agent.metric("carbonaware_owner_energy_joules_total"), "it is measured")
        look = ("--agent-url", agent.url, "--interval", "1s", "-o", "json")

        done = plugin("top", *look)
        (node,) = json.loads(plugin("top", "nodes", "--zone", running.namespace, *look).stdout)[
            "items"
        ]

        assert "" == done.stderr
        (job,) = json.loads(done.stdout)["items"]
        assert "hot" == job["name"]
        assert 0 < job["watts"] <= node["watts"] * 1.5  # two looks, one after the other
        assert pytest.approx(job["watts"] * 360, abs=1) == job["emissionsMilligramsPerHour"]
        assert [running.namespace] == job["zones"] == node["zones"]

    def test_says_when_agents_cannot_be_reached_through_the_api_server(
        self, running: Stack, plugin: Plugin
    ) -> None:
        """A simulated pod has no server: the proxy of the real API server answers with an error."""
        labels = "app.kubernetes.io/part-of=carbonaware,app.kubernetes.io/component=agent"
        running.kubectl("run", "agent", "--image=none", f"--labels={labels}")
        eventually(
            lambda: "Running" in running.kubectl("get", "pod", "agent", "--no-headers"), "it runs"
        )

        done = plugin("top", "--operator-namespace", running.namespace)

        assert (1, "") == (done.returncode, done.stdout)
        assert "no agent answers" in done.stderr
        assert 1 == len(done.stderr.splitlines())


class TestHoldAndWait:
    def test_a_held_job_starts_when_resumed_and_is_waited_for(
        self, running: Stack, plugin: Plugin
    ) -> None:
        """On hold it does not start, whatever its strategy; the waiting watch sees it end."""
        running.apply(a_job("patient", running.namespace, maxGramsPerKWh=100))
        assert "patient: on hold\n" in plugin("hold", "patient").stdout
        eventually(
            lambda: "SuspendedByUser" in json.dumps(running.job("patient").get("status")),
            "the operator has seen it",
        )
        late = plugin("wait", "patient", "--timeout", "1s")
        ended: list[subprocess.CompletedProcess[str]] = []
        waiting = threading.Thread(
            target=lambda: ended.append(
                plugin("wait", "patient", "--for", "ended", "--timeout", "90s")
            )
        )
        waiting.start()

        plugin("resume", "patient")
        released = plugin("release", "patient", "--wait")
        waiting.join()

        assert 1 == late.returncode
        assert "is still Held (SuspendedByUser) after 1 s" in late.stderr
        assert 0 == released.returncode
        assert (0, f"job {running.namespace}/patient: ended\n") == (
            ended[0].returncode,
            ended[0].stdout,
        )
        assert "Running (ReleasedByUser)" in ended[0].stderr
