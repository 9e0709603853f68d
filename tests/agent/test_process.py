"""The agent as a process: told to end, and on this very machine."""

import signal
import subprocess
import sys

from agent_builders import HostTree, eventually
from agent_process import AgentProcess


def test_it_measures_this_machine(tmp_path):
    """Without any flag but a state folder: some domain of the package, counted and divided."""
    agent = AgentProcess(tmp_path, "--tick-seconds=0.05", "--max-watts=100")
    first = agent.get()
    assert eventually(lambda: agent.get() != first)
    page = agent.get()

    domains = [series for series in page if series.startswith("carbonaware_node_energy_joules")]
    assert any('domain="package' in series for series in domains)
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
