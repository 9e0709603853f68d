"""A release of the chart on the real node as its user sees it: values, pods, what is left of it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from testbed.cluster import Cluster
from testbed.project_image import REPOSITORY, TAG

ROOT = Path(__file__).parent.parent
CHART = ROOT / "helm" / "carbonaware"
CRDS = ROOT / "crds"
EXAMPLES = ROOT / "examples"
RELEASE, NAMESPACE = "carbonaware", "carbonaware-system"
IMAGE = {"repository": REPOSITORY, "tag": TAG, "pullPolicy": "Never"}

KEPT = {
    "CustomResourceDefinition /carbonawarejobs.carbonaware.io",
    "CustomResourceDefinition /carbonzones.carbonaware.io",
    "APIService /v1alpha1.carbonaware.io",  # what serves them
}
# What a cluster writes by itself wherever something happens.
_OF_THE_CLUSTER = {"Event", "EndpointSlice", "Endpoints", "PodMetrics", "ComponentStatus"}


class Release:
    """One release, by one Helm.

    helm: another program than the pinned Helm.
    """

    def __init__(
        self, cluster: Cluster, helm: Path | None = None, namespace: str = NAMESPACE
    ) -> None:
        self.cluster, self.namespace = cluster, namespace
        self._helm = helm
        self.began = 0.0
        self._before: set[str] = set()

    def helm(self, command: str, *arguments: str, values: dict[str, Any] | None = None) -> str:
        """Run a command of Helm on the release."""
        flags = [*arguments, "--namespace", self.namespace]
        for key, value in (values or {}).items():
            flags += ["--set-json", f"{key}={json.dumps(value)}"]
        return self.cluster.helm(command, RELEASE, *flags, program=self._helm)

    def install(self, **values: Any) -> None:
        """Install the chart with the testbed's image and these values."""
        self._before = inventory(self.cluster, (self.namespace,))
        self.began = time.monotonic()
        self.helm("install", str(CHART), values={"image": IMAGE, **values})

    def upgrade(self, **values: Any) -> None:
        """Change these values and keep the others."""
        self.helm("upgrade", str(CHART), "--reuse-values", values=values)

    def uninstall(self) -> float:
        """Uninstall it; the seconds that took."""
        began = time.monotonic()
        self.helm("uninstall", "--timeout=240s")
        return time.monotonic() - began

    def left(self) -> set[str]:
        """What is there beyond what was there before it was installed, but the kept definitions."""
        now = inventory(self.cluster, (self.namespace,)) | labelled(self.cluster)
        return now - self._before - KEPT

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the release's namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The pods of a component that are not about to go."""
        selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        found = _items(self.kubectl("get", "pods", "--selector", selector, "-o", "json"))
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready(self, component: str, count: int = 1) -> list[dict[str, Any]]:
        """The pods of a component once so many of them are there, and ready; else none."""
        pods = self.pods(component)
        return pods if len(pods) == count and all(map(_is_ready, pods)) else []

    def lease(self) -> dict[str, Any]:
        """The spec of the operator's Lease; empty before the first replica leads."""
        name = f"{RELEASE}-operator"
        found = self.kubectl("get", "lease", name, "--ignore-not-found", "-o", "json")
        spec: dict[str, Any] = json.loads(found)["spec"] if found else {}
        return spec

    def leader(self) -> str:
        """Name of the pod that leads; empty if none does."""
        holder = self.lease().get("holderIdentity") or ""
        names = [pod["metadata"]["name"] for pod in self.pods("operator")]
        return next((name for name in names if holder.startswith(f"{name}-")), "")


def recorded_zone() -> tuple[dict[str, Any], dict[str, Any]]:
    """The ConfigMap with the recording of the examples, and their zone as the chart takes it."""
    found = list(yaml.safe_load_all((EXAMPLES / "00-zone.yaml").read_text()))
    recording = next(each for each in found if each["kind"] == "ConfigMap")
    zone = next(each for each in found if each["kind"] == "CarbonZone")
    return recording, {"name": zone["metadata"]["name"], "spec": zone["spec"]}


def a_burning_job(name: str, seconds: int, zone: str) -> dict[str, Any]:
    """A CarbonAwareJob that starts at once and keeps a processor busy."""
    container = {
        "name": "burn",
        "image": "docker.io/local/busybox:1",
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", f"timeout {seconds} sh -c 'while :; do :; done'; exit 0"],
        "resources": {"requests": {"cpu": "100m"}},
    }
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "zoneName": zone,
            "schedule": {"strategy": "Immediate"},
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
        },
    }


def inventory(cluster: Cluster, namespaces: tuple[str, ...]) -> set[str]:
    """All objects of all kinds that are of no namespace or of these, as kind, namespace, name."""
    return {
        _key(found)
        for found in _everything(cluster)
        if found["metadata"].get("namespace", "") in ("", *namespaces)
        and found["kind"] not in _OF_THE_CLUSTER
    }


def labelled(cluster: Cluster) -> set[str]:
    """All objects of all kinds and namespaces that carry the label of the release."""
    return {
        _key(found)
        for found in _everything(cluster, f"--selector=app.kubernetes.io/instance={RELEASE}")
        if found["kind"] not in _OF_THE_CLUSTER
    }


def process_of(pod: dict[str, Any]) -> int:
    """The process of a pod of ours, as this machine numbers it."""
    groups = Path("/sys/fs/cgroup").glob(f"**/pod{pod['metadata']['uid']}/*/cgroup.procs")
    pids = {int(pid) for group in groups for pid in group.read_text().split()}
    (ours,) = [p for p in pids if b"carbonaware" in Path(f"/proc/{p}/cmdline").read_bytes()]
    return ours


def crash_for_good(release: Release, pod: dict[str, Any]) -> None:
    """Kill a pod's process, and remove the pod before kubelet starts the container again."""
    os.kill(process_of(pod), signal.SIGKILL)
    name = pod["metadata"]["name"]
    release.kubectl("delete", "pod", name, "--force", "--grace-period=0", "--wait=false")


@contextmanager
def without_crds(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster as it is before anything of ours is installed; put back afterwards."""
    cluster.kubectl("delete", "--filename", str(CRDS), "--ignore-not-found", "--timeout=60s")
    try:
        yield cluster
    finally:
        cluster.kubectl("delete", "--filename", str(CRDS), "--ignore-not-found", "--timeout=60s")
        cluster.apply_crds(CRDS)


def _everything(cluster: Cluster, *flags: str) -> Iterator[dict[str, Any]]:
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
    listed = ("get", ",".join(kinds), "--all-namespaces", "--ignore-not-found", *flags)
    found = cluster.kubectl(*listed, "--output=json")
    yield from _items(found) if found else []


def _key(found: dict[str, Any]) -> str:
    metadata = found["metadata"]
    return f"{found['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def _items(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["items"]
    return found


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
