"""End a cluster whatever state it is in, and leave nothing of it on the machine."""

import shutil
from pathlib import Path

from testbed import process
from testbed.state import ClusterState, load


def take_down(folder: Path) -> None:
    """End every process of the cluster, newest first, and remove its folder. Idempotent.

    Works after any crash: what the state file does not know is found by its marker.
    """
    state = load(folder)
    if state and state.boot == process.boot_id():
        process.stop_all(recorded(state))
    process.stop_all(process.marked_with(folder), grace_seconds=2.0)
    shutil.rmtree(folder, ignore_errors=True)


def recorded(state: ClusterState) -> list[process.ProcessId]:
    """The processes that the state file names, newest first."""
    return [component.process for component in reversed(state.components) if component.process]
