"""The real agent on a host tree that a scenario writes; only its clock is played.

Sensors, cgroup reader, meter, state folder and page are the agent's own. What the API server would
tell is put into its pod directory, as following the server is another test's matter.
"""

from pathlib import Path

from agent_builders import HOUR, FakeClock, a_pod_manifest
from carbonaware_agent import settings
from carbonaware_agent.host import Host
from carbonaware_agent.wiring import assemble
from carbonaware_agent.workloads.pods import PodDirectory, parse_pod
from conformance.node import Node
from conformance.node_files import NodeFiles, calibrations
from conformance.page import Page
from conformance.scenario import Knowledge, Pod, Scenario

_PERIOD_SECONDS = 3600


class ReplayedAgent:
    """An agent on a node's files. Killing it and making another on its folder is a restart."""

    def __init__(self, node: Node, files: NodeFiles, folder: Path, clock: FakeClock) -> None:
        self._node = node
        self._directory = PodDirectory()
        chosen = settings.parse(_flags(node.scenario, files.tree.root, folder), environment={})
        self._parts = assemble(chosen, clock, self._directory, None)
        self._told: dict[str, bool] = {}

    def tick(self) -> None:
        """Let the agent read what the node's files show now."""
        self._tell()
        # Its thread looks a second after each change; a played clock cannot wait for threads.
        self._parts.gpus.look()
        self._parts.agent.tick()

    def page(self) -> Page:
        """Its /metrics page."""
        return Page((self._parts.board.metrics() or b"").decode())

    def kill(self) -> None:
        """End as SIGKILL would: only the lock on its folder is let go."""
        self._parts.folder.close()

    def _tell(self) -> None:
        """What the API server says of the pods that began or ended since the last tick."""
        running = {pod.name for pod in self._node.running()}
        for number, pod in enumerate(self._node.scenario.pods, start=1):
            if not pod.told or not self._node.begun(pod):
                continue
            phases = [] if pod.name in self._told else ["Running"]
            if pod.name not in running and not self._told.get(pod.name):
                phases.append("Succeeded")
            for phase in phases:
                self._directory.put(parse_pod(_manifest(number, pod, phase)))
                self._told[pod.name] = phase == "Succeeded"


def a_clock(scenario: Scenario) -> FakeClock:
    """A clock that stands where an hour ends at the second the scenario says."""
    return FakeClock(wall=HOUR + _PERIOD_SECONDS - scenario.hour_at)


def _flags(scenario: Scenario, root: Path, folder: Path) -> list[str]:
    """What the operator of the node would set."""
    flags = [f"--host-root={root}", f"--state-dir={folder}"]
    machine = scenario.machine
    match scenario.knowledge:
        case Knowledge.CALIBRATED:
            flags.append(f"--idle-watts={machine.maximum_watts * machine.curve.at(0.0)}")
        case Knowledge.SHAPE:
            flags.append(f"--max-watts={machine.maximum_watts}")
        case Knowledge.CURVE:
            curves = calibrations(scenario, Host(root), folder.with_name("curves"))
            flags.append(f"--curves={curves}")
    return flags


def _manifest(number: int, pod: Pod, phase: str) -> dict[str, object]:
    return a_pod_manifest(
        number,
        name=pod.name,
        owner=("Job", pod.name, f"uid-of-{pod.name}"),
        cpu=f"{pod.request}m",
        memory=f"{pod.memory_gib}Gi",
        qos=pod.qos.capitalize(),
        phase=phase,
        gpus=0 if pod.gpu is None else 1,
    )
