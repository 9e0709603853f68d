"""Wiring: builds the agent from its settings and runs it until it is told to stop.

A sensor is added in `sources.selection`; a collector that is no sensor, in `_collectors`.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from carbonaware_agent import __version__
from carbonaware_agent.agent import Agent, Surroundings
from carbonaware_agent.clock import Clock, SystemClock
from carbonaware_agent.gpus.watch import GpuWatch
from carbonaware_agent.host import Host, Processor
from carbonaware_agent.metering.meter import Meter, Rules
from carbonaware_agent.metering.owners import OwnerSeries
from carbonaware_agent.metering.resumption import Machine, resume
from carbonaware_agent.readings import Reader
from carbonaware_agent.saved.store import StateFolder
from carbonaware_agent.serving.board import Board
from carbonaware_agent.serving.server import MetricsServer
from carbonaware_agent.settings import Settings
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.nvml import Nvml
from carbonaware_agent.sources.nvml_devices import Gpu
from carbonaware_agent.sources.selection import sensors
from carbonaware_agent.sources.sensor_set import SensorSet
from carbonaware_agent.workloads.api import ApiUnconfiguredError, from_kubeconfig, service_account
from carbonaware_agent.workloads.cgroups import Cgroups
from carbonaware_agent.workloads.kubelet import pods_of_kubelet
from carbonaware_agent.workloads.pods import PodDirectory
from carbonaware_agent.workloads.watch import PodWatch

_log = logging.getLogger("carbonaware_agent")


def run(chosen: Settings, stop: threading.Event) -> None:
    """Measure until told to stop.

    Raises OSError, StateFolderInUseError or ApiUnconfiguredError: it cannot begin.
    """
    clock, directory = SystemClock(), PodDirectory()
    watch = _watch(chosen, directory, stop)
    parts = assemble(chosen, clock, directory, watch)
    parts.gpus.start(stop.wait)
    _serve(chosen, parts.board, parts.agent)
    parts.agent.run(stop, round(chosen.tick_seconds * 1e6))
    parts.folder.close()


@dataclass(frozen=True, slots=True)
class Parts:
    """An agent that is ready to run, what it shows and where it saves.

    gpus: its watch of who holds GPUs, not started.
    """

    agent: Agent
    board: Board
    folder: StateFolder
    gpus: GpuWatch


def assemble(
    chosen: Settings, clock: Clock, directory: PodDirectory, watch: PodWatch | None
) -> Parts:
    """Everything but threads: a caller may play the clock and the API server.

    watch: what fills the directory. Raises OSError or StateFolderInUseError: it cannot begin.
    """
    host = Host(chosen.host_root)
    processor = host.processor()
    found = sensors(host, clock.boottime_us(), maximum_watts=chosen.max_watts, curves=chosen.curves)
    folder = StateFolder(chosen.state_dir, chosen.accounting_period_us)
    machine = _machine(chosen, clock, host, processor, found)
    snapshot, goes_on = resume(folder.load(machine.wall_us), folder.journal, machine)
    gpus = GpuWatch(
        clock,
        lambda: _cards(found),
        directory,
        lambda: watch is None or watch.current,
        socket=chosen.pod_resources_socket or host.pod_resources,
        proc=host.proc,
    )
    owners = OwnerSeries(snapshot, folder.journal)
    board = Board(chosen.node_name, folder.journal)
    cgroups = Cgroups(host.cgroups)
    rules = _rules(chosen, processor, host.memory_kib())
    agent = Agent(
        clock,
        Reader(clock, CpuTime(host.proc), found, cgroups),
        Meter(snapshot, owners, directory, rules, lambda: gpus.picture, cgroups.memory_kib),
        snapshot,
        folder,
        board,
        Surroundings(_collectors(watch, gpus), found.error_ratios, lambda: gpus.picture),
        begun=goes_on,
    )
    return Parts(agent, board, folder, gpus)


def _machine(
    chosen: Settings, clock: Clock, host: Host, processor: Processor, found: SensorSet
) -> Machine:
    return Machine(
        boot_id=host.boot_id(),
        processor=processor.name,
        boottime_us=clock.boottime_us(),
        wall_us=clock.wall_us(),
        period_us=chosen.accounting_period_us,
        domains=found.keys,
    )


def _rules(chosen: Settings, processor: Processor, memory_kib: int) -> Rules:
    idle_uw = None if chosen.idle_watts is None else round(chosen.idle_watts * 1e6)
    return Rules(processor.vcpus, chosen.idle_policy, idle_uw, memory_kib)


def _collectors(watch: PodWatch | None, gpus: GpuWatch) -> Mapping[str, Callable[[], bool | None]]:
    """Whether each collector that is no sensor works, by its name in the metrics.

    None while it is not in use.
    """
    return {
        "pods": lambda: watch is not None and watch.synced,
        "pods_kubelet": lambda: watch.stood_in if watch else None,
        "gpu_holders": lambda: gpus.following,
    }


def _watch(chosen: Settings, directory: PodDirectory, stop: threading.Event) -> PodWatch | None:
    """The watch of this node's pods, started; without an API server energy stays with pods."""
    try:
        server = from_kubeconfig(chosen.kubeconfig) if chosen.kubeconfig else service_account()
    except ApiUnconfiguredError as error:
        if chosen.kubeconfig:
            raise
        _log.warning("pods stay without names and owners", extra={"reason": str(error)})
        return None
    stand_in = pods_of_kubelet(chosen.kubelet, server) if chosen.kubelet else None
    watch = PodWatch(server, chosen.node_name, directory, stop.wait, stand_in)
    watch.start()
    return watch


def _cards(found: SensorSet) -> Sequence[Gpu]:
    return [gpu for sensor in found.in_force if isinstance(sensor, Nvml) for gpu in sensor.gpus]


def _serve(chosen: Settings, board: Board, agent: Agent) -> None:
    try:
        server = MetricsServer(chosen.listen, board, agent.alive)
    except OSError as error:
        address = ":".join(map(str, chosen.listen))
        raise OSError(f"--listen {address} cannot be used: {error.strerror}") from error
    server.start()
    _log.info(
        "measuring",
        extra={"version": __version__, "node": chosen.node_name, "port": server.server_port},
    )
