"""GPUs on a real node: kubelet hands devices out, the agent charges whoever it gave them to."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_builders import samples
from agent_pod import total_uj
from fake_device_plugin import a_device_plugin
from fake_nvml import FakeNvml, a_gpu
from programs import Program, console_script, eventually, free_port
from testbed.cluster import Cluster
from testbed.images import BUSYBOX

pytestmark = pytest.mark.node

WHOLE, SHARED = "nvidia.com/gpu", "nvidia.com/gpu.shared"
POD_ENERGY = "carbonaware_pod_energy_joules_total"


def _a_gpu_pod(name: str, resource: str) -> dict[str, Any]:
    """A pod that holds one device, and does nothing."""
    container = {
        "name": "main",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sleep", "3600"],
        "resources": {"limits": {resource: "1"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


class GpuNode:
    """The real node with two played GPUs, and an agent on it. Counters are in millijoules."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.driver = FakeNvml(folder / "driver")
        self.counters = {"GPU-a": 0, "GPU-b": 0}
        self.draw()
        environment = [f"{name}={value}" for name, value in self.driver.environment.items()]
        port = free_port()
        argv = [
            *("env", *environment),
            console_script("carbonaware-agent"),
            f"--kubeconfig={cluster.kubeconfig}",
            f"--node-name={cluster.node_name}",
            f"--state-dir={folder / 'state'}",
            f"--listen=127.0.0.1:{port}",
            f"--pod-resources-socket={cluster.kubelet_root / 'pod-resources/kubelet.sock'}",
            "--max-watts=100",
        ]
        log = folder / "agent.log"
        self.agent = Program("agent", argv, log, f"http://127.0.0.1:{port}").start()

    def draw(self, **millijoules: int) -> None:
        """Let cards draw energy; a name has no dash."""
        for name, drawn in millijoules.items():
            self.counters[name.replace("_", "-")] += drawn
        self.driver.show(*(a_gpu(uuid, energy=count) for uuid, count in self.counters.items()))

    def page(self) -> dict[str, str]:
        """Values on /metrics by series."""
        return samples(self.agent.get("/metrics"))

    def pod_uj(self, pod: str, gpu: str) -> int:
        """What a pod was charged for a card."""
        return total_uj(self.page(), POD_ENERGY, pod=pod, domain=f"gpu/{gpu}")

    def divided_by(self, method: str, gpu: str) -> bool:
        """Whether the agent says so."""
        series = f'carbonaware_gpu_division_info{{gpu_uuid="{gpu}",method="{method}"}}'
        return series in self.page()

    def run(self, name: str, resource: str) -> None:
        """Start a pod and wait for it."""
        self.cluster.apply([_a_gpu_pod(name, resource)])
        self.cluster.kubectl("wait", "--for=condition=Ready", "pod", name, "--timeout=60s")

    def allocatable(self) -> dict[str, str]:
        """What kubelet offers."""
        node = json.loads(self.cluster.kubectl("get", "nodes", "-o", "json"))["items"][0]
        offered: dict[str, str] = node["status"]["allocatable"]
        return offered


@pytest.fixture
def node(real_cluster: Cluster, tmp_path: Path) -> Iterator[GpuNode]:
    """A node whose kubelet offers one whole GPU, and one by two turns."""
    with (
        a_device_plugin(WHOLE, ["GPU-a"]),
        a_device_plugin(SHARED, ["GPU-b::0", "GPU-b::1"]),
    ):
        node = GpuNode(real_cluster, tmp_path)
        try:
            node.agent.wait_ready()
            eventually(lambda: node.allocatable().get(SHARED) == "2", "kubelet offers the GPUs")
            yield node
        finally:
            real_cluster.kubectl("delete", "pods", "--all", "--wait=true", "--timeout=60s")
            node.agent.kill()
            print(node.agent.log.read_text()[-6000:])


def test_pods_are_charged_for_the_devices_that_kubelet_gave_them(node: GpuNode) -> None:
    """A whole GPU to one pod, a shared one to two, exactly; also while kubelet starts anew."""
    node.run("trains", WHOLE)
    for name in ("serves-one", "serves-two"):
        node.run(name, SHARED)
    eventually(lambda: node.divided_by("exclusive", "GPU-a"), "GPU-a is held")
    eventually(lambda: node.divided_by("equal", "GPU-b"), "GPU-b is shared")

    node.draw(GPU_a=5000, GPU_b=6001)
    eventually(lambda: node.pod_uj("trains", "GPU-a") == 5_000_000, "the whole GPU is charged")
    shares = {name: node.pod_uj(name, "GPU-b") for name in ("serves-one", "serves-two")}
    assert {"serves-one": 3_000_500, "serves-two": 3_000_500} == shares

    node.cluster.kill_component("kubelet")
    node.draw(GPU_a=700)
    eventually(lambda: node.pod_uj("trains", "GPU-a") == 5_700_000, "it is charged without kubelet")
    node.cluster.start_component("kubelet")

    node.cluster.kubectl("delete", "pod", "serves-one")
    eventually(lambda: node.divided_by("exclusive", "GPU-b"), "GPU-b has one holder")
    before = node.pod_uj("serves-two", "GPU-b")
    node.draw(GPU_b=1000)
    eventually(lambda: node.pod_uj("serves-two", "GPU-b") == before + 1_000_000, "it pays alone")
