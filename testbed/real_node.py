"""A node of this machine: containerd, kubelet and kube-proxy with settings of our own.

Nothing of it touches a containerd or CNI configuration that the machine may have: root, state,
sockets and configuration lie in the cluster's folder. One machine can carry one kubelet, because
its control groups and service rules have fixed names.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from testbed import host
from testbed.addresses import Addresses, free_port
from testbed.control_plane import Layout, program
from testbed.images import BUSYBOX
from testbed.state import Component

_CNI_PLUGINS = Path("/usr/lib/cni")  # where Debian's containernetworking-plugins puts them
_PROGRAMS = ("containerd", "ctr", "runc", "ip", "nft", "busybox", "umount")


def obstacle() -> str | None:
    """Why this machine cannot carry a real node, None if it can."""
    if os.geteuid() != 0:
        return "a real node needs root"
    lacking = [name for name in _PROGRAMS if not shutil.which(name)]
    if not (_CNI_PLUGINS / "bridge").exists():
        lacking.append("containernetworking-plugins")
    if lacking:
        return f"{', '.join(lacking)} not installed; run `python -m testbed deps`"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "the kernel offers no overlayfs; try `modprobe overlay`"
    if host.has_pod_cgroups():
        return "another kubelet keeps pods here (control group kubepods); end it first"
    return None


def socket(folder: Path) -> Path:
    """The socket of the cluster's containerd."""
    return folder / "containerd" / "s"


def kubelet_root(folder: Path) -> Path:
    """The folder that other nodes call /var/lib/kubelet."""
    return folder / "kubelet"


def static_pods(folder: Path) -> Path:
    """The folder whose manifests kubelet runs by itself."""
    return kubelet_root(folder) / "manifests"


def containerd(layout: Layout) -> Component:
    """The container runtime; pods' images must be imported before kubelet needs them."""
    folder = layout.folder / "containerd"
    (folder / "cni").mkdir(parents=True, exist_ok=True)
    network = _network(layout.addresses, folder)
    (folder / "cni" / "10-testbed.conflist").write_text(json.dumps(network))
    (folder / "config.toml").write_text(_CONTAINERD.format(folder=folder, image=BUSYBOX))
    found = shutil.which("containerd")
    assert found, "obstacle() checked for it"  # noqa: S101
    return Component("containerd", [found, "--config", str(folder / "config.toml")])


def kubelet(layout: Layout) -> Component:
    """The node agent of Kubernetes, listening on the bridge alone."""
    root = kubelet_root(layout.folder)
    static_pods(layout.folder).mkdir(parents=True, exist_ok=True)
    config = root / "config.yaml"
    config.write_text(yaml.safe_dump(_kubelet(layout)))
    return program(
        "kubelet",
        config=config,
        kubeconfig=layout.credentials.kubeconfig(f"system:node:{layout.node_name}"),
        root_dir=root,
        cert_dir=root / "pki",
        hostname_override=layout.node_name,
        node_ip=layout.addresses.bridge,
    )


def kube_proxy(layout: Layout) -> Component:
    """Makes service addresses lead to pods, through nftables."""
    config = layout.folder / "kube-proxy.yaml"
    config.write_text(yaml.safe_dump(_kube_proxy(layout)))
    return program("kube-proxy", config=config)


_CONTAINERD = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt",
]
[grpc]
  address = "{folder}/s"
[ttrpc]
  address = "{folder}/s.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  # Without CAP_SYS_RESOURCE runc dies when it lowers a score:
  # "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  # So that whatever is mounted lies below the cluster's folder.
  netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{folder}/runc"
"""


def _network(addresses: Addresses, folder: Path) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": addresses.bridge_name,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(folder / "addresses"),
            "ranges": [[{"subnet": addresses.pod_range, "gateway": addresses.bridge}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "1.0.0", "name": addresses.bridge_name, "plugins": [bridge]}


def _kubelet(layout: Layout) -> dict[str, Any]:
    root = kubelet_root(layout.folder)
    endpoint = f"unix://{socket(layout.folder)}"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.addresses.bridge,
        "port": free_port(layout.addresses.bridge),
        "healthzPort": free_port(),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.credentials.kubelet_client_certificate)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.credentials.kubelet_serving_certificate),
        "tlsPrivateKeyFile": str(layout.credentials.kubelet_serving_key),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "containerRuntimeEndpoint": endpoint,
        "imageServiceEndpoint": endpoint,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "makeIPTablesUtilChains": False,
        "podLogsDir": str(root / "logs"),
        "volumePluginDir": str(root / "volume-plugins"),
        "staticPodPath": str(static_pods(layout.folder)),
        # The machine's disk may be full of other things; the testbed's pods should run anyway,
        # and an image that no pod uses at the moment cannot be pulled again.
        "evictionHard": dict.fromkeys(
            ("memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available"), "0%"
        ),
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def _kube_proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.credentials.kubeconfig("system:kube-proxy"))},
        "mode": "nftables",
        "hostnameOverride": layout.node_name,
        "clusterCIDR": layout.addresses.pod_range,
        "conntrack": {"maxPerCore": 0, "min": 0},
        # Two pods share a bridge, so an answer would bypass the translation of its request.
        "nftables": {"masqueradeAll": True},
        "nodePortAddresses": ["primary"],
        "healthzBindAddress": f"127.0.0.1:{free_port()}",
        "metricsBindAddress": f"127.0.0.1:{free_port()}",
    }
