"""The agent on a real node: real pods, real cgroups, the rights of its DaemonSet and no others."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_builders import MIRROR, samples
from agent_pod import (
    MICROJOULES_PER_CPU_SECOND,
    AgentPod,
    a_python_pod,
    an_agent_pod,
    total_uj,
)
from programs import Program, console_script, eventually, free_port
from testbed.cluster import Cluster

pytestmark = pytest.mark.node

POD_ENERGY = "carbonaware_pod_energy_joules_total"
OWNER_ENERGY = "carbonaware_owner_energy_joules_total"
BURN_AFTER_GO = """
import os, time
while not os.path.exists('/go/go'): time.sleep(.05)
end = time.process_time() + {seconds}
while time.process_time() < end: pass
time.sleep(3600)
"""
LIVE_300_MS = "import time; end = time.monotonic() + .3\nwhile time.monotonic() < end: pass"


@pytest.fixture(scope="module")
def agent(
    cluster_with_images: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentPod]:
    """One deployment for all tests of this file."""
    with an_agent_pod(cluster_with_images, tmp_path_factory.mktemp("powercap")) as deployed:
        yield deployed


def _uid(cluster: Cluster, name: str) -> str:
    return str(json.loads(cluster.kubectl("get", "pod", name, "-o", "json"))["metadata"]["uid"])


def _groups(pattern: str) -> dict[str, int]:
    """Microseconds of processor time of the real cgroups below the pods' root, by folder."""
    for base, file in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cpu.stat")):
        found = {str(f.parent): f.read_text() for f in Path(base).glob(f"kubepods{pattern}/{file}")}
        if found:
            break
    return {
        path: int(text.split()[1]) if "usage_usec" in text else int(text) // 1000
        for path, text in found.items()
    }


def _used_us(uid: str) -> int:
    (used_us,) = _groups(f"/burstable/pod{uid}").values()
    return used_us


class TestWhoUsedIt:
    def test_a_load_of_three_to_one_is_charged_three_to_one(
        self, agent: AgentPod, tmp_path: Path
    ) -> None:
        """Within 3 % of the cgroups' own processor time, and of what the pods were told to burn."""
        told = {"burns-nine": (9, "600m"), "burns-three": (3, "200m")}
        for name, (seconds, cpu) in told.items():
            # Where the machine is too busy for the limits, the requests keep the proportion.
            resources = {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}
            script = BURN_AFTER_GO.format(seconds=seconds)
            pod = a_python_pod(name, script, resources=resources, folder=tmp_path)
            agent.cluster.apply([pod])
        agent.cluster.kubectl("wait", "--for=condition=Ready", "pod", *told, "--timeout=60s")
        uids = {name: _uid(agent.cluster, name) for name in told}
        agent.after_ticks()
        used_us = {name: -_used_us(uid) for name, uid in uids.items()}
        energy_uj = {name: -_dynamic_uj(agent, uid) for name, uid in uids.items()}

        (tmp_path / "go").touch()
        for name, (seconds, _) in told.items():
            eventually(
                lambda name=name, seconds=seconds: (
                    used_us[name] + _used_us(uids[name]) >= seconds * 1_000_000
                ),
                f"{name} has burned",
            )
        agent.after_ticks()

        for name, uid in uids.items():
            used_us[name] += _used_us(uid)
            energy_uj[name] += _dynamic_uj(agent, uid)
        agent.cluster.kubectl("delete", "pod", *told, "--wait=false")
        nine, three = told
        charged = energy_uj[nine] / energy_uj[three]
        assert pytest.approx(used_us[nine] / used_us[three], rel=0.03) == charged
        assert pytest.approx(3, rel=0.03) == charged

    def test_a_pod_that_lives_300_ms_is_charged_for_them(self, agent: AgentPod) -> None:
        """As much as its class's slice remembers of it, after its own cgroup is gone."""
        slices, others = _groups("/besteffort"), _groups("/besteffort/pod*")
        agent.cluster.apply([a_python_pod("brief", LIVE_300_MS)])
        uid = _uid(agent.cluster, "brief")
        agent.cluster.kubectl(
            "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/brief", "--timeout=60s"
        )
        eventually(lambda: not _groups(f"/besteffort/pod{uid}"), "its cgroup is gone")
        agent.after_ticks()

        ((_, after_us),) = _groups("/besteffort").items()
        grown_us = sum(u - others.get(p, 0) for p, u in _groups("/besteffort/pod*").items())
        used_us = after_us - sum(slices.values()) - grown_us
        expected_uj = used_us * MICROJOULES_PER_CPU_SECOND // 1_000_000
        page = agent.page()
        assert used_us > 0
        assert total_uj(page, POD_ENERGY, pod_uid=uid) == total_uj(
            page, OWNER_ENERGY, owner_uid=uid
        )
        assert pytest.approx(expected_uj, rel=0.1) == total_uj(
            page, POD_ENERGY, pod_uid=uid, domain="package", component="dynamic"
        )


def _dynamic_uj(agent: AgentPod, uid: str) -> int:
    return agent.energy_uj(POD_ENERGY, pod_uid=uid, domain="package", component="dynamic")


class TestConservation:
    def test_every_page_adds_up_while_pods_come_and_go(self, agent: AgentPod) -> None:
        """What was attributed is the node's energy, to the microjoule, whenever one looks."""
        ended = threading.Event()
        coming = threading.Thread(target=_come_and_go, args=(agent.cluster, ended))
        coming.start()
        pages = []
        while coming.is_alive():
            pages.append(agent.page())
            ended.wait(0.2)
        coming.join()

        measured = [total_uj(page, "carbonaware_node_energy_joules_total") for page in pages]
        attributed = [total_uj(page, "carbonaware_node_attributed_joules_total") for page in pages]
        assert measured == attributed
        assert measured[0] < measured[-1]
        pods = {series for page in pages for series in page if series.startswith(POD_ENERGY)}
        assert {f"visitor-{n}" for n in range(6)} <= {
            series.partition('pod="')[2].partition('"')[0] for series in pods
        }


def _come_and_go(cluster: Cluster, ended: threading.Event) -> None:
    for number in range(6):
        cluster.apply([a_python_pod(f"visitor-{number}", LIVE_300_MS)])
        ended.wait(0.7)
    names = [f"pod/visitor-{number}" for number in range(6)]
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", *names, "--timeout=60s")
    cluster.kubectl("delete", "--wait=true", *names)


class TestRights:
    def test_the_agent_has_no_capability_and_still_reads_a_counter_of_mode_0400(
        self, agent: AgentPod
    ) -> None:
        """Its uid owns the file; that is all it takes."""
        status = dict(line.split(":\t") for line in agent.shell("cat /proc/1/status").splitlines())
        counter = agent.shell("stat -c '%a %u' /host/sys/class/powercap/intel-rapl:0/energy_uj")

        assert "400 0" == counter.strip()
        assert {"0" * 16} == {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
        assert ("1", "2") == (status["NoNewPrivs"], status["Seccomp"])
        assert "0\t0\t0\t0" == status["Uid"]
        assert 'domain="package-0",source="rapl"' in "".join(agent.page())

    def test_the_agent_sees_neither_the_hosts_processes_nor_its_network(
        self, agent: AgentPod
    ) -> None:
        """It is process 1 of its own container, at an address of its own."""
        assert "carbonaware-agent" in agent.shell("cat /proc/1/cmdline")
        assert agent.host_address != agent.address

    def test_the_agent_can_write_to_its_state_folder_alone(self, agent: AgentPod) -> None:
        """Neither its image nor anything of the host."""
        places = ("/", "/etc", "/tmp", "/run", "/var/lib", "/host", "/host/sys/fs/cgroup/cpuacct")
        script = "; ".join(f"touch {place}/mine && echo WROTE {place}" for place in places)
        powercap = "echo 0 > /host/sys/class/powercap/intel-rapl:0/energy_uj && echo WROTE power"

        assert "WROTE" not in agent.shell(script)
        assert "WROTE" not in agent.shell(powercap)
        assert "WROTE" in agent.shell("touch /var/lib/carbonaware-agent/mine && echo WROTE state")


class TestWhichPod:
    def test_a_static_pod_is_charged_under_the_name_of_its_mirror(self, agent: AgentPod) -> None:
        """Its cgroup bears a hash; a forged mirror of that hash is removed, and takes no energy."""
        static = a_python_pod("static", "while True: pass", resources={"limits": {"cpu": "50m"}})
        manifest = agent.cluster.static_pods / "static.json"
        manifest.write_text(json.dumps(static))
        name = f"static-{agent.cluster.node_name}"
        mirror = eventually(lambda: _pod(agent.cluster, name), "the mirror is there")
        agent.cluster.apply([_forged_mirror_of(mirror)])
        try:
            eventually(lambda: not _pod(agent.cluster, "forged"), "kubelet removes the forged one")
            eventually(lambda: agent.energy_uj(POD_ENERGY, pod=name), "the static pod is charged")
        finally:
            manifest.unlink()

        page = agent.page()
        assert total_uj(page, OWNER_ENERGY, owner_kind="Node", owner_name=agent.cluster.node_name)
        assert not [series for series in page if 'pod="forged"' in series]
        assert not total_uj(page, POD_ENERGY, pod_uid=mirror["metadata"]["annotations"][MIRROR])

    def test_kubelet_names_the_pods_while_the_api_server_refuses_to(
        self, agent: AgentPod, tmp_path: Path
    ) -> None:
        """With the right to get nodes/pods alone; once the watch is allowed it takes over."""
        role = {"apiGroups": [""], "resources": ["nodes/pods"], "verbs": ["get"]}
        with _an_agent_allowed_to(role, agent, tmp_path) as (program, allow):
            eventually(lambda: program.metric(POD_ENERGY, pod=agent.name), "kubelet named a pod")
            assert (0, 1) == _sources(program)

            allow({"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]})
            eventually(lambda: _sources(program) == (1, 0), "the watch took over")

            page = samples(program.get("/metrics"))
        shown = [series for series in page if POD_ENERGY in series and agent.name in series]
        assert {agent.uid} == {
            series.partition('pod_uid="')[2].partition('"')[0] for series in shown
        }
        assert not [series for series in page if "pods_kubelet" in series]


class TestMemory:
    def test_idle_energy_of_memory_follows_what_pods_set_aside(self, agent: AgentPod) -> None:
        """By request, and by what the cgroup has in use where that is more."""
        fill = f"held = bytearray({60 << 20}); import time; time.sleep(3600)"
        for name, request in (("asks-240", "240Mi"), ("fills-60", "1Mi")):
            resources = {"requests": {"memory": request}}
            agent.cluster.apply([a_python_pod(name, fill, resources=resources)])
        agent.cluster.kubectl("wait", "--for=condition=Ready", "pod/asks-240", "pod/fills-60")
        asking, filling = (_uid(agent.cluster, name) for name in ("asks-240", "fills-60"))
        # It takes a minute until a domain has shown a mean power to estimate its idle power from.
        eventually(lambda: _idle_of_memory_uj(agent, asking), "memory's idle power is known", 90)
        eventually(lambda: _idle_of_memory_uj(agent, filling) > 60_000, "it was looked at", 60)
        before = [_idle_of_memory_uj(agent, uid) for uid in (asking, filling)]
        agent.after_ticks(3)
        after = [_idle_of_memory_uj(agent, uid) for uid in (asking, filling)]

        of_asking, of_filling = (new - old for new, old in zip(after, before, strict=True))
        in_use_mib = int(agent.shell(f"cat {_memory_file(filling)}")) / (1 << 20)
        assert in_use_mib > 60
        assert pytest.approx(240 / in_use_mib, rel=0.1) == of_asking / of_filling


def _idle_of_memory_uj(agent: AgentPod, uid: str) -> int:
    return agent.energy_uj(POD_ENERGY, pod_uid=uid, domain="dram", component="idle")


def _memory_file(uid: str) -> str:
    """Where the agent sees how much memory a burstable pod has in use, in either version."""
    own, base = f"kubepods/burstable/pod{uid}", "/host/sys/fs/cgroup"
    return f"{base}/memory/{own}/memory.usage_in_bytes {base}/{own}/memory.current 2>/dev/null"


def _pod(cluster: Cluster, name: str) -> dict[str, Any]:
    found = cluster.kubectl("get", "pod", name, "--ignore-not-found", "-o", "json")
    pod: dict[str, Any] = json.loads(found) if found else {}
    return pod


def _forged_mirror_of(mirror: dict[str, Any]) -> dict[str, Any]:
    """A user's pod that claims to be the mirror of a static pod."""
    forged = a_python_pod("forged", "while True: pass")
    forged["metadata"] |= {
        key: mirror["metadata"][key] for key in ("annotations", "ownerReferences")
    }
    forged["spec"]["nodeName"] = mirror["spec"]["nodeName"]
    return forged


def _sources(program: Program) -> tuple[float, float]:
    """Whether the watch works, and whether kubelet stands in for it."""
    success = "carbonaware_agent_collector_success"
    return tuple(program.metric(success, collector=name) for name in ("pods", "pods_kubelet"))


@contextmanager
def _an_agent_allowed_to(
    role: dict[str, Any], agent: AgentPod, folder: Path
) -> Iterator[tuple[Program, Callable[[dict[str, Any]], None]]]:
    """An agent beside the deployed one, as a service account of few rights; and a way to add some.

    It is a process of the host.
    """
    cluster, rules = agent.cluster, [role]

    def allow(rule: dict[str, Any]) -> None:
        rules.append(rule)
        cluster.apply([_a_cluster_role("blind", rules)])

    cluster.apply([_a_cluster_role("blind", rules), *_an_account("blind")])
    (folder / "sys/class").mkdir(parents=True)
    (folder / "sys/fs").mkdir()
    (folder / "sys/class/powercap").symlink_to(agent.powercap)
    (folder / "sys/fs/cgroup").symlink_to("/sys/fs/cgroup")
    (folder / "state").mkdir()
    node = json.loads(cluster.kubectl("get", "node", cluster.node_name, "-o", "json"))
    kubelet_port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    port = free_port()
    argv = [
        console_script("carbonaware-agent"),
        f"--kubeconfig={_kubeconfig_of(cluster, 'blind', folder)}",
        f"--node-name={cluster.node_name}",
        f"--host-root={folder}",
        f"--state-dir={folder / 'state'}",
        f"--listen=127.0.0.1:{port}",
        f"--kubelet-url=https://{cluster.bridge_address}:{kubelet_port}",
        f"--kubelet-ca={cluster.kubelet_authority}",
    ]
    program = Program("agent", argv, folder / "agent.log", f"http://127.0.0.1:{port}").start()
    try:
        yield program.wait_ready(), allow
    finally:
        program.kill()
        print(program.log.read_text())


def _a_cluster_role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _an_account(name: str) -> list[dict[str, Any]]:
    """A service account with the rights of the role of its name."""
    account = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": role,
        "subjects": [account],
    }
    metadata = {"name": name, "namespace": "default"}
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, binding]


def _kubeconfig_of(cluster: Cluster, account: str, folder: Path) -> Path:
    """A kubeconfig with a service account's token."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": cluster.kubectl("create", "token", account).strip()}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
