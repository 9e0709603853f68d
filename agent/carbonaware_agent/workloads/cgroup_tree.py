"""Where the cgroups of this node's pods are: in which hierarchy, and below which folder."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carbonaware_agent.workloads import cgroup_names

_V1_CONTROLLERS = ("cpuacct", "cpu,cpuacct", "cpuacct,cpu")
# kubelet's own root, the folder of a nested node (kind) and one custom root above it.
_SEARCH_DEPTH = 4


@dataclass(frozen=True, slots=True)
class PodsTree:
    """What was found.

    base: of the hierarchy. file_name: of the usage file there. root: the cgroup of all pods.
    loose: a cgroup with containers that stand outside the pods' tree.
    """

    base: Path
    file_name: str
    root: Path | None
    loose: Path | None


def find_tree(mount: Path) -> PodsTree | None:
    """The hierarchy that counts, below the mount point of all; None while it has no pods."""
    for base, file_name in _hierarchies(mount):
        root, loose = _find(base)
        if root or loose:
            return PodsTree(base, file_name, root, loose)
    return None


def _hierarchies(mount: Path) -> Iterator[tuple[Path, str]]:
    """The trees that may hold pods, with the name of the usage file there, in order."""
    for controllers in _V1_CONTROLLERS:
        yield mount / controllers, "cpuacct.usage"
    for base in (mount, mount / "unified"):
        if (base / "cgroup.controllers").exists():
            yield base, "cpu.stat"


def _find(base: Path) -> tuple[Path | None, Path | None]:
    """The pods' root nearest to the top, and the folder of containers outside of it."""
    level = [base]
    root: Path | None = None
    loose: Path | None = None
    for _ in range(_SEARCH_DEPTH):
        children = [child for folder in level for child in _children(folder)]
        for child in children:
            if root is None and cgroup_names.is_pods_root(child.name):
                root = child
            if loose is None and cgroup_names.pod_of_loose_container(child.name):
                loose = child.parent
        level = [child for child in children if child != root]
    return root, loose


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []
