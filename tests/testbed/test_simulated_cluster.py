"""A simulated node runs pods to their end, and its cluster leaves nothing behind."""

import json
import os

import pytest

from testbed import process
from testbed.api import Api
from testbed.cluster import Cluster
from testbed.locations import clusters_folder
from testbed.simulated_host import SimulatedHost, pods_on

pytestmark = pytest.mark.api


def a_job(name, **annotations):
    """A Job of one pod with the given testbed annotations."""
    named = {f"testbed.carbonaware.io/{k.replace('_', '-')}": v for k, v in annotations.items()}
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "docker.io/local/busybox:1"}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": {"metadata": {"annotations": named}, "spec": pod}},
    }


def applied(cluster, namespace, *objects):
    """Apply objects in a namespace."""
    return cluster.apply(
        [{**o, "metadata": {**o["metadata"], "namespace": namespace}} for o in objects]
    )


class TestPodsOnASimulatedNode:
    def test_a_job_completes_after_the_time_its_annotation_gives(self, cluster, namespace):
        """The Job controller sees a real success, not a patched Job."""
        applied(cluster, namespace, a_job("short", run_for="100ms"))

        cluster.kubectl(
            "wait", "-n", namespace, "--for=condition=Complete", "job/short", "--timeout=60s"
        )

    def test_suspending_a_running_job_ends_its_pod(self, cluster, namespace):
        """A suspended Job ends with no active pod and no failure counted."""
        applied(cluster, namespace, a_job("long", run_for="1h"))
        cluster.kubectl(
            "wait", "-n", namespace, "--for=jsonpath={.status.ready}=1", "job/long", "--timeout=60s"
        )

        cluster.kubectl("patch", "-n", namespace, "job/long", "-p", '{"spec":{"suspend":true}}')

        cluster.kubectl(
            "wait", "-n", namespace, "--for=condition=Suspended", "job/long", "--timeout=60s"
        )
        cluster.kubectl(
            "wait", "-n", namespace, "--for=delete", "pod", "-l", "job-name=long", "--timeout=60s"
        )
        status = json.loads(cluster.kubectl("get", "-n", namespace, "job/long", "-o", "json"))
        assert "failed" not in status["status"]


class TestSimulatedHostOfACluster:
    def test_a_running_pod_moves_the_hosts_counters(self, cluster, namespace, tmp_path):
        """The pod that the API server lists gets a control group whose counter moves."""
        applied(cluster, namespace, a_job("busy", run_for="1h", cpu_millis="500"))
        ready = ("--for=jsonpath={.status.ready}=1", "job/busy", "--timeout=60s")
        cluster.kubectl("wait", "-n", namespace, *ready)
        selected = ("-n", namespace, "pod", "-l", "job-name=busy")
        uid = cluster.kubectl("get", *selected, "-o", "jsonpath={.items[0].metadata.uid}")
        seconds = iter(range(100))

        host = SimulatedHost(
            tmp_path / "host",
            pods_on(Api(cluster.kubeconfig), cluster.node_name),
            clock=lambda: float(next(seconds)),
        )
        host.tick()
        host.tick()

        group = tmp_path / f"host/sys/fs/cgroup/kubepods/besteffort/pod{uid}"
        assert (group / "cpu.stat").read_text().startswith("usage_usec 500000\n")


class TestRestartingTheApiServer:
    def test_objects_survive(self, cluster, namespace):
        """A crash of the API server loses nothing that it had accepted."""
        cluster.kubectl("create", "configmap", "kept", "-n", namespace)

        cluster.restart_apiserver()

        assert "kept" in cluster.kubectl("get", "configmap", "-n", namespace)


class TestStopping:
    def test_leaves_no_process_and_no_folder(self):
        """Nothing is left though a component had crashed; a second call is no error."""
        name = f"test-brief-{os.getpid()}"
        started = Cluster.start(name, node="none", report=lambda _: None)
        started.kill_component("kube-scheduler")

        started.stop()
        started.stop()

        assert process.marked_with(clusters_folder() / name) == []
        assert not (clusters_folder() / name).exists()
