"""The real agent on a host tree that a scenario writes; only its clock is played.

Sensors, cgroup reader, meter, state folder and page are the agent's own. What the API server would
tell is put into its pod directory, as following the server is another test's matter.
"""

from pathlib import Path

from agent_builders import HOUR, FakeClock, a_pod_manifest
from carbonaware_agent.agent import Agent, Surroundings
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.board import Board
from carbonaware_agent.host import Host
from carbonaware_agent.metering import Meter, Rules
from carbonaware_agent.owners import OwnerSeries
from carbonaware_agent.readings import Reader
from carbonaware_agent.resumption import Machine, resume
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.selection import sensors
from carbonaware_agent.store import StateFolder
from carbonaware_agent.workloads.cgroups import Cgroups
from carbonaware_agent.workloads.pods import PodDirectory, parse_pod
from conformance.node import Node
from conformance.node_files import NodeFiles, calibrations
from conformance.page import Page
from conformance.scenarios import Knowledge, Pod, Scenario

_PERIOD_SECONDS = 3600


class ReplayedAgent:
    """An agent on a node's files. Killing it and making another on its folder is a restart."""

    def __init__(self, node: Node, files: NodeFiles, folder: Path, clock: FakeClock) -> None:
        self._node = node
        scenario = node.scenario
        host = Host(files.tree.root)
        knows_maximum = scenario.knowledge == Knowledge.SHAPE
        found = sensors(
            host,
            maximum_watts=scenario.machine.maximum_watts if knows_maximum else None,
            curves=calibrations(scenario, host, folder.with_name("curves")),
        )
        self._folder = StateFolder(folder, _PERIOD_SECONDS * 1_000_000)
        zones = {(zone.name, zone.stream.source) for sensor in found for zone in sensor.zones}
        machine = Machine(
            host.boot_id(),
            host.processor().name,
            clock.boottime_us(),
            clock.wall_us(),
            _PERIOD_SECONDS * 1_000_000,
            zones,
        )
        snapshot, goes_on = resume(
            self._folder.load(clock.wall_us()), self._folder.journal, machine
        )
        self._directory = PodDirectory()
        self._board = Board("node", self._folder.journal)
        rules = Rules(scenario.machine.vcpus, IdlePolicy.REQUESTS, _idle_uw(scenario))
        owners = OwnerSeries(snapshot, self._folder.journal)
        self._agent = Agent(
            clock,
            Reader(clock, CpuTime(host.proc), found, Cgroups(host.cgroups)),
            Meter(snapshot, owners, self._directory, rules),
            snapshot,
            self._folder,
            self._board,
            Surroundings({}, {}),
            begun=goes_on,
        )
        self._told: dict[str, bool] = {}

    def tick(self) -> None:
        """Let the agent read what the node's files show now."""
        self._tell()
        self._agent.tick()

    def page(self) -> Page:
        """Its /metrics page."""
        return Page((self._board.metrics() or b"").decode())

    def kill(self) -> None:
        """End as SIGKILL would: only the lock on its folder is let go."""
        self._folder.close()

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


def _idle_uw(scenario: Scenario) -> int | None:
    machine = scenario.machine
    if scenario.knowledge != Knowledge.CALIBRATED:
        return None
    return round(machine.maximum_watts * machine.curve.at(0.0) * 1e6)


def _manifest(number: int, pod: Pod, phase: str) -> dict[str, object]:
    return a_pod_manifest(
        number,
        name=pod.name,
        owner=("Job", pod.name, f"uid-of-{pod.name}"),
        cpu=f"{pod.request}m",
        qos=pod.qos.capitalize(),
        phase=phase,
        gpus=0 if pod.gpu is None else 1,
    )
