"""Real control groups named like pods, each with two processes that wake up now and then.

They lie below a root of their own, which no kubelet knows; a host tree links to them under the
name that the agent looks for.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# A pod's sandbox process sleeps for ever; its main one wakes twice a second, as one that polls.
_CROWD = """
import os, sys, time
for procs in sys.argv[1:]:
    for pause in (3600, 0.5):
        if os.fork() == 0:
            with open(procs, "w") as file:
                file.write(str(os.getpid()))
            while True:
                time.sleep(pause)
time.sleep(3600)
"""


class NoCgroupsError(Exception):
    """No control group can be made here; the message says why."""


@contextmanager
def pod_cgroups(host_root: Path, paths: Sequence[str]) -> Iterator[str]:
    """Make cgroups, and link them into a host tree; yields the version of the hierarchy.

    paths: of the pods' cgroups below the root, e.g. burstable/pod<uid>. At the end the processes
    are killed and every cgroup is removed. Raises NoCgroupsError.
    """
    base = _hierarchy()
    root = base / f"carbonaware-bench-{os.getpid()}"
    try:
        root.mkdir()
    except OSError as error:
        raise NoCgroupsError(f"{root} cannot be made, which takes root: {error}") from error
    try:
        for path in paths:
            (root / path).mkdir(parents=True)
        _link(host_root, base, root)
        with _crowd([str(root / path / "cgroup.procs") for path in paths]):
            yield "v1" if base.name == "cpuacct" else "v2"
    finally:
        _remove(root)


def _hierarchy() -> Path:
    """The newest hierarchy of this machine, which is what most nodes have."""
    for base in (_CGROUPS, _CGROUPS / "unified"):
        if (base / "cgroup.controllers").exists():
            return base
    if (_CGROUPS / "cpuacct").is_dir():
        return _CGROUPS / "cpuacct"
    raise NoCgroupsError(f"no hierarchy with CPU time below {_CGROUPS}")


def _link(host_root: Path, base: Path, root: Path) -> None:
    seen = host_root / "sys/fs/cgroup"
    if base.name == "cpuacct":
        seen = seen / "cpuacct"
    seen.mkdir(parents=True)
    if base.name != "cpuacct":
        (seen / "cgroup.controllers").write_text("cpu\n")
    (seen / "kubepods").symlink_to(root)


@contextmanager
def _crowd(lists: Sequence[str]) -> Iterator[None]:
    parent = subprocess.Popen([sys.executable, "-S", "-c", _CROWD, *lists], start_new_session=True)
    try:
        while not all(len(Path(file).read_text().split()) == 2 for file in lists):
            if parent.poll() is not None:
                raise NoCgroupsError("the pods' processes could not be started")
            time.sleep(0.05)
        yield
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait(timeout=30)


def _remove(root: Path) -> None:
    """Remove a tree of cgroups; a killed process leaves its own a moment later."""
    deadline = time.monotonic() + 10
    while root.exists() and time.monotonic() < deadline:
        for folder in sorted(root.rglob("*/"), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            root.rmdir()
        time.sleep(0.05)
