"""Start a cluster's programs, one after the other, and wait until they serve."""

import time
from collections.abc import Callable
from pathlib import Path

from testbed import process
from testbed.errors import ComponentFailedError
from testbed.state import ClusterState, Component, save

_POLL_SECONDS = 0.1
_TAIL_LINES = 12


def log_of(component: Component, folder: Path) -> Path:
    """Where a component's output goes."""
    return folder / "logs" / f"{component.name}.log"


def launch(component: Component, state: ClusterState, folder: Path) -> None:
    """Start one component and write its process down.

    Raises ComponentFailedError: the program cannot be executed.
    """
    log = log_of(component, folder)
    log.parent.mkdir(exist_ok=True)
    try:
        component.process = process.start(
            component.argv, log=log, marker=folder, environment=component.environment
        )
    except OSError as refused:
        raise ComponentFailedError(f"cannot start {component.argv[0]}: {refused}") from refused
    save(state, folder)


def halt(component: Component, state: ClusterState, folder: Path) -> None:
    """Stop one component and write down that it no longer runs."""
    if component.process:
        process.stop(component.process)
    component.process = None
    save(state, folder)


def wait_until(
    condition: Callable[[], object], what: str, state: ClusterState, folder: Path, *, seconds: float
) -> None:
    """Wait for a condition while every started component keeps running.

    what: completes the sentence "the cluster did not …".
    Raises ComponentFailedError: a component died or the time, in seconds, is over; the message
        carries the end of the log.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        for component in state.components:
            if component.process and not process.is_alive(component.process):
                raise ComponentFailedError(_explain(f"{component.name} died", component, folder))
        if time.monotonic() > deadline:
            late = f"the cluster did not {what} within {seconds:.0f} s; last started: "
            last = state.components[-1]
            raise ComponentFailedError(_explain(late + last.name, last, folder))
        time.sleep(_POLL_SECONDS)


def _explain(what: str, component: Component, folder: Path) -> str:
    log = log_of(component, folder)
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    tail = "\n".join(f"  {line[:300]}" for line in lines[-_TAIL_LINES:])
    return f"{what}; the end of its log:\n{tail}"
