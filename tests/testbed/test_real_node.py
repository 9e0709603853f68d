"""A real node runs real containers, and its cluster takes everything off the machine again."""

import json
from pathlib import Path

import pytest

from testbed import host, process
from testbed.cluster import Cluster
from testbed.errors import PrerequisiteMissingError
from testbed.images import BUSYBOX
from testbed.locations import clusters_folder
from testbed.project_image import name_of

pytestmark = pytest.mark.node

HARDENED = {
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
BURN = "while :; do :; done"
CALL_API = (
    "nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo reached; sleep 1h"
)


def a_pod(name, script, **container):
    """A pod that runs one shell script."""
    main = {
        "name": "main",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"restartPolicy": "Never", "containers": [main]},
    }


def running(cluster, pod):
    """Apply a pod, wait until it runs and return it as the server describes it."""
    name = f"pod/{pod['metadata']['name']}"
    cluster.apply([pod])
    cluster.kubectl("wait", "--for=condition=Ready", name, "--timeout=60s")
    return json.loads(cluster.kubectl("get", name, "-o", "json"))


class TestPodsOnARealNode:
    def test_a_burning_pod_has_a_growing_processor_counter(self, real_cluster):
        """The agent's source exists: version 1 counts in cpuacct.usage, version 2 in cpu.stat."""
        pod = running(real_cluster, a_pod("burner", BURN))

        groups = Path("/sys/fs/cgroup").glob(f"**/pod{pod['metadata']['uid']}")

        counters = [g / n for g in groups for n in ("cpuacct.usage", "cpu.stat")]
        texts = [c.read_text() for c in counters if c.exists()]
        assert any(int(text.removeprefix("usage_usec ").split()[0]) > 0 for text in texts)

    def test_logs_and_exec_reach_the_kubelet(self, real_cluster):
        """The API server is let in by the kubelet, which refuses strangers."""
        running(real_cluster, a_pod("talker", "echo spoken; sleep 1h"))

        assert real_cluster.kubectl("logs", "talker") == "spoken\n"
        assert real_cluster.kubectl("exec", "talker", "--", "echo", "heard") == "heard\n"

    def test_an_unprivileged_pod_reaches_the_api_at_its_service_address(self, real_cluster):
        """Service addresses work for the security context that our chart sets."""
        hardened = {**HARDENED, "runAsUser": 65532, "runAsNonRoot": True}

        running(real_cluster, a_pod("caller", CALL_API, securityContext=hardened))

        real_cluster.kubectl(
            "exec", "caller", "--", "sh", "-c", CALL_API.replace("sleep 1h", "true")
        )
        assert real_cluster.kubectl("logs", "caller") == "reached\n"

    @pytest.mark.parametrize(
        ("target", "imports"), [("operator", "kopf, kubernetes, click"), ("agent", "h2, pynvml")]
    )
    def test_our_images_carry_what_the_programs_need(self, cluster_with_images, target, imports):
        """As user 65532 on a read-only root, and none of the tools that built them."""
        modules = f"import carbonaware_operator, carbonaware_agent, {imports}"
        script = f"id -u && ! command -v pytest && python -c '{modules}'"
        pod = a_pod(f"our-{target}", script, image=name_of(target), securityContext=HARDENED)

        cluster_with_images.apply([pod])

        cluster_with_images.kubectl(
            "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/our-{target}", "--timeout=60s"
        )
        assert cluster_with_images.kubectl("logs", f"our-{target}") == "65532\n"


class TestASecondRealNode:
    def test_is_refused_with_the_name_of_the_first(self, real_cluster):
        """One machine carries one kubelet; the message says whose it is."""
        with pytest.raises(PrerequisiteMissingError, match=real_cluster.name):
            Cluster.start("second", node="real", report=lambda _: None)


@pytest.mark.last
class TestStopping:
    def test_leaves_nothing_after_kubelet_and_containerd_were_killed(self, real_cluster):
        """No process, mount, interface, control group or service rule of the cluster is left.

        It ends the cluster that every node test shares.
        """
        folder = clusters_folder() / real_cluster.name
        running(real_cluster, a_pod("survivor", BURN))
        real_cluster.kill_component("kubelet")
        real_cluster.kill_component("containerd")

        real_cluster.stop()

        assert process.marked_with(folder) == []
        assert host.mounts_below(folder) == []
        assert not host.has_pod_cgroups()
        assert not list(Path("/sys/class/net").glob("carbontb*"))
        assert not folder.exists()
