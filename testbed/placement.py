"""Which name, slot and kind of node a new cluster gets on this machine."""

import re
from pathlib import Path
from typing import Literal

from testbed import host, process, real_node, teardown
from testbed.addresses import lowest_free_slot
from testbed.compiler import Report
from testbed.errors import PrerequisiteMissingError, TestbedError
from testbed.locations import clusters_folder
from testbed.lock import exclusive
from testbed.state import ClusterState, NodeKind, load, owner_folder, save

NodeWish = Literal["auto", "real", "simulated", "none"]

# The kernel limits a socket's path to 107 characters; the longest below is /containerd/s.ttrpc.
_LONGEST_FOLDER = 87
# The name is part of host names.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")


def names() -> list[str]:
    """The clusters that are recorded on this machine for this user."""
    return sorted(entry.parent.name for entry in clusters_folder().glob("*/state.json"))


def choose_node(wish: NodeWish, report: Report) -> NodeKind:
    """The kind of node that the wish means on this machine; auto says why it is not a real one.

    Raises PrerequisiteMissingError: a real node is wished for and impossible.
    """
    if wish in ("simulated", "none"):
        return wish
    reason = _obstacle()
    if reason is None:
        return "real"
    if wish == "real":
        raise PrerequisiteMissingError(f"no real node: {reason}")
    report(f"the node is simulated: {reason}")
    return "simulated"


def claim(name: str, kind: NodeKind) -> tuple[Path, ClusterState]:
    """Take a name and a slot for a new cluster.

    Raises TestbedError: a cluster of that name runs, or the name is not usable.
    Raises PrerequisiteMissingError: another cluster took the one real node meanwhile, or the cache
        folder's path is too long.
    """
    if not _NAME.fullmatch(name):
        raise TestbedError(
            f"name is {name!r}; it must be 1 to 30 lower case letters, digits and inner dashes"
        )
    folder = clusters_folder() / name
    if len(str(folder)) > _LONGEST_FOLDER:
        raise PrerequisiteMissingError(
            f"{folder} is too long for sockets in it; it must have at most {_LONGEST_FOLDER} "
            "characters: name a shorter XDG_CACHE_HOME"
        )
    with exclusive(clusters_folder() / "claim.lock"):
        if load(folder):
            raise TestbedError(
                f"a cluster named {name} exists; use it, or end it with "
                f"`python -m testbed down --name {name}`"
            )
        reason = _obstacle() if kind == "real" else None
        if reason:
            raise PrerequisiteMissingError(f"no real node: {reason}")
        slot = lowest_free_slot({state.slot for state in _recorded()})
        node_name = "" if kind == "none" else f"{name}-node"
        state = ClusterState(name, slot, process.boot_id(), kind, node_name)
        if kind == "real":
            host.remember(state)
        owner_folder(folder)
        save(state, folder)
    return folder, state


def remove_crashed(name: str) -> None:
    """Take down what is recorded under a name if none of its processes is alive.

    Raises ComponentFailedError: what is left cannot be removed.
    """
    folder = clusters_folder() / name
    former = load(folder)
    if not former or not any(map(process.is_alive, teardown.recorded(former))):
        teardown.take_down(folder)


def _obstacle() -> str | None:
    for state in _recorded():
        if state.node_kind == "real":
            return (
                f"cluster {state.name} has this machine's one real node; end it with "
                f"`python -m testbed down --name {state.name}`"
            )
    return real_node.obstacle()


def _recorded() -> list[ClusterState]:
    states = [load(clusters_folder() / name) for name in names()]
    return [state for state in states if state]
