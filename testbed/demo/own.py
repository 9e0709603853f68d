"""The demo on a cluster of the testbed, which lives as long as the demo."""

import os
from functools import partial
from pathlib import Path

from testbed import teardown
from testbed.cluster import Cluster
from testbed.demo.scene import Scene
from testbed.demo.undo import Undo
from testbed.demo.venue import CRDS, Report, Venue
from testbed.images import BUSYBOX
from testbed.locations import clusters_folder
from testbed.placement import NodeWish, names

_PREFIX = "demo"
_NAMESPACE = "carbonaware-demo"
_SYSTEM = "carbonaware-system"


def start(node: NodeWish, image: str | None, undo: Undo, report: Report) -> Venue:
    """Start a cluster with our CRDs and the namespaces of the demo.

    image: instead of the testbed's own, which a real node has; it must have a shell.
    Raises TestbedError: the cluster does not start.
    """
    name = f"{_PREFIX}-{os.getpid()}"
    for former in (*_clusters_of_killed_demos(), name):
        folder = clusters_folder() / former
        undo.note(f"end the cluster {former}", partial(teardown.take_down, folder))
        teardown.take_down(folder)
    cluster = Cluster.start(name, node=node, crds=CRDS, report=report)
    for namespace in (_NAMESPACE, _SYSTEM):
        cluster.kubectl("create", "namespace", namespace)
    scene = Scene(
        namespace=_NAMESPACE,
        system_namespace=_SYSTEM,
        zone="recorded-day",
        node_kind="real" if cluster.node_kind == "real" else "simulated",
        node_name=cluster.node_name,
        image=image or BUSYBOX,
        pull_policy="IfNotPresent" if image else "Never",
    )
    return Venue(scene, cluster.kubectl, cluster.kubeconfig)


def _clusters_of_killed_demos() -> list[str]:
    named = (name.rpartition("-") for name in names())
    return [
        f"{prefix}-{pid}"
        for prefix, _, pid in named
        if prefix == _PREFIX and not Path(f"/proc/{pid}").exists()
    ]
