"""`kubectl carbonaware …` as users call it: found by kubectl, against a real API server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from programs import Stack, a_job, a_zone, condition, eventually, stack
from testbed import wheels
from testbed.cluster import Cluster

pytestmark = pytest.mark.api

Plugin = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def running(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Stack]:
    """A namespace, and a zone of the same name at 300 gCO2e/kWh."""
    with stack(cluster, namespace, tmp_path) as programs:
        programs.apply(a_zone(namespace))
        yield programs
    cluster.kubectl("delete", "carbonzone", namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def kubectl_carbonaware(running: Stack) -> Plugin:
    """Run the plugin through kubectl, in the test's namespace unless told otherwise."""
    environment = os.environ | running.cluster.kubectl_environment()
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [str(wheels.kubectl()), "carbonaware", *arguments]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    return call


class TestKubectlGet:
    def test_shows_grams_and_where_they_are_from(self, running: Stack) -> None:
        """People compare with limits, which are in grams."""
        running.operator().wait_ready()

        line = eventually(
            lambda: [x for x in _rows(running) if "g/kWh" in x], "the zone's intensity is shown"
        )

        assert [running.namespace, "True", "Current", "300", "g/kWh", "Static"] == line[0].split()


def _rows(running: Stack) -> list[str]:
    return running.kubectl("get", "czone", running.namespace, "--no-headers").splitlines()


class TestPlugin:
    def test_tells_why_a_job_is_held_and_starts_it(
        self, running: Stack, kubectl_carbonaware: Plugin
    ) -> None:
        """With an operator: held, explained, released, running, listed."""
        where = ("-n", running.namespace)
        running.operator().wait_ready()
        running.apply(a_job("held", running.namespace, run_for="60s", maxGramsPerKWh=100))
        eventually(
            lambda: condition(running.job("held"), "Released").get("reason"), "it is decided on"
        )

        explained = kubectl_carbonaware("explain", "held", *where, "-o", "json")

        document = json.loads(explained.stdout)
        assert ("Hold", "AboveMaxIntensity") == (document["decision"]["action"], document["reason"])
        assert document["disagreement"] is None

        released = kubectl_carbonaware("release", "held", *where, "--wait")

        assert 0 == released.returncode
        assert f"job {running.namespace}/held: started\n" == released.stdout
        listed = kubectl_carbonaware("list", *where, "-o", "json")
        (item,) = json.loads(listed.stdout)["items"]
        assert "ReleasedByUser" == item["reason"]
        assert item["state"] in ("Starting", "Running")  # until the simulated node has run its pod
        again = kubectl_carbonaware("release", "held", *where)
        assert 1 == again.returncode
        assert "has already been started" in again.stderr

    def test_suspends_and_resumes_a_held_job(
        self, running: Stack, kubectl_carbonaware: Plugin
    ) -> None:
        """The real API server takes the writes; `explain` says that no operator has acted."""
        where = ("-n", running.namespace)
        running.apply(a_job("held", running.namespace, maxGramsPerKWh=100))

        assert 0 == kubectl_carbonaware("suspend", "held", *where).returncode

        assert running.job("held")["spec"]["suspend"] is True
        refused = kubectl_carbonaware("release", "held", *where)
        assert 1 == refused.returncode
        assert "clear `suspend` first" in refused.stderr
        document = json.loads(kubectl_carbonaware("explain", "held", *where, "-o", "json").stdout)
        assert "SuspendedByUser" == document["reason"]
        assert "the operator has not looked at this job yet" == document["disagreement"]
        assert 0 == kubectl_carbonaware("resume", "held", *where).returncode
        assert running.job("held")["spec"]["suspend"] is False

    def test_lists_zones_and_names_a_job_that_does_not_exist(
        self, running: Stack, kubectl_carbonaware: Plugin
    ) -> None:
        """Zones need no namespace; a wrong name is one line and exit code 1."""
        zones = json.loads(kubectl_carbonaware("zones", "-o", "json").stdout)["items"]
        lost = kubectl_carbonaware("explain", "lost", "-n", running.namespace)

        assert running.namespace in [zone["name"] for zone in zones]
        assert (1, "") == (lost.returncode, lost.stdout)
        assert f"there is no CarbonAwareJob {running.namespace}/lost" in lost.stderr
        assert 1 == len(lost.stderr.splitlines())
