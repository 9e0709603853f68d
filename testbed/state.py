"""What is written down about a cluster, so that any later command can find and end it.

The file is replaced whole after every change, so a command that is killed half-way leaves the last
true state behind.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from testbed.addresses import Addresses
from testbed.process import ProcessId

NodeKind = Literal["real", "simulated", "none"]


@dataclass(slots=True)
class Component:
    """One program of the cluster: how it is started and, while it runs, its process."""

    name: str
    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: ProcessId | None = None


@dataclass(slots=True)
class ClusterState:
    """Everything that outlives the command which started the cluster.

    slot: 0 to 255, decides the address ranges.
    boot: the boot of the machine that the processes belong to.
    server: URL of the API server.
    components: in the order in which they were started.
    sysctls: kernel settings to put back, by path below /proc/sys.
    created: paths outside the cluster's folder that did not exist before it.
    """

    name: str
    slot: int
    boot: str
    node_kind: NodeKind = "none"
    node_name: str = ""
    server: str = ""
    components: list[Component] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)

    @property
    def addresses(self) -> Addresses:
        """The address ranges of the cluster's slot."""
        return Addresses(self.slot)

    def component(self, name: str) -> Component:
        """The component of this name.

        Raises KeyError: the cluster has none.
        """
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(name)


def save(state: ClusterState, folder: Path) -> None:
    """Write the state into the cluster's folder, replacing what was there in one step."""
    unfinished = folder / ".state.json.unfinished"
    unfinished.write_text(json.dumps(asdict(state), indent=2))
    unfinished.replace(folder / "state.json")


def load(folder: Path) -> ClusterState | None:
    """Read the state from a cluster's folder, None if none was written."""
    try:
        written: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return None
    components = [_component(entry) for entry in written.pop("components")]
    return ClusterState(components=components, **written)


def owner_folder(folder: Path) -> None:
    """Make a folder that only this user may enter: it holds tokens and keys."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o700)  # noqa: PTH101 - mkdir's mode ignores an existing folder


def _component(entry: dict[str, Any]) -> Component:
    process = entry.pop("process")
    return Component(process=ProcessId(**process) if process else None, **entry)
