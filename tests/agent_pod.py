"""The agent as a pod of the real node, and the power that its tests let it read."""

import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import yaml

import chart_builders
from agent_builders import micro, samples
from carbonaware_agent.sources.cpu_time import CpuTime
from programs import eventually
from testbed.cluster import Cluster
from testbed.project_image import REPOSITORY, TAG, name_of
from testbed.simulated_machine import MAX_ENERGY_RANGE_UJ, PowerCurve

NAMESPACE = "node-agent"
CURVE = PowerCurve(idle_mw=40_000, full_mw=120_000)
DRAM_CURVE = PowerCurve(idle_mw=4_000, full_mw=14_000)
CORES = os.cpu_count() or 1
# What one second of processor time adds to the package's energy.
MICROJOULES_PER_CPU_SECOND = (CURVE.full_mw - CURVE.idle_mw) * 1000 // CORES


class SimulatedPower(threading.Thread):
    """RAPL domains of mode 0400 that follow this machine's processors by their curves."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="power", daemon=True)
        self._counters = [
            (_counter(folder / "intel-rapl:0", "package-0"), CURVE),
            (_counter(folder / "intel-rapl:0:0", "dram"), DRAM_CURVE),
        ]
        self._cpu_time = CpuTime(Path("/proc"))
        self._began_us = self._now_us()
        self._busy_us = self._cpu_time.busy_us()
        self._ended = threading.Event()
        self._write()

    def run(self) -> None:
        """Follow; much faster than the agent reads, so that its intervals fit."""
        while not self._ended.wait(0.02):
            self._write()

    def end(self) -> None:
        """Draw nothing any more."""
        self._ended.set()
        self.join()

    def _write(self) -> None:
        busy_us = self._cpu_time.busy_us() - self._busy_us
        for counter, curve in self._counters:
            energy_uj = curve.energy_uj(self._now_us() - self._began_us, busy_us, CORES)
            os.pwrite(counter.fileno(), f"{energy_uj:015d}\n".encode(), 0)

    def _now_us(self) -> int:
        return time.monotonic_ns() // 1000


def _counter(domain: Path, name: str) -> FileIO:
    domain.mkdir()
    (domain / "name").write_text(f"{name}\n")
    (domain / "max_energy_range_uj").write_text(f"{MAX_ENERGY_RANGE_UJ}\n")
    counter = (domain / "energy_uj").open("w+b", buffering=0)
    (domain / "energy_uj").chmod(0o400)
    return counter


class AgentPod:
    """A deployed agent: its page, and what a shell in its container says.

    powercap: the folder of the power that it reads.
    """

    def __init__(self, cluster: Cluster, manifest: dict[str, Any], powercap: Path) -> None:
        self.cluster = cluster
        self.powercap = powercap
        self.name = manifest["metadata"]["name"]
        self.uid = manifest["metadata"]["uid"]
        self.address = manifest["status"]["podIP"]
        self.host_address = manifest["status"]["hostIP"]

    def page(self) -> dict[str, str]:
        """Values on /metrics by series."""
        with urllib.request.urlopen(f"http://{self.address}:9102/metrics", timeout=5) as answer:
            return samples(answer.read().decode())

    def energy_uj(self, name: str, **labels: str) -> int:
        """Sum of a metric's series that have these labels, in microjoules."""
        return total_uj(self.page(), name, **labels)

    def after_ticks(self, count: int = 2) -> None:
        """Wait until everything that was used until now is on the page."""
        for _ in range(count):
            before = self.energy_uj("carbonaware_node_energy_joules_total")
            eventually(
                lambda before=before: (
                    self.energy_uj("carbonaware_node_energy_joules_total") > before
                ),
                "a tick",
            )

    def shell(self, script: str) -> str:
        """What a script prints in the agent's container, errors too."""
        return self.cluster.kubectl(
            "-n", NAMESPACE, "exec", self.name, "--", "sh", "-c", f"{{ {script}; }} 2>&1; true"
        )


def total_uj(page: dict[str, str], name: str, **labels: str) -> int:
    """Sum of a metric's series on a page that have these labels, in microjoules."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        micro(value)
        for series, value in page.items()
        if series.startswith(name + "{") and all(label in series for label in wanted)
    )


@contextmanager
def an_agent_pod(cluster: Cluster, folder: Path) -> Iterator[AgentPod]:
    """An agent in a namespace of its own that reads real cgroups and simulated power."""
    power = SimulatedPower(folder)
    power.start()
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.apply(_objects(folder))
    cluster.kubectl("-n", NAMESPACE, "rollout", "status", "ds/carbonaware-agent", "--timeout=60s")
    (pod,) = json.loads(cluster.kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))["items"]
    try:
        yield AgentPod(cluster, pod, folder)
    finally:
        print(cluster.kubectl("-n", NAMESPACE, "logs", pod["metadata"]["name"]))
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
        power.end()


def _objects(powercap: Path) -> list[dict[str, Any]]:
    """The agent's objects of the chart, moved, with the power mounted over the host's."""
    state = powercap.with_name(f"{powercap.name}-state")
    rendered = chart_builders.objects(
        image={"repository": REPOSITORY, "tag": TAG, "pullPolicy": "Never"},
        accounting={"periodSeconds": 2},
        agent={"settings": {"idleWatts": CURVE.idle_mw / 1000}, "stateHostPath": str(state)},
        operator={"enabled": False},
    )
    moved = yaml.safe_dump_all(rendered).replace(chart_builders.NAMESPACE, NAMESPACE)
    objects = [
        found
        for found in yaml.safe_load_all(moved)
        if found["metadata"]["name"] == "carbonaware-agent"
    ]
    for found in objects:
        if found["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            found["metadata"]["name"] = NAMESPACE
        if found["kind"] == "ClusterRoleBinding":
            found["roleRef"]["name"] = NAMESPACE
        if found["kind"] == "DaemonSet":
            _read_power_from(powercap, found["spec"]["template"]["spec"])
    return objects


def _read_power_from(powercap: Path, spec: dict[str, Any]) -> None:
    (container,) = spec["containers"]
    # A read-only /sys has no place to mount power into, so its two parts are mounted alone.
    container["volumeMounts"] = [
        {"name": "cgroups", "mountPath": "/host/sys/fs/cgroup", "readOnly": True},
        {"name": "powercap", "mountPath": "/host/sys/class/powercap", "readOnly": True},
        *(mount for mount in container["volumeMounts"] if mount["name"] != "sys"),
    ]
    spec["volumes"] = [
        *(volume for volume in spec["volumes"] if volume["name"] != "sys"),
        {"name": "cgroups", "hostPath": {"path": "/sys/fs/cgroup"}},
        {"name": "powercap", "hostPath": {"path": str(powercap)}},
    ]


def a_python_pod(name: str, script: str, **changes: Any) -> dict[str, Any]:
    """A pod of the default namespace that runs a script once.

    changes: resources, and folder, which it sees as /go.
    """
    container = {
        "name": "main",
        "image": name_of("agent"),
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", script],
        "resources": changes.get("resources", {}),
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    if "folder" in changes:
        container["volumeMounts"] = [{"name": "go", "mountPath": "/go", "readOnly": True}]
        spec["volumes"] = [{"name": "go", "hostPath": {"path": str(changes["folder"])}}]
        # The folder is the test's, and readable by its owner alone.
        spec["securityContext"] = {"runAsUser": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
