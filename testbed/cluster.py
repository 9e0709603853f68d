"""A Kubernetes cluster of one's own: the interface for tests and the demo."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import yaml

from testbed import binaries, bringup, process, real_node, teardown, wheels
from testbed.bringup import bring_up, wait_for_api
from testbed.compiler import Report
from testbed.control_plane import Flags
from testbed.credentials import ADMIN, Credentials
from testbed.errors import KubectlError, NoSuchClusterError
from testbed.images import Image
from testbed.launch import halt, launch, log_of
from testbed.locations import cache_folder, clusters_folder
from testbed.placement import NodeWish, choose_node, claim, remove_crashed
from testbed.state import ClusterState, NodeKind, load

_PROGRAMS: dict[NodeKind, tuple[binaries.Tool, ...]] = {
    "real": (*binaries.CONTROL_PLANE, *binaries.REAL_NODE),
    "simulated": (*binaries.CONTROL_PLANE, *binaries.SIMULATED_NODE),
    "none": binaries.CONTROL_PLANE,
}


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
        node: NodeWish = "auto",
        crds: Path | None = None,
        api_server_flags: Flags = MappingProxyType({}),
        report: Report = print,
    ) -> Self:
        """Start a cluster and wait until its node is ready.

        name: distinguishes clusters that run at the same time; letters, digits and dashes.
        crds: a manifest or a folder of manifests to apply and wait for.
        api_server_flags: more of the API server's, such as audit_log_path; underscores for dashes.
        report: receives lines of progress.
        Raises TestbedError: a cluster of that name runs already, or PrerequisiteMissingError,
            BuildFailedError, ComponentFailedError; what had been started is ended again.
        """
        remove_crashed(name)
        kind = choose_node(node, report)
        binaries.ensure(_PROGRAMS[kind], report)
        folder, state = claim(name, kind)
        cluster = cls(folder, state)
        try:
            bring_up(state, folder, api_server_flags)
            if crds:
                cluster.apply_crds(crds)
        except Exception as failure:
            kept = _keep_logs(folder)
            teardown.take_down(folder)
            failure.add_note(f"All logs of the cluster that did not start are in {kept}.")
            raise
        except BaseException:
            teardown.take_down(folder)  # interrupted: nobody will ask why
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
    def kubelet_root(self) -> Path:
        """The real node's /var/lib/kubelet, with its pod-resources socket."""
        return real_node.kubelet_root(self._folder)

    @property
    def kubelet_authority(self) -> Path:
        """The certificate that the real node's kubelet shows at its own port."""
        return Credentials(self._folder / "credentials").kubelet_serving_certificate

    @property
    def static_pods(self) -> Path:
        """The folder whose manifests the real node's kubelet runs by itself."""
        return real_node.static_pods(self._folder)

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
        return self._run(wheels.kubectl(), arguments, input)

    def helm(self, *arguments: str, program: Path | None = None) -> str:
        """Run helm against this cluster and return its standard output.

        program: another Helm than the pinned one.
        Raises BuildFailedError: helm cannot be fetched.
        Raises KubectlError: it ended with an error.
        """
        return self._run(program or wheels.helm(), arguments, None)

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
        established = ("--for=condition=Established", "--timeout=30s")
        # Not the files: beside the definitions they hold policies, which have no such condition.
        self.kubectl("wait", *established, "customresourcedefinitions", "--all")

    def load_image(self, image: Image) -> None:
        """Make an image available to pods; a simulated node runs nothing and needs none.

        Raises ComponentFailedError: containerd refuses it.
        """
        if self.node_kind == "real":
            bringup.load_image(image, self._folder)

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
            wait_for_api(self.kubeconfig, self._state, self._folder)

    def restart_apiserver(self, *, down_seconds: float = 0.0) -> None:
        """Crash the API server, leave it down for some seconds and start it again.

        A polite end would wait up to a minute for the watches of its clients. The cluster's own
        controllers are started anew afterwards: they back off for up to a minute, which is no
        matter of those who use the cluster.
        Raises ComponentFailedError: it does not start.
        """
        self.kill_component("kube-apiserver")
        time.sleep(down_seconds)
        self.start_component("kube-apiserver")
        for name in ("kube-controller-manager", "kube-scheduler", "kwok"):
            if self.running().get(name):
                self.stop_component(name)
                self.start_component(name)

    def log(self, name: str) -> str:
        """What one program has written so far.

        Raises KeyError: the cluster has no such program.
        """
        return log_of(self._state.component(name), self._folder).read_text(errors="replace")

    def _run(self, program: Path, arguments: tuple[str, ...], text: str | None) -> str:
        done = subprocess.run(
            [str(program), *arguments],
            env=self.kubectl_environment(),
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KubectlError(f"{program.name} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def _keep_logs(folder: Path) -> Path:
    """Take the logs out of a folder that is about to go; only the last failure's are kept."""
    kept = cache_folder() / "failed" / folder.name
    shutil.rmtree(kept, ignore_errors=True)
    if (folder / "logs").exists():
        shutil.copytree(folder / "logs", kept)
    return kept
