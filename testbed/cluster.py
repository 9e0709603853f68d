"""A Kubernetes cluster of one's own: the interface for tests and the demo."""

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import yaml

from testbed import binaries, control_plane, process, simulated_node, teardown, wheels
from testbed.addresses import Addresses, free_port, lowest_free_slot
from testbed.api import Api
from testbed.binaries import Report
from testbed.control_plane import Layout
from testbed.credentials import ADMIN, Credentials, create
from testbed.errors import KubectlError, NoSuchClusterError, TestbedError
from testbed.launch import halt, launch, log_of, wait_until
from testbed.locations import clusters_folder
from testbed.state import ClusterState, Component, NodeKind, load, owner_folder, save

_API_SECONDS = 60
_NODE_SECONDS = 90


class Cluster:
    """One running cluster. Make it with start() or find it with attach().

    As a context manager it stops the cluster at the end of the block.
    """

    def __init__(self, folder: Path, state: ClusterState) -> None:
        self._folder = folder
        self._state = state

    @classmethod
    def start(
        cls,
        name: str = "testbed",
        *,
        node: Literal["auto", "real", "simulated", "none"] = "auto",
        crds: Path | None = None,
        report: Report = print,
    ) -> Self:
        """Start a cluster and wait until its node is ready.

        name: distinguishes clusters that run at the same time; letters, digits and dashes.
        crds: a manifest or a folder of manifests to apply and wait for.
        report: receives lines of progress.
        Raises TestbedError: a cluster of that name runs already, or PrerequisiteMissingError,
            BuildFailedError, ComponentFailedError; what had been started is ended again.
        """
        kind: NodeKind = "simulated" if node == "auto" else node
        binaries.ensure(_programs(kind), report)
        folder, state = _claim(name, kind)
        cluster = cls(folder, state)
        try:
            cluster._bring_up()
            if crds:
                cluster.apply_crds(crds)
        except BaseException:
            # The logs would go with the folder; the error already carries what matters of them.
            teardown.take_down(folder)
            raise
        report(f"cluster {name} is ready at {state.server} with {kind} node")
        return cluster

    @classmethod
    def attach(cls, name: str = "testbed") -> Self:
        """Find a cluster that another command started.

        Raises NoSuchClusterError: none of that name is recorded.
        """
        folder = clusters_folder() / name
        state = load(folder)
        if state is None:
            raise NoSuchClusterError(
                f"there is no cluster named {name}; start it with "
                f"`python -m testbed up --name {name}`"
            )
        return cls(folder, state)

    def stop(self) -> None:
        """End the cluster and remove every trace of it. Idempotent."""
        teardown.take_down(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """The name the cluster was started under."""
        return self._state.name

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig that may do everything."""
        return Credentials(self._folder / "credentials").kubeconfig(ADMIN)

    @property
    def server(self) -> str:
        """URL of the API server, reachable from this machine."""
        return self._state.server

    @property
    def node_kind(self) -> NodeKind:
        """What plays the node: real, simulated or none."""
        return self._state.node_kind

    @property
    def node_name(self) -> str:
        """Name of the one Node object; empty without a node."""
        return self._state.node_name

    @property
    def bridge_address(self) -> str:
        """The machine's own address on the network of the pods (real node only)."""
        return self._state.addresses.bridge

    @property
    def logs(self) -> Path:
        """The folder that holds one log per component."""
        return self._folder / "logs"

    def running(self) -> dict[str, bool]:
        """For each component, whether its process is alive."""
        return {
            component.name: bool(component.process and process.is_alive(component.process))
            for component in self._state.components
        }

    def kubectl(self, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - as subprocess calls it
        """Run kubectl against this cluster and return its standard output.

        Raises KubectlError: it ended with an error.
        """
        done = subprocess.run(
            [str(wheels.kubectl()), *arguments],
            env=self.kubectl_environment(),
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def kubectl_environment(self) -> dict[str, str]:
        """Environment variables that point kubectl and helm at this cluster, and nothing else."""
        own = os.environ.get("PATH", os.defpath)
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self._folder / "kubectl"),
            "HOME": str(self._folder),
            "PATH": f"{wheels.kubectl().parent}:{own}",
        }

    def apply(self, manifests: str | Path | list[dict[str, Any]]) -> str:
        """Apply manifests: YAML text, a file or folder, or objects.

        Raises KubectlError: the server refuses one of them.
        """
        if isinstance(manifests, Path):
            return self.kubectl("apply", "--server-side", "-f", str(manifests))
        if isinstance(manifests, list):
            manifests = yaml.safe_dump_all(manifests)
        return self.kubectl("apply", "--server-side", "-f", "-", input=manifests)

    def apply_crds(self, crds: Path) -> None:
        """Apply custom resource definitions and wait until the server serves them.

        Raises KubectlError: one is refused or is not served within 30 s.
        """
        self.apply(crds)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(crds))

    def stop_component(self, name: str) -> None:
        """Stop one program of the cluster, such as kube-apiserver.

        Raises KeyError: the cluster has no such program.
        """
        halt(self._state.component(name), self._state, self._folder)

    def kill_component(self, name: str) -> None:
        """End one program as a crash would, with SIGKILL; it stays in the cluster's list.

        Raises KeyError: the cluster has no such program.
        """
        victim = self._state.component(name).process
        if victim:
            process.kill(victim)

    def start_component(self, name: str) -> None:
        """Start a stopped or killed program again; for the API server, wait until it is ready.

        Raises KeyError: the cluster has no such program.
        Raises ComponentFailedError: it does not start.
        """
        component = self._state.component(name)
        launch(component, self._state, self._folder)
        if name == "kube-apiserver":
            self._wait_for_api()

    def restart_apiserver(self, *, down_seconds: float = 0.0) -> None:
        """Crash the API server, leave it down for some seconds and start it again.

        A polite end would wait up to a minute for the watches of its clients.
        Raises ComponentFailedError: it does not start.
        """
        self.kill_component("kube-apiserver")
        time.sleep(down_seconds)
        self.start_component("kube-apiserver")

    def log(self, name: str) -> str:
        """What one program has written so far.

        Raises KeyError: the cluster has no such program.
        """
        return log_of(self._state.component(name), self._folder).read_text(errors="replace")

    def _bring_up(self) -> None:
        layout = _layout(self._folder, self._state)
        self._state.server = layout.server
        self._add(control_plane.components(layout))
        self._wait_for_api()
        if self.node_kind == "simulated":
            self._add(simulated_node.components(layout))
            self.apply([simulated_node.node(self.node_name)])
        self._wait_for_node()

    def _add(self, components: list[Component]) -> None:
        for component in components:
            self._state.components.append(component)
            launch(component, self._state, self._folder)

    def _wait_for_api(self) -> None:
        api = self._api()
        wait_until(api.is_ready, "serve its API", self._state, self._folder, seconds=_API_SECONDS)

    def _wait_for_node(self) -> None:
        api = self._api()

        def pods_can_start() -> bool:
            account = api.get("/api/v1/namespaces/default/serviceaccounts/default")
            node = api.get(f"/api/v1/nodes/{self.node_name}") if self.node_name else None
            return bool(account) and (not self.node_name or _is_ready(node))

        wait_until(
            pods_can_start, "get its node ready", self._state, self._folder, seconds=_NODE_SECONDS
        )

    def _api(self) -> Api:
        return Api(self.kubeconfig, self._folder / "authority.crt")


def names() -> list[str]:
    """The clusters that are recorded on this machine for this user."""
    folder = clusters_folder()
    return sorted(entry.parent.name for entry in folder.glob("*/state.json"))


def _programs(kind: NodeKind) -> tuple[binaries.Tool, ...]:
    extra = {"real": binaries.REAL_NODE, "simulated": binaries.SIMULATED_NODE, "none": ()}
    return (*binaries.CONTROL_PLANE, *extra[kind])


def _claim(name: str, kind: NodeKind) -> tuple[Path, ClusterState]:
    """Take a name and a slot; what a crashed cluster of this name left is removed first."""
    folder = clusters_folder() / name
    with _one_claim_at_a_time():
        former = load(folder)
        if former and any(map(process.is_alive, teardown.recorded(former))):
            raise TestbedError(
                f"a cluster named {name} runs already; use it, or end it with "
                f"`python -m testbed down --name {name}`"
            )
        teardown.take_down(folder)
        others = [load(clusters_folder() / other) for other in names()]
        slot = lowest_free_slot({other.slot for other in others if other})
        node_name = "" if kind == "none" else f"{name}-node"
        state = ClusterState(name, slot, process.boot_id(), kind, node_name)
        owner_folder(folder)
        save(state, folder)
    return folder, state


@contextmanager
def _one_claim_at_a_time() -> Iterator[None]:
    clusters_folder().mkdir(parents=True, exist_ok=True)
    with (clusters_folder() / "claim.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _layout(folder: Path, state: ClusterState) -> Layout:
    addresses = Addresses(state.slot)
    address = addresses.bridge if state.node_kind == "real" else "127.0.0.1"
    port = free_port(address)
    credentials = folder / "credentials"
    owner_folder(credentials)
    made = create(
        credentials,
        addresses=addresses,
        server=f"https://{address}:{port}",
        node_name=state.node_name,
    )
    return Layout(folder, addresses, made, address, port, state.node_kind, state.node_name)


def _is_ready(node: dict[str, Any] | None) -> bool:
    if node is None or node["spec"].get("taints"):
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
