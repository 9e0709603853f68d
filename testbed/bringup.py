"""The order in which a cluster comes up, and what each step waits for."""

import subprocess
from pathlib import Path
from typing import Any

from testbed import control_plane, host, real_node, simulated_node
from testbed.addresses import free_port
from testbed.api import Api
from testbed.control_plane import Flags, Layout, admin_kubeconfig
from testbed.credentials import create
from testbed.errors import ComponentFailedError
from testbed.images import Image, busybox
from testbed.launch import launch, wait_until
from testbed.state import ClusterState, Component, owner_folder

_API_SECONDS = 60
_NODE_SECONDS = 90
_CONTAINERD_SECONDS = 30


def bring_up(state: ClusterState, folder: Path, api_server_flags: Flags) -> None:
    """Start everything and return when pods can be started.

    api_server_flags: more of the API server's, underscores for dashes.

    Raises ComponentFailedError: a program died or did not become ready in time.
    """
    if state.node_kind == "real":
        host.make_bridge(state.addresses)
    layout = _layout(state, folder)
    state.server = layout.server
    for server in control_plane.servers(layout, api_server_flags):
        _add(server, state, folder)
    wait_for_api(admin_kubeconfig(layout), state, folder)
    for controller in control_plane.controllers(layout):
        _add(controller, state, folder)
    if state.node_kind == "simulated":
        _add(simulated_node.kwok(layout), state, folder)
        Api(admin_kubeconfig(layout)).create("/api/v1/nodes", simulated_node.node(state.node_name))
    if state.node_kind == "real":
        _start_real_node(layout, state)
    _wait_for_node(layout, state)


def wait_for_api(kubeconfig: Path, state: ClusterState, folder: Path) -> None:
    """Wait until the API server says that it is ready.

    Raises ComponentFailedError: it died or did not become ready in time.
    """
    api = Api(kubeconfig)
    wait_until(api.is_ready, "serve its API", state, folder, seconds=_API_SECONDS)


def load_image(image: Image, folder: Path) -> None:
    """Import an image into the cluster's containerd.

    Raises ComponentFailedError: containerd refuses it.
    """
    ctr = ["ctr", "--address", str(real_node.socket(folder)), "--namespace", "k8s.io"]
    done = subprocess.run(
        [*ctr, "images", "import", str(image.archive)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ComponentFailedError(f"containerd refuses {image.name}: {done.stderr.strip()}")


def _start_real_node(layout: Layout, state: ClusterState) -> None:
    folder = layout.folder
    _add(real_node.containerd(layout), state, folder)
    wait_until(
        lambda: _containerd_serves(folder),
        "get its containerd ready",
        state,
        folder,
        seconds=_CONTAINERD_SECONDS,
    )
    load_image(busybox(folder), folder)
    _add(real_node.kubelet(layout), state, folder)
    _add(real_node.kube_proxy(layout), state, folder)


def _containerd_serves(folder: Path) -> bool:
    asked = ["ctr", "--address", str(real_node.socket(folder)), "--connect-timeout", "1s"]
    done = subprocess.run([*asked, "version"], capture_output=True, check=False)
    return done.returncode == 0


def _add(component: Component, state: ClusterState, folder: Path) -> None:
    state.components.append(component)
    launch(component, state, folder)


def _wait_for_node(layout: Layout, state: ClusterState) -> None:
    api = Api(admin_kubeconfig(layout))

    def pods_can_start() -> bool:
        account = api.get("/api/v1/namespaces/default/serviceaccounts/default")
        if not state.node_name:
            return account is not None
        return account is not None and _is_ready(api.get(f"/api/v1/nodes/{state.node_name}"))

    wait_until(pods_can_start, "get its node ready", state, layout.folder, seconds=_NODE_SECONDS)


def _is_ready(node: dict[str, Any] | None) -> bool:
    # A taint stays for a moment after the condition turned.
    if node is None or node["spec"].get("taints"):
        return False
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _layout(state: ClusterState, folder: Path) -> Layout:
    # On a real node pods need the API server too; the bridge's address serves both them and us.
    address = state.addresses.bridge if state.node_kind == "real" else "127.0.0.1"
    port = free_port(address)
    credentials = folder / "credentials"
    owner_folder(credentials)
    made = create(
        credentials,
        addresses=state.addresses,
        server=f"https://{address}:{port}",
        node_name=state.node_name,
    )
    return Layout(folder, state.addresses, made, address, port, state.node_kind, state.node_name)
