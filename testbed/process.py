"""Processes that outlive the command which started them.

A process is identified by its pid *and* the moment it started, so a recycled pid is never
signalled. Every process also carries MARKER in its environment: what was started in the instant
before its pid could be written down, and what its children left behind, is found by that.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MARKER = "CARBONAWARE_TESTBED_CLUSTER"
"""Environment variable that holds the folder of the cluster a process belongs to."""

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process of this boot: its pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int


def identify(pid: int) -> ProcessId | None:
    """The identity of a running process, None if there is none (or only a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name may contain spaces and brackets; fields are counted after its last one.
    fields = stat.rpartition(")")[2].split()
    # While other threads of a killed program still end, its files and ports are still open,
    # though the first thread is a zombie already.
    if fields[0] in "ZX" and int(fields[17]) <= 1:
        return None
    return ProcessId(pid, int(fields[19]))


def is_alive(process: ProcessId) -> bool:
    """Whether exactly this process still runs."""
    return identify(process.pid) == process


def start(
    argv: list[str], *, log: Path, marker: Path, environment: Mapping[str, str] | None = None
) -> ProcessId:
    """Start a program in a session of its own, its output appended to a file.

    Raises OSError: the program cannot be executed.
    """
    variables = {"PATH": os.environ.get("PATH", os.defpath), **(environment or {})}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        argv,
        {**variables, MARKER: str(marker)},
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    return identify(pid) or ProcessId(pid, -1)


def stop(process: ProcessId, *, grace_seconds: float = 10.0) -> None:
    """Ask a process to end, then make it; returns when it is gone. Idempotent."""
    if grace_seconds:
        _signal(process, signal.SIGTERM, wait_seconds=grace_seconds)
    _signal(process, signal.SIGKILL, wait_seconds=5.0)
    with contextlib.suppress(ChildProcessError):  # started by an earlier command, not our child
        os.waitpid(process.pid, os.WNOHANG)


def kill(process: ProcessId) -> None:
    """End a process without giving it a chance to tidy up, as a crash would."""
    stop(process, grace_seconds=0.0)


def marked_with(marker: Path) -> list[ProcessId]:
    """Every running process that was started for this cluster, newest first."""
    wanted = f"{MARKER}={marker}".encode()
    found = [
        process
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and wanted in _environment(entry)
        if (process := identify(int(entry.name)))
    ]
    return sorted(found, key=lambda process: process.start_ticks, reverse=True)


def stop_all(processes: Iterable[ProcessId], *, grace_seconds: float = 10.0) -> None:
    """Stop processes one after the other, in the order given."""
    for process in processes:
        stop(process, grace_seconds=grace_seconds)


def boot_id() -> str:
    """Identifies this boot of the machine; pids of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _environment(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # another user's process, or gone meanwhile
        return []


def _signal(process: ProcessId, number: signal.Signals, *, wait_seconds: float) -> None:
    if not is_alive(process):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
    deadline = time.monotonic() + wait_seconds
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
