"""A node without containers: kwok plays kubelet for it.

Pods run at once and end as stages.yaml says. Nothing is executed; see simulated_host for a file
tree in which the pods also seem to use the processor.
"""

from pathlib import Path
from typing import Any

from testbed.control_plane import Layout, admin_kubeconfig, program
from testbed.state import Component

_STAGES = Path(__file__).with_name("stages.yaml")
_MANAGED = "kwok.x-k8s.io/node"


def kwok(layout: Layout) -> Component:
    """The one program that plays every simulated node of the cluster."""
    return program(
        "kwok",
        kubeconfig=admin_kubeconfig(layout),
        config=_STAGES,
        manage_all_nodes="false",
        manage_nodes_with_annotation_selector=f"{_MANAGED}=simulated",
        node_ip=layout.addresses.bridge,
        cidr=layout.addresses.pod_range,
        node_lease_duration_seconds=40,
    )


def node(name: str) -> dict[str, Any]:
    """The Node object that asks kwok to play it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {_MANAGED: "simulated"},
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
    }
