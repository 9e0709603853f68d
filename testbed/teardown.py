"""End a cluster whatever state it is in, and leave nothing of it on the machine."""

import shutil
from pathlib import Path

from testbed import host, process
from testbed.state import ClusterState, load


def take_down(folder: Path) -> None:
    """End every process of the cluster, newest first, and remove its folder. Idempotent.

    Works after any crash: what the state file does not know is found by its marker.
    """
    state = load(folder)
    same_boot = state is not None and state.boot == process.boot_id()
    if state and same_boot:
        _end_recorded(state)
    process.stop_all(process.marked_with(folder), grace_seconds=2.0)
    if state and state.node_kind == "real":
        host.clear(state, folder, same_boot=same_boot)
    shutil.rmtree(folder, ignore_errors=True)


def _end_recorded(state: ClusterState) -> None:
    for component in reversed(state.components):
        if component.name == "containerd":
            host.end_pods()  # kubelet, started later, is gone by now and starts none again
        if component.process:
            process.stop(component.process)


def recorded(state: ClusterState) -> list[process.ProcessId]:
    """The processes that the state file names, newest first."""
    return [component.process for component in reversed(state.components) if component.process]
