"""The command lines of etcd and the Kubernetes control plane."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed import binaries
from testbed.addresses import Addresses, free_port
from testbed.credentials import ADMIN, Credentials
from testbed.state import Component, NodeKind

# With the default of 20 requests per second the controllers alone take 5 s to start.
Flags = Mapping[str, str | int | Path]
_UNTHROTTLED: Flags = {"kube_api_qps": 500, "kube_api_burst": 1000}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the command lines of one cluster have in common.

    api_address, api_port: where the API server listens; nothing else is reachable from pods.
    """

    folder: Path
    addresses: Addresses
    credentials: Credentials
    api_address: str
    api_port: int
    node_kind: NodeKind
    node_name: str

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.api_address}:{self.api_port}"


def servers(layout: Layout, api_server_flags: Flags) -> list[Component]:
    """The database and the API server, in the order to start them.

    api_server_flags: more of the API server's, underscores for dashes.
    """
    # Etcd asks nobody who they are. On a socket in the cluster's folder only its owner gets in,
    # on a loopback port every user of the machine would be the cluster's administrator.
    database = f"unix://{layout.folder / 'etcd.sock'}"
    return [_etcd(layout, database), _api_server(layout, database, api_server_flags)]


def controllers(layout: Layout) -> list[Component]:
    """Controller manager and scheduler; they start fastest once the API server is ready."""
    return [_controller_manager(layout), _scheduler(layout)]


def program(name: str, /, **flags: str | int | Path) -> Component:
    """A component of ours: its compiled program with flags, underscores for dashes."""
    rendered = [f"--{flag.replace('_', '-')}={value}" for flag, value in flags.items()]
    return Component(name, [str(binaries.path_of(name)), *rendered])


def _etcd(layout: Layout, database: str) -> Component:
    peer = f"http://127.0.0.1:{free_port()}"
    return program(
        "etcd",
        name="testbed",
        data_dir=layout.folder / "etcd",
        listen_client_urls=database,
        advertise_client_urls=peer,  # must be given, must have a port, is used by no one
        listen_peer_urls=peer,
        initial_advertise_peer_urls=peer,
        initial_cluster=f"testbed={peer}",
        # A crash of the process loses nothing that reached the page cache; only one of the
        # machine would, and the cluster does not survive that anyway.
        unsafe_no_fsync="true",
        log_level="warn",
    )


def _api_server(layout: Layout, database: str, more: Flags) -> Component:
    made = layout.credentials
    node_flags: dict[str, str | Path] = (
        {
            "kubelet_preferred_address_types": "InternalIP",
            "kubelet_client_certificate": made.kubelet_client_certificate,
            "kubelet_client_key": made.kubelet_client_key,
        }
        if layout.node_kind == "real"
        # Without pods nobody uses the service address, and a loopback endpoint is refused.
        else {"endpoint_reconciler_type": "none"}
    )
    return program(
        "kube-apiserver",
        etcd_servers=database,
        bind_address=layout.api_address,
        secure_port=layout.api_port,
        advertise_address=layout.addresses.bridge,
        tls_cert_file=made.serving_certificate,
        tls_private_key_file=made.serving_key,
        token_auth_file=made.tokens,
        authorization_mode="Node,RBAC",
        service_account_issuer="https://kubernetes.default.svc",
        service_account_key_file=made.service_account_key,
        service_account_signing_key_file=made.service_account_key,
        service_cluster_ip_range=layout.addresses.service_range,
        allow_privileged="true",
        **node_flags,
        **more,
    )


def _controller_manager(layout: Layout) -> Component:
    return program(
        "kube-controller-manager",
        kubeconfig=layout.credentials.kubeconfig("system:kube-controller-manager"),
        bind_address="127.0.0.1",
        secure_port=free_port(),
        service_account_private_key_file=layout.credentials.service_account_key,
        root_ca_file=layout.credentials.serving_certificate,
        use_service_account_credentials="true",
        # A new node is usable once its taint is lifted, which waits for this period.
        node_monitor_period="1s",
        **_UNTHROTTLED,
        leader_elect="false",
    )


def _scheduler(layout: Layout) -> Component:
    return program(
        "kube-scheduler",
        kubeconfig=layout.credentials.kubeconfig("system:kube-scheduler"),
        bind_address="127.0.0.1",
        secure_port=free_port(),
        leader_elect="false",
        **_UNTHROTTLED,
    )


def admin_kubeconfig(layout: Layout) -> Path:
    """The kubeconfig that may do everything."""
    return layout.credentials.kubeconfig(ADMIN)
