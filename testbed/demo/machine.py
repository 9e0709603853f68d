"""Which node of a cluster is this machine: only on that one our agent can measure."""

import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Object = dict[str, Any]

_CGROUPS = Path("/sys/fs/cgroup")
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?$")


def choose(
    nodes: Iterable[Object], pods: Iterable[Object], cgroups: Path = _CGROUPS
) -> tuple[str | None, bool]:
    """The name of the node to play on, and whether it is this machine; None without any.

    nodes, pods: of the whole cluster.
    """
    usable = [node for node in nodes if takes_pods(node)]
    here = pods_here(cgroups)
    hosts = {p["spec"].get("nodeName") for p in pods if p["metadata"]["uid"] in here}
    for node in usable:
        if node["metadata"]["name"] in hosts or (has_kubelet(cgroups) and has_our_address(node)):
            return node["metadata"]["name"], True
    return (usable[0]["metadata"]["name"], False) if usable else (None, False)


def takes_pods(node: Object) -> bool:
    """Whether a node is ready and refuses no ordinary pod."""
    conditions = node.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    effects = {taint["effect"] for taint in node["spec"].get("taints", [])}
    return ready and not effects & {"NoSchedule", "NoExecute"}


def pods_here(cgroups: Path) -> set[str]:
    """Uids of the pods that have a control group on this machine."""
    found = set()
    for folder in cgroups.rglob("*pod*"):
        match = _POD.search(folder.name)
        if match:
            found.add(match[1].replace("_", "-"))
    return found


def has_kubelet(cgroups: Path) -> bool:
    """Whether some kubelet keeps pods on this machine, if none of them yet."""
    return any(cgroups.rglob("*kubepods*"))


def has_our_address(node: Object) -> bool:
    """Whether a node's internal address is one of this machine's."""
    addresses = node.get("status", {}).get("addresses", [])
    return any(a["type"] == "InternalIP" and _is_ours(a["address"]) for a in addresses)


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))  # the kernel lets nobody bind to another machine's address
        except OSError:
            return False
    return True
