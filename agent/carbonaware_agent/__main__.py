"""Wiring: builds the agent from its settings and runs it until a signal ends it."""

import contextlib
import logging
import resource
import signal
import sys
import threading

from carbonaware_agent import __version__, logs, settings
from carbonaware_agent.agent import Agent, Surroundings
from carbonaware_agent.board import Board
from carbonaware_agent.clock import SystemClock
from carbonaware_agent.host import Host
from carbonaware_agent.metering import Meter, Rules
from carbonaware_agent.owners import OwnerSeries
from carbonaware_agent.readings import Reader
from carbonaware_agent.resumption import Machine, resume
from carbonaware_agent.server import MetricsServer
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.selection import sensors
from carbonaware_agent.store import StateFolder, StateFolderInUseError
from carbonaware_agent.workloads.api import ApiUnconfiguredError, from_kubeconfig, service_account
from carbonaware_agent.workloads.cgroups import Cgroups
from carbonaware_agent.workloads.pods import PodDirectory
from carbonaware_agent.workloads.watch import PodWatch

_log = logging.getLogger("carbonaware_agent")


def main() -> None:
    """Run the agent; ends the process with 0 after a signal, 1 if it cannot begin."""
    chosen = settings.parse(sys.argv[1:])
    logs.log_to_stderr(chosen.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _raise_descriptor_limit()
    try:
        _run(chosen, stop)
    except (OSError, StateFolderInUseError, ApiUnconfiguredError) as error:
        _log.error("cannot run", extra={"reason": str(error)})
        sys.exit(1)


def _run(chosen: settings.Settings, stop: threading.Event) -> None:
    clock = SystemClock()
    host = Host(chosen.host_root)
    processor = host.processor()
    found = sensors(host, maximum_watts=chosen.max_watts)
    period_us = chosen.accounting_period_seconds * 1_000_000
    folder = StateFolder(chosen.state_dir, period_us)
    machine = Machine(
        boot_id=host.boot_id(),
        processor=processor.name,
        boottime_us=clock.boottime_us(),
        wall_us=clock.wall_us(),
        period_us=period_us,
        zones={(zone.name, zone.stream.source) for sensor in found for zone in sensor.zones},
    )
    snapshot, goes_on = resume(folder.load(machine.wall_us), folder.journal, machine)
    directory = PodDirectory()
    watch = _watch(chosen, directory, stop)
    board = Board(chosen.node_name, folder.journal)
    rules = Rules(
        processor.vcpus,
        chosen.idle_policy,
        None if chosen.idle_watts is None else round(chosen.idle_watts * 1e6),
    )
    agent = Agent(
        clock,
        Reader(clock, CpuTime(host.proc), found, Cgroups(host.cgroups)),
        Meter(snapshot, OwnerSeries(snapshot, folder.journal), directory, rules),
        snapshot,
        folder,
        board,
        Surroundings(
            pods_synced=lambda: watch is not None and watch.synced,
            model_errors={
                (zone.name, zone.stream.source): zone.error_ratio
                for sensor in found
                for zone in sensor.zones
                if zone.error_ratio is not None
            },
        ),
        begun=goes_on,
    )
    server = MetricsServer(chosen.listen, board, agent.alive)
    server.start()
    _log.info(
        "measuring",
        extra={"version": __version__, "node": chosen.node_name, "port": server.server_port},
    )
    agent.run(stop, round(chosen.tick_seconds * 1e6))
    folder.close()


def _watch(
    chosen: settings.Settings, directory: PodDirectory, stop: threading.Event
) -> PodWatch | None:
    """The watch of this node's pods, started; without an API server energy stays with pods."""
    try:
        server = from_kubeconfig(chosen.kubeconfig) if chosen.kubeconfig else service_account()
    except ApiUnconfiguredError as error:
        if chosen.kubeconfig:
            raise
        _log.warning("pods stay without names and owners", extra={"reason": str(error)})
        return None
    watch = PodWatch(server, chosen.node_name, directory, stop.wait)
    watch.start()
    return watch


def _raise_descriptor_limit() -> None:
    """One descriptor is kept for each pod."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
