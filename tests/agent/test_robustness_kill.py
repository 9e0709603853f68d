"""Killed at random instants, the agent never shows less and loses no energy."""

import secrets
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_builders import FakeApi, HostTree, a_fake_api, a_pod_manifest, a_uid, micro
from agent_process import AgentProcess, a_kubeconfig

NODE = 'carbonaware_node_energy_joules_total{domain="package-0",source="rapl",boundary="chip"}'
KILLS = 200
PODS = (1, 2)
STEP_UJ = 123_457
STEP_US = 2000
# So long one pod has the node to itself: shorter than a gap, longer than a tick.
STEPS_IN_TURN = 50


class BusyHost:
    """A host tree whose counters move all the time, in a thread of the test.

    Two pods have the node in turn, so that the true energy of each is known and no mean over a
    gap is right. true_uj: by pod.
    """

    def __init__(self, folder: Path) -> None:
        self._tree = HostTree(folder)
        self._steps = 0
        self._used_us = dict.fromkeys(PODS, 0)
        self.true_uj = dict.fromkeys(PODS, 0)
        self._stop = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def drawn_uj(self) -> int:
        """Since the beginning."""
        return sum(self.true_uj.values())

    def _write(self) -> None:
        for pod, used_us in self._used_us.items():
            self._tree.cgroup(f"kubepods/burstable/pod{a_uid(pod)}", used_us)
        used_us = sum(self._used_us.values())
        self._tree.cgroup("kubepods/burstable", used_us)
        self._tree.cgroup("kubepods", used_us)
        self._tree.busy(used_us // 10_000)
        self._tree.rapl((10**9 + self.drawn_uj) % 262_143_328_850)

    def _run(self) -> None:
        while not self._stop.wait(0.003):
            pod = PODS[self._steps // STEPS_IN_TURN % len(PODS)]
            self._steps += 1
            self._used_us[pod] += STEP_US
            self.true_uj[pod] += STEP_UJ
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
        running.pods = [a_pod_manifest(pod) for pod in PODS]
        yield running


def read(agent: AgentProcess) -> dict[str, str]:
    """Both pages."""
    return agent.get() | agent.get("/metrics/accounting")


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
    """The node's total is exact; the split errs by less than what was drawn while none ran."""
    host = BusyHost(tmp_path / "host")
    flags = (
        f"--host-root={tmp_path / 'host'}",
        f"--kubeconfig={a_kubeconfig(tmp_path, api)}",
        "--tick-seconds=0.004",
        "--accounting-period-seconds=1",
        # One microwatt: all energy follows use, whose truth is known.
        "--idle-watts=0.000001",
    )
    agent = AgentProcess(tmp_path, *flags)
    assert micro(agent.get()[NODE]) == 0
    host.start()
    shown: dict[str, str] = {}
    blind_uj = saved_uj = 0
    for kill in range(KILLS):
        # Every other time it is killed wherever it is, perhaps while it still starts.
        if kill % 2:
            time.sleep(secrets.randbelow(600) / 1000)
        else:
            page = read(agent)
            blind_uj += host.drawn_uj - saved_uj
            assert [] == falling(shown, page)
            shown = page
            time.sleep(secrets.randbelow(80) / 1000)
            saved_uj = micro(agent.get()[NODE])
            time.sleep(secrets.randbelow(5000) / 1_000_000)
        agent.end(signal.SIGKILL)
        agent = AgentProcess(tmp_path, *flags)
    read(agent)
    blind_uj += host.drawn_uj - saved_uj
    host.stop()
    assert 0 == (agent.get(), agent.end())[1]

    agent = AgentProcess(tmp_path, *flags)
    page = read(agent)
    assert 0 == agent.end()
    assert [] == falling(shown, page)
    assert host.drawn_uj == micro(page[NODE])
    attributed = [micro(v) for k, v in page.items() if "node_attributed_joules" in k]
    assert host.drawn_uj == sum(attributed)
    owners = {
        k.split('owner_name="job-')[1][0]: micro(v)
        for k, v in page.items()
        if "owner_energy_joules" in k and "node=" not in k
    }
    errors_uj = [owners[str(pod)] - host.true_uj[pod] for pod in PODS]
    share = max(map(abs, errors_uj)) / host.drawn_uj
    print(f"{KILLS} kills, {host.drawn_uj / 1e6:.0f} J drawn, {blind_uj / 1e6:.0f} J of it unseen")
    print(f"total exact, split wrong by {100 * share:.2f} %")
    assert max(map(abs, errors_uj)) <= blind_uj
