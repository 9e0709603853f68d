"""CPU time of pods in every layout of cgroups that is in use."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent_builders import HostTree, a_uid
from carbonaware_agent.workloads.cgroups import Cgroups, CgroupsUnreadableError
from carbonaware_agent.workloads.pod_folder import CgroupUse

UID = a_uid(1)
LOW = UID.replace("-", "_")
HASH = "0123456789abcdef0123456789abcdef"
CONTAINER = "f" * 64
_BURSTABLE_POD = f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{LOW}.slice"


@pytest.fixture
def tree(tmp_path):
    return HostTree(tmp_path)


def cgroups(tree: HostTree) -> Cgroups:
    return Cgroups(tree.root / "sys/fs/cgroup")


def v2(tree: HostTree, usage_by_path: dict[str, int], mount: str = "") -> None:
    """Version 2 cgroups with their usage in microseconds."""
    base = f"sys/fs/cgroup/{mount}"
    tree.write(f"{base}/cgroup.controllers", "cpu memory")
    for path, usage_us in usage_by_path.items():
        tree.write(f"{base}/{path}/cpu.stat", f"usage_usec {usage_us}\nuser_usec 1\nsystem_usec 1")


def v1(tree: HostTree, usage_by_path: dict[str, int], controllers: str = "cpuacct") -> None:
    """Version 1 cgroups with their usage in microseconds, which the kernel shows in nanoseconds."""
    for path, usage_us in usage_by_path.items():
        usage = str(usage_us * 1000 + 999)
        tree.write(f"sys/fs/cgroup/{controllers}/{path}/cpuacct.usage", usage)


LAYOUTS = {
    "cgroupfs": {
        "kubepods": 100,
        "kubepods/burstable": 60,
        "kubepods/besteffort": 0,
        f"kubepods/burstable/pod{UID}": 50,
        f"kubepods/burstable/pod{UID}/{CONTAINER}": 40,
        f"kubepods/pod{a_uid(2)}": 40,
    },
    "systemd": {
        "kubepods.slice": 100,
        "kubepods.slice/kubepods-burstable.slice": 60,
        "kubepods.slice/kubepods-besteffort.slice": 0,
        f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{LOW}.slice": 50,
        f"kubepods.slice/kubepods-pod{a_uid(2).replace('-', '_')}.slice": 40,
    },
    "kind, systemd": {
        "kubelet.slice/kubelet-kubepods.slice": 100,
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice": 60,
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice": 0,
        "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
        f"kubelet-kubepods-burstable-pod{LOW}.slice": 50,
        "kubelet.slice/kubelet-kubepods.slice/"
        f"kubelet-kubepods-pod{a_uid(2).replace('-', '_')}.slice": 40,
    },
    "kind, cgroupfs": {
        "kubelet/kubepods": 100,
        "kubelet/kubepods/burstable": 60,
        "kubelet/kubepods/besteffort": 0,
        f"kubelet/kubepods/burstable/pod{UID}": 50,
        f"kubelet/kubepods/pod{a_uid(2)}": 40,
    },
    "kind, seen from the machine below it": {
        "docker/0a1b/kubelet/kubepods": 100,
        "docker/0a1b/kubelet/kubepods/burstable": 60,
        "docker/0a1b/kubelet/kubepods/besteffort": 0,
        f"docker/0a1b/kubelet/kubepods/burstable/pod{UID}": 50,
        f"docker/0a1b/kubelet/kubepods/pod{a_uid(2)}": 40,
    },
    "a root of one's own, cgroupfs": {
        "batch/nodes/kubepods": 100,
        "batch/nodes/kubepods/burstable": 60,
        "batch/nodes/kubepods/besteffort": 0,
        f"batch/nodes/kubepods/burstable/pod{UID}": 50,
        f"batch/nodes/kubepods/pod{a_uid(2)}": 40,
    },
    "a root of one's own, systemd": {
        "batch.slice/batch-kubepods.slice": 100,
        "batch.slice/batch-kubepods.slice/batch-kubepods-burstable.slice": 60,
        "batch.slice/batch-kubepods.slice/batch-kubepods-besteffort.slice": 0,
        "batch.slice/batch-kubepods.slice/batch-kubepods-burstable.slice/"
        f"batch-kubepods-burstable-pod{LOW}.slice": 50,
        "batch.slice/batch-kubepods.slice/"
        f"batch-kubepods-pod{a_uid(2).replace('-', '_')}.slice": 40,
    },
    **{
        f"containers of {runtime} below the pod": {
            "kubepods.slice": 100,
            "kubepods.slice/kubepods-burstable.slice": 60,
            "kubepods.slice/kubepods-besteffort.slice": 0,
            f"{_BURSTABLE_POD}": 50,
            f"{_BURSTABLE_POD}/{container}": 30,
            f"kubepods.slice/kubepods-pod{a_uid(2).replace('-', '_')}.slice": 40,
        }
        for runtime, container in {
            "containerd": f"cri-containerd-{CONTAINER}.scope",
            "CRI-O": f"crio-{CONTAINER}.scope/container",
            "CRI-O's monitor": f"crio-conmon-{CONTAINER}.scope",
            "cri-dockerd": f"docker-{CONTAINER}.scope",
        }.items()
    },
}
PODS = {UID: CgroupUse(50, "burstable"), a_uid(2): CgroupUse(40, "kubepods")}
SLICES = {
    "kubepods": CgroupUse(100, ""),
    "burstable": CgroupUse(60, "kubepods"),
    "besteffort": CgroupUse(0, "kubepods"),
}


class TestLayouts:
    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("make", [v1, v2])
    def test_pods_and_slices_are_found(self, tree, layout, make):
        """By cgroupfs or systemd names, below any kubelet root, in both versions."""
        make(tree, LAYOUTS[layout])

        reading = cgroups(tree).read()

        assert PODS == reading.pods
        assert SLICES == reading.slices

    @pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpuacct,cpu"])
    def test_version_1_controllers_may_be_mounted_together(self, tree, controllers):
        """As distributions do."""
        v1(tree, LAYOUTS["cgroupfs"], controllers)

        assert PODS == cgroups(tree).read().pods

    def test_hybrid_reads_version_1_where_the_pods_are(self, tree):
        """The unified tree is there too, but kubelet does not use it."""
        v1(tree, LAYOUTS["cgroupfs"])
        v2(tree, {"system.slice": 5}, mount="unified")

        assert PODS == cgroups(tree).read().pods

    def test_hybrid_reads_the_unified_tree_if_the_pods_are_there(self, tree):
        """One hierarchy counts; a controller without pods does not."""
        v1(tree, {"system.slice": 5})
        v2(tree, LAYOUTS["systemd"], mount="unified")

        assert PODS == cgroups(tree).read().pods

    def test_a_static_pods_cgroup_carries_its_config_hash(self, tree):
        """32 hexadecimal digits instead of a uid, by either driver."""
        v2(tree, {"kubepods": 9, f"kubepods/pod{HASH}": 7, f"kubepods/pod{HASH[::-1]}": 1})
        assert {HASH: 7, HASH[::-1]: 1} == {
            pod: use.usage_us for pod, use in cgroups(tree).read().pods.items()
        }

        v1(tree, {"kubepods.slice": 9, f"kubepods.slice/kubepods-pod{HASH}.slice": 7})
        assert {HASH: CgroupUse(7, "kubepods")} == cgroups(tree).read().pods

    def test_containers_outside_the_tree_are_summed_by_pod(self, tree):
        """Containerd left on cgroupfs under a systemd kubelet; nothing remembers their tail."""
        folder = "system.slice/containerd.service"
        name = f"kubepods-burstable-pod{LOW}.slice:cri-containerd"
        first, second = (f"{folder}/{name}:{digit * 64}" for digit in "ab")
        v2(tree, {folder: 1000, first: 30, second: 12})
        reader = cgroups(tree)

        assert {UID: CgroupUse(42, "")} == reader.read().pods
        assert {} == reader.read().slices

        shutil.rmtree(tree.root / "sys/fs/cgroup" / first)
        v2(tree, {second: 13})
        assert {UID: CgroupUse(43, "")} == reader.read().pods

    def test_containers_outside_the_tree_count_beside_their_pods_empty_slice(self, tree):
        """Kubelet made it all the same; what it holds does not remember the containers."""
        name = f"kubepods-burstable-pod{LOW}.slice:cri-containerd:{CONTAINER}"
        usage = {f"system.slice/containerd.service/{name}": 30}
        v2(tree, LAYOUTS["systemd"] | {_BURSTABLE_POD: 0} | usage)

        reading = cgroups(tree).read()

        assert PODS | {UID: CgroupUse(30, "")} == reading.pods
        assert SLICES == reading.slices

    def test_other_cgroups_are_not_pods(self, tree):
        """What an administrator made beside them is left alone."""
        paths = ("kubepods", "kubepods/podium", "kubepods/pod1234", "kubepods/other.slice")
        v2(tree, dict.fromkeys(paths, 5))

        assert {} == cgroups(tree).read().pods

    def test_a_node_without_kubelet_has_no_pods(self, tree):
        """And is not an error."""
        v2(tree, {"system.slice": 5})

        assert {} == cgroups(tree).read().pods


class TestMemory:
    @pytest.mark.parametrize("names", ["cgroupfs", "systemd", "kind, systemd"])
    @pytest.mark.parametrize("version", [1, 2])
    def test_what_each_pod_has_in_use_is_read_where_its_version_counts_it(
        self, tree, names, version
    ):
        """Beside the CPU time, or in a hierarchy of its own, in KiB."""
        make, file = (v1, "memory.usage_in_bytes") if version == 1 else (v2, "memory.current")
        make(tree, LAYOUTS[names])
        base = "sys/fs/cgroup/memory" if version == 1 else "sys/fs/cgroup"
        for path in LAYOUTS[names]:
            if path.endswith((f"pod{UID}", f"pod{LOW}.slice")):
                tree.write(f"{base}/{path}/{file}", str(5 << 20))
        reader = cgroups(tree)
        reader.read()

        assert {UID: 5 << 10} == reader.memory_kib()

    def test_a_pod_that_is_gone_has_none(self, tree):
        """Nor has one whose cgroup counts none."""
        v2(tree, {"kubepods": 1, f"kubepods/pod{UID}": 1, f"kubepods/pod{a_uid(2)}": 1})
        tree.write(f"sys/fs/cgroup/kubepods/pod{a_uid(2)}/memory.current", "4096")
        reader = cgroups(tree)
        reader.read()
        shutil.rmtree(tree.root / f"sys/fs/cgroup/kubepods/pod{UID}")

        assert {a_uid(2): 4} == reader.memory_kib()


class TestChanges:
    def test_pods_come_and_go(self, tree):
        """Folders are listed anew when they changed."""
        v2(tree, LAYOUTS["cgroupfs"])
        reader = cgroups(tree)
        reader.read()
        v2(tree, {f"kubepods/burstable/pod{a_uid(3)}": 5})
        shutil.rmtree(tree.root / f"sys/fs/cgroup/kubepods/burstable/pod{UID}")

        assert {a_uid(2), a_uid(3)} == reader.read().pods.keys()

    def test_usage_is_read_anew_each_time(self, tree):
        """From the files that are kept open."""
        v2(tree, {"kubepods": 1, f"kubepods/pod{UID}": 1})
        reader = cgroups(tree)
        reader.read()
        v2(tree, {f"kubepods/pod{UID}": 2})

        assert 2 == reader.read().pods[UID].usage_us

    def test_qos_slices_may_appear_later(self, tree):
        """Kubelet makes them when it starts."""
        v2(tree, {"kubepods": 1})
        reader = cgroups(tree)
        reader.read()
        v2(tree, LAYOUTS["cgroupfs"])

        assert PODS == reader.read().pods

    def test_the_tree_may_appear_later(self, tree):
        """The agent can be up before kubelet."""
        v2(tree, {"system.slice": 5})
        reader = cgroups(tree)
        reader.read()
        v2(tree, LAYOUTS["systemd"])

        assert PODS == reader.read().pods

    def test_a_pod_without_its_file_yet_is_taken_up_next_time(self, tree):
        """Its folder can be seen a moment before its files."""
        v2(tree, {"kubepods": 1})
        folder = tree.root / f"sys/fs/cgroup/kubepods/pod{UID}"
        folder.mkdir()
        reader = cgroups(tree)
        assert {} == reader.read().pods

        v2(tree, {f"kubepods/pod{UID}": 3})
        assert 3 == reader.read().pods[UID].usage_us

    def test_a_tree_that_is_made_anew_is_found_again(self, tree):
        """After one failed reading, as open files belong to the old one."""
        v2(tree, LAYOUTS["cgroupfs"])
        reader = cgroups(tree)
        reader.read()
        shutil.rmtree(tree.root / "sys/fs/cgroup/kubepods/burstable")
        with pytest.raises(CgroupsUnreadableError):
            reader.read()
        v2(tree, LAYOUTS["cgroupfs"])

        assert PODS == reader.read().pods

    def test_a_half_written_file_is_an_error_and_not_zero(self, tree):
        """The reading fails as a whole; the next one covers its time."""
        v2(tree, {"kubepods": 1, f"kubepods/pod{UID}": 1})
        reader = cgroups(tree)
        reader.read()
        (tree.root / f"sys/fs/cgroup/kubepods/pod{UID}/cpu.stat").write_text("")

        with pytest.raises(CgroupsUnreadableError):
            reader.read()


FEW_DESCRIPTORS = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
from carbonaware_agent.workloads.cgroups import Cgroups
reader = Cgroups(Path(sys.argv[1]))
first, second = reader.read(), reader.read()
free = [open("/dev/null") for _ in range(40)]
print(json.dumps([len(first.pods), first.unread, len(second.pods), second.unread]))
"""


def test_without_descriptors_for_all_pods_the_others_are_read(tree):
    """It is told how many are not, and enough descriptors are left to save and to be scraped."""
    v2(tree, {"kubepods": 1} | {f"kubepods/pod{a_uid(number)}": 1 for number in range(90)})

    ran = subprocess.run(
        [sys.executable, "-c", FEW_DESCRIPTORS, str(tree.root / "sys/fs/cgroup")],
        capture_output=True,
        text=True,
        check=True,
    )

    pods, unread, *second = json.loads(ran.stdout)
    assert [pods, unread] == second
    assert 90 == pods + unread
    assert 20 < pods < 36
    assert 1 == ran.stderr.count("some pods are not measured")


@pytest.fixture
def real_cgroup(tmp_path):
    """A cgroup of this machine with a pod in it, and a tree that shows it as the node's."""
    for mount in (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")):
        base = mount / f"carbonaware-test-{tmp_path.name}"
        pod = base / "kubepods" / f"pod{UID}"
        try:
            pod.mkdir(parents=True)
            break
        except OSError:
            continue
    else:
        pytest.skip("cgroups cannot be made here")
    shown = tmp_path / "sys/fs/cgroup"
    shown.mkdir(parents=True)
    if mount.name == "cpuacct":
        (shown / "cpuacct").symlink_to(base)
    else:
        (shown / "cgroup.controllers").touch()
        (shown / "kubepods").symlink_to(base / "kubepods")
    yield shown, pod
    for folder in (pod, pod.parent, base):
        if folder.exists():
            folder.rmdir()


def test_the_kernel_ends_a_kept_file_with_its_cgroup(real_cgroup):
    """A removed cgroup is gone at once, though its file is still open (ENODEV)."""
    shown, pod = real_cgroup
    reader = Cgroups(shown)
    assert {UID} == reader.read().pods.keys()

    pod.rmdir()

    assert {} == reader.read().pods


def test_a_cgroup_that_is_made_anew_between_two_readings_is_told_apart(real_cgroup):
    """Its usage starts from 0, which a busy pod could hide by the next reading."""
    shown, pod = real_cgroup
    reader = Cgroups(shown)
    assert not reader.read().pods[UID].renewed

    pod.rmdir()
    pod.mkdir()

    assert reader.read().pods[UID].renewed
    assert not reader.read().pods[UID].renewed
