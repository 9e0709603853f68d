"""The agent as a process: killed at any instant, told to end, and on this very machine."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_builders import (
    FakeApi,
    HostTree,
    a_fake_api,
    a_pod_manifest,
    a_uid,
    eventually,
    micro,
    samples,
)

NODE = 'carbonaware_node_energy_joules_total{zone="package-0",source="rapl",boundary="chip"}'
KILLS = 6


class AgentProcess:
    """A running carbonaware-agent."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "carbonaware_agent", "--listen=127.0.0.1:0", *flags],
                env=os.environ | {"CARBONAWARE_STATE_DIR": str(folder / "state")},
                stderr=log,
            )
        self._folder = folder

    def port(self) -> int:
        """Where it listens, as its log says."""
        found: list[int] = []

        def told() -> bool:
            lines = self._log.read_text().splitlines()
            events = [json.loads(line) for line in lines if line.endswith("}")]
            found[:] = [event["port"] for event in events if event["event"] == "measuring"]
            return bool(found) or self._process.poll() is not None

        assert eventually(told, seconds=20)
        assert found, self._log.read_text()
        return found[-1]

    def get(self, path: str = "/metrics") -> dict[str, str]:
        """A page, once there is one."""
        url = f"http://127.0.0.1:{self.port()}{path}"
        end = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return samples(answer.read().decode())
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < end
                time.sleep(0.01)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit code."""
        self._process.send_signal(number)
        code = self._process.wait(timeout=20)
        self._log.rename(self._folder / f"log.{time.monotonic_ns()}")
        return code


class BusyHost:
    """A host tree whose counters move all the time, in a thread of the test."""

    def __init__(self, folder: Path) -> None:
        self._tree = HostTree(folder)
        self.drawn_uj = self.begin_uj = 10**9
        self._busy = 0
        self._stop = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _write(self) -> None:
        used_us = self._busy * 10_000
        self._tree.cgroup(f"kubepods/burstable/pod{a_uid(1)}", used_us // 2)
        self._tree.cgroup("kubepods/burstable", used_us // 2)
        self._tree.cgroup("kubepods", used_us // 2)
        self._tree.busy(self._busy)
        self._tree.rapl(self.drawn_uj % 262_143_328_850)

    def _run(self) -> None:
        while not self._stop.wait(0.003):
            self._busy += 1
            self.drawn_uj += 123_457
            self._write()

    def start(self) -> None:
        """Let the counters move."""
        self._thread.start()

    def stop(self) -> None:
        """Let them stand still."""
        self._stop.set()
        self._thread.join()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with a_fake_api() as running:
        running.pods = [a_pod_manifest(1, owner=("Job", "one", "uid-one"))]
        yield running


def a_kubeconfig(folder: Path, api: FakeApi) -> Path:
    file = folder / "kubeconfig"
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(json.dumps(document))
    return file


def falling(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Cumulative series that show less than before, or are gone.

    A pod's series changes its labels once, when the API server tells its name.
    """
    return [
        series
        for series, value in before.items()
        if "joules" in series
        and 'namespace=""' not in series
        and micro(after.get(series, "-1")) < micro(value)
    ]


@pytest.mark.slow
def test_a_killed_agent_never_shows_less_and_loses_nothing(tmp_path, api):
    """Killed at random instants, its values never fall, and the node's total is exact."""
    host = BusyHost(tmp_path / "host")
    flags = (
        f"--host-root={tmp_path / 'host'}",
        f"--kubeconfig={a_kubeconfig(tmp_path, api)}",
        "--tick-seconds=0.004",
        "--accounting-period-seconds=1",
        "--idle-watts=5",
    )
    agent = AgentProcess(tmp_path, *flags)
    assert micro(agent.get()[NODE]) == 0
    host.start()
    shown: dict[str, str] = {}
    for _ in range(KILLS):
        time.sleep(secrets.randbelow(80) / 1000)
        page = agent.get() | agent.get("/metrics/accounting")
        assert [] == falling(shown, page)
        shown = page
        agent.end(signal.SIGKILL)
        agent = AgentProcess(tmp_path, *flags)
    host.stop()
    assert 0 == (agent.get(), agent.end())[1]

    agent = AgentProcess(tmp_path, *flags)
    page = agent.get() | agent.get("/metrics/accounting")
    assert [] == falling(shown, page)
    assert host.drawn_uj - host.begin_uj == micro(page[NODE])
    attributed = [micro(v) for k, v in page.items() if "node_attributed_joules" in k]
    assert micro(page[NODE]) == sum(attributed)
    of_owner = [v for k, v in page.items() if "owner_energy_joules" in k and "node=" not in k]
    of_pod = [micro(v) for k, v in page.items() if "pod_energy_joules" in k]
    assert [sum(of_pod)] == [micro(value) for value in of_owner]
    assert 0 == agent.end()


def test_it_measures_this_machine(tmp_path):
    """Without any flag but a state folder: some zone of the package, counted and divided."""
    agent = AgentProcess(tmp_path, "--tick-seconds=0.05", "--max-watts=100")
    first = agent.get()
    assert eventually(lambda: agent.get() != first)
    page = agent.get()

    zones = [series for series in page if series.startswith("carbonaware_node_energy_joules")]
    assert any('zone="package' in series for series in zones)
    assert "1" == page['carbonaware_agent_collector_success{collector="state"}']
    assert 0 == agent.end(signal.SIGTERM)


def test_a_second_agent_on_the_same_state_does_not_run(tmp_path):
    """It says why and ends with 1."""
    tree = HostTree(tmp_path / "host")
    tree.rapl(0)
    root = f"--host-root={tree.root}"
    first = AgentProcess(tmp_path, root)
    first.get()
    second = subprocess.run(
        [sys.executable, "-m", "carbonaware_agent", root, f"--state-dir={tmp_path / 'state'}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert 1 == second.returncode
    assert "is in use by another agent" in second.stderr
    assert 0 == first.end()
