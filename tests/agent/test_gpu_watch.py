"""Who holds which GPU, asked of a real socket and the real binding on a driver that is played."""

import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent_builders import FakeClock, a_pod_manifest, a_uid, eventually
from carbonaware_agent.attribution.devices import Claim, Holding, Method
from carbonaware_agent.gpus.watch import GpuWatch
from carbonaware_agent.sources.nvml import Nvml
from carbonaware_agent.workloads.pods import PodDirectory, parse_pod
from fake_kubelet import a_fake_kubelet, a_listed_pod
from fake_nvml import FakeNvml, a_gpu, a_gpu_process, a_mig_device


@pytest.fixture
def folder():
    # A socket's path must be shorter than pytest's folders can be.
    with TemporaryDirectory() as path:
        yield Path(path)


@pytest.fixture
def driver(folder, monkeypatch):
    return FakeNvml(folder / "driver").install(monkeypatch)


@pytest.fixture
def kubelet(folder):
    (folder / "pod-resources").mkdir()
    with a_fake_kubelet(folder / "pod-resources" / "kubelet.sock") as running:
        yield running


class Node:
    """The watch of a node, and what it is told."""

    def __init__(self, folder):
        self.clock = FakeClock()
        self.directory = PodDirectory()
        self.synced = True
        self.nvml = Nvml()
        self.proc = folder / "proc"
        self.watch = GpuWatch(
            self.clock,
            lambda: self.nvml.gpus,
            self.directory,
            lambda: self.synced,
            socket=folder / "pod-resources" / "kubelet.sock",
            proc=self.proc,
        )

    def know(self, *manifests):
        """Let the API server tell of pods."""
        for manifest in manifests:
            self.directory.put(parse_pod(manifest))

    def process(self, pid, pod):
        """Let the host show a process of a pod."""
        (self.proc / str(pid)).mkdir(parents=True)
        (self.proc / str(pid) / "cgroup").write_text(f"0::/kubepods/pod{pod}/c1\n")

    def look(self, gpu="GPU-a", *, after=0):
        """The holding of a card, seen some seconds later."""
        self.clock.advance(after)
        self.watch.look()
        assert self.watch.picture is not None
        return self.watch.picture.holdings[f"gpu/{gpu}"]


class TestHolders:
    def test_kubelet_tells_who_holds_which_gpu(self, driver, kubelet, folder):
        """Each pod its own, and a card that nobody holds."""
        driver.show(a_gpu("GPU-a"), a_gpu("GPU-b"), a_gpu("GPU-c"))
        kubelet.pods = [a_listed_pod("pod-1", ["GPU-b"]), a_listed_pod("pod-2", ["GPU-a"])]
        node = Node(folder)
        node.know(a_pod_manifest(1), a_pod_manifest(2))

        holders = [[c.pod for c in node.look(gpu).claims] for gpu in ("GPU-a", "GPU-b", "GPU-c")]

        assert [[a_uid(2)], [a_uid(1)], []] == holders

    def test_while_kubelet_does_not_answer_the_last_word_holds(self, driver, kubelet, folder):
        """Its restart takes seconds, and pods go on."""
        driver.show(a_gpu())
        kubelet.pods = [a_listed_pod("pod-1", ["GPU-a"])]
        node = Node(folder)
        node.know(a_pod_manifest(1))
        before = node.look()

        (folder / "pod-resources" / "kubelet.sock").unlink()

        assert before == node.look()
        assert node.watch.following is False

    def test_before_the_pods_are_known_there_is_no_picture(self, driver, kubelet, folder):
        """An agent that has just begun must not take a GPU from its holder."""
        driver.show(a_gpu())
        kubelet.pods = [a_listed_pod("pod-1", ["GPU-a"])]
        node = Node(folder)
        node.synced = False
        node.watch.look()

        assert node.watch.picture is None

    def test_on_a_node_without_the_sockets_folder_the_api_servers_word_counts(self, driver, folder):
        """A pod that was given all GPUs holds them."""
        driver.show(a_gpu("GPU-a"), a_gpu("GPU-b"))
        node = Node(folder)
        node.know(a_pod_manifest(1, gpus=2))

        assert Holding(Method.EXCLUSIVE, (Claim(a_uid(1), 1),)) == node.look()

    def test_a_change_of_a_pod_is_looked_at_at_once(self, driver, kubelet, folder):
        """Without waiting for the ten seconds to pass."""
        driver.show(a_gpu())
        node = Node(folder)

        ended = threading.Event()
        node.watch.start(lambda _: ended.is_set())
        assert eventually(lambda: kubelet.asked == 1)

        node.know(a_pod_manifest(1))

        assert eventually(lambda: kubelet.asked == 2)
        ended.set()
        node.know(a_pod_manifest(2))

    def test_devices_that_mean_no_card_are_counted(self, driver, kubelet, folder, caplog):
        """And told once."""
        driver.show(a_gpu())
        kubelet.pods = [a_listed_pod("pod-1", ["GPU-x"])]
        node = Node(folder)
        for _ in range(3):
            node.look()

        assert 1 == node.watch.picture.unresolved
        told = [record.devices for record in caplog.records if hasattr(record, "devices")]
        assert ["GPU-x"] == told


class TestPartitions:
    def cards(self, *, sm=(90, 10), **fields):
        """A partitioned card with an instance of one slice and one of three."""
        return [
            a_gpu(mig=1, slices=7, **fields),
            a_mig_device("MIG-s", gi=9, slices=1, sm=sm[0]),
            a_mig_device("MIG-l", gi=1, slices=3, sm=sm[1]),
        ]

    def held(self, kubelet, folder):
        """A node on which two pods hold the two instances."""
        kubelet.pods = [
            a_listed_pod("pod-1", ["MIG-s"], resource="nvidia.com/mig-1g.10gb"),
            a_listed_pod("pod-2", ["MIG-l"], resource="nvidia.com/mig-3g.40gb"),
        ]
        node = Node(folder)
        node.know(a_pod_manifest(1), a_pod_manifest(2))
        return node

    def test_two_samples_tell_the_activity_of_instances(self, driver, kubelet, folder):
        """The first sample is only a baseline; until the second, slices decide."""
        driver.show(*self.cards(gpm=1))
        node = self.held(kubelet, folder)

        assert Method.MIG_SLICES == node.look().method
        expected = (Claim(a_uid(1), 1, 90), Claim(a_uid(2), 3, 30))
        assert Holding(Method.MIG_ACTIVITY, expected, whole=7) == node.look(after=10)

    def test_cards_before_hopper_tell_no_activity(self, driver, kubelet, folder):
        """Slices decide for good."""
        driver.show(*self.cards())
        node = self.held(kubelet, folder)
        node.look()

        assert Method.MIG_SLICES == node.look(after=10).method
        assert 0 == driver.calls("GpmMigSampleGet")

    def test_slow_questions_are_asked_seldom(self, driver, kubelet, folder):
        """Partitions once, activity every ten seconds, whatever the pods do."""
        driver.show(*self.cards(gpm=1))
        node = self.held(kubelet, folder)
        for _ in range(25):
            node.look(after=1)

        assert 2 == driver.calls("MigDeviceHandleByIndex") - 5
        # At the first look, and each ten seconds after it, of two instances.
        assert 2 * 3 == driver.calls("GpmMigSampleGet")

    def test_new_partitions_are_found_when_a_pod_holds_one(self, driver, kubelet, folder):
        """Their UUIDs are new, so that the first pod that holds one tells of them."""
        driver.show(*self.cards())
        node = self.held(kubelet, folder)
        node.look()

        driver.show(a_gpu(mig=1), a_mig_device("MIG-new", gi=2, slices=2))
        kubelet.pods = [a_listed_pod("pod-1", ["MIG-new"])]

        assert (Claim(a_uid(1), 2),) == node.look().claims
        assert 0 == node.watch.picture.unresolved


class TestTurns:
    def test_processes_tell_who_used_a_shared_card(self, driver, kubelet, folder):
        """New samples alone count, each process for its pod."""
        driver.show(a_gpu(), a_gpu_process(7, 60), a_gpu_process(8, 20), a_gpu_process(9, 1))
        kubelet.pods = [a_listed_pod("pod-1", ["GPU-a::0"]), a_listed_pod("pod-2", ["GPU-a::1"])]
        node = Node(folder)
        node.know(a_pod_manifest(1), a_pod_manifest(2))
        node.process(7, a_uid(1))
        node.process(8, a_uid(2))
        (folder / "proc/9").mkdir()
        (folder / "proc/9/cgroup").write_text("0::/system.slice\n")

        expected = (Claim(a_uid(1), 1, 60), Claim(a_uid(2), 1, 20))
        assert Holding(Method.SM_UTIL, expected, 2, 0, 1) == node.look()
        assert Method.EQUAL == node.look(after=10).method

    def test_processes_of_a_card_in_one_hand_are_not_asked_for(self, driver, kubelet, folder):
        """It costs a call, and changes nothing."""
        driver.show(a_gpu(), a_gpu_process(7, 60))
        kubelet.pods = [a_listed_pod("pod-1", ["GPU-a"])]
        node = Node(folder)
        node.know(a_pod_manifest(1))

        assert Method.EXCLUSIVE == node.look().method
        assert 0 == driver.calls("ProcessUtilization")


def test_utilization_and_model_are_shown(driver, kubelet, folder):
    """As a share of time; a card that does not tell has none."""
    driver.show(a_gpu("GPU-a", utilization=30, name="H100 NVL"), a_gpu("GPU-b"))
    node = Node(folder)
    node.look()

    facts = node.watch.picture.facts

    assert ("H100 NVL", 0.3) == (facts["gpu/GPU-a"].model, facts["gpu/GPU-a"].utilization)
    assert facts["gpu/GPU-b"].utilization is None
