"""What a real node puts on the machine besides processes, and how it is taken off again.

A bridge with the pods' veth pairs, mounts below the cluster's folder, control groups, nftables
tables, kernel settings and a few paths that kubelet and CNI do not let one move.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testbed.addresses import Addresses
from testbed.errors import ComponentFailedError
from testbed.process import identify
from testbed.state import ClusterState

_CGROUPS = Path("/sys/fs/cgroup")
_POD_CGROUP = "kubepods"  # kubelet's own name for it
_SYSCTLS = (
    # what kubelet, kube-proxy and the bridge plugin set
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
)
_FIXED_PATHS = (
    "/var/lib/carbonaware-agent",  # an installed agent's counters
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/containers",
    "/run/containerd",
)


def remember(state: ClusterState) -> None:
    """Note in the state what the machine looks like before the node changes it."""
    for name in _SYSCTLS:
        path = Path("/proc/sys") / name
        if path.exists():
            state.sysctls[name] = path.read_text().strip()
    state.created = [path for path in _FIXED_PATHS if not Path(path).exists()]


def has_pod_cgroups() -> bool:
    """Whether some kubelet keeps pods on this machine."""
    return any(_pod_cgroups())


def make_bridge(addresses: Addresses) -> None:
    """Create the bridge before any pod: the API server listens on its address.

    Raises ComponentFailedError: the kernel refuses.
    """
    name = addresses.bridge_name
    _ip("link", "add", "name", name, "type", "bridge")
    _ip("address", "add", f"{addresses.bridge}/24", "dev", name)
    _ip("link", "set", name, "up")


def end_pods() -> None:
    """Kill every process in the pods' control groups.

    Raises ComponentFailedError: some survive for 10 s.
    """
    deadline = time.monotonic() + 10
    while survivors := {pid for group in _pod_cgroups() for pid in _processes_below(group)}:
        if time.monotonic() > deadline:
            raise ComponentFailedError(f"processes of pods do not end: {sorted(survivors)}")
        for pid in survivors:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def clear(state: ClusterState, folder: Path, *, same_boot: bool) -> None:
    """Take everything off the machine again; nothing of it may be in use. Idempotent.

    same_boot: whether the machine still has the settings that remember() noted.
    """
    _unmount_below(folder)
    _remove_bridge(state.addresses.bridge_name)
    for family in ("ip", "ip6"):
        _quietly("nft", "delete", "table", family, "kube-proxy")
    for group in _pod_cgroups():
        for inner in sorted(group.rglob("*/"), reverse=True):
            with suppress(OSError):
                inner.rmdir()
        with suppress(OSError):
            group.rmdir()
    for path in state.created:
        shutil.rmtree(path, ignore_errors=True)
    if same_boot:
        for name, value in state.sysctls.items():
            (Path("/proc/sys") / name).write_text(value)


def mounts_below(folder: Path) -> list[str]:
    """Mount points inside a folder, deepest first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # The kernel writes a blank as \040.
    readable = [point.encode().decode("unicode_escape") for point in points]
    return sorted((p for p in readable if p.startswith(f"{folder}/")), reverse=True)


def _unmount_below(folder: Path) -> None:
    while points := mounts_below(folder):
        before = len(points)
        for point in points:
            _quietly("umount", "--lazy", point)
        if len(mounts_below(folder)) >= before:
            raise ComponentFailedError(f"cannot unmount {points}; unmount them by hand")


def _remove_bridge(name: str) -> None:
    members = Path("/sys/class/net") / name / "brif"
    if members.exists():
        for member in members.iterdir():
            _quietly("ip", "link", "delete", member.name)
    _quietly("ip", "link", "delete", name)


def _pod_cgroups() -> Iterator[Path]:
    """The pods' group in every hierarchy; version 1 has one per controller."""
    for path in (_CGROUPS / _POD_CGROUP, *_CGROUPS.glob(f"*/{_POD_CGROUP}")):
        if path.is_dir():
            yield path


def _processes_below(group: Path) -> Iterator[int]:
    for listed in group.rglob("cgroup.procs"):
        with suppress(OSError):  # the group went meanwhile
            yield from (pid for pid in map(int, listed.read_text().split()) if identify(pid))


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ComponentFailedError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _quietly(*command: str) -> None:
    """Run a command whose failure means that there was nothing to remove."""
    subprocess.run(command, capture_output=True, check=False)
