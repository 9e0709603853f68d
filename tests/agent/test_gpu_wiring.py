"""The whole agent on a host tree, a driver and a kubelet that are played; only threads are not."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent_builders import FakeClock, HostTree, a_pod_manifest, a_uid, samples
from carbonaware_agent import settings
from carbonaware_agent.wiring import assemble
from carbonaware_agent.workloads.pods import PodDirectory, parse_pod
from fake_kubelet import a_fake_kubelet, a_listed_pod
from fake_nvml import FakeNvml, a_gpu

ENERGY = "carbonaware_owner_energy_joules_total"


class GpuMachine:
    """A machine with one GPU, which a pod holds."""

    def __init__(self, folder, monkeypatch):
        self.clock = FakeClock()
        self.tree = HostTree(folder / "host")
        self.tree.cgroup("kubepods", 0)
        self.tree.cgroup(f"kubepods/pod{a_uid(1)}", 0)
        self.driver = FakeNvml(folder / "driver").install(monkeypatch)
        self.driver.show("driver load=1", a_gpu(energy=1000))
        self.directory = PodDirectory()
        self.directory.put(parse_pod(a_pod_manifest(1)))
        flags = [f"--host-root={self.tree.root}", f"--state-dir={folder / 'state'}"]
        self.agent = assemble(
            settings.parse(flags, environment={}), self.clock, self.directory, None
        )

    def tick(self, *lines, seconds=1):
        """Let the driver show something, look, and tick."""
        if lines:
            self.driver.show(*lines)
        self.clock.advance(seconds)
        self.agent.gpus.look()
        self.agent.agent.tick()

    def joules(self, metric=ENERGY):
        """The sum of a metric's series of the GPU."""
        page = samples((self.agent.board.metrics() or b"").decode())
        return sum(float(v) for k, v in page.items() if k.startswith(metric) and "GPU-a" in k)


@pytest.fixture
def machine(monkeypatch):
    # A socket's path must be shorter than pytest's folders can be.
    with TemporaryDirectory() as folder:
        socket = Path(folder) / "host/var/lib/kubelet/pod-resources/kubelet.sock"
        socket.parent.mkdir(parents=True)
        with a_fake_kubelet(socket) as kubelet:
            kubelet.pods = [a_listed_pod("pod-1", ["GPU-a"])]
            yield GpuMachine(Path(folder), monkeypatch)


def test_a_pod_is_charged_for_its_gpu(machine):
    """Kubelet's socket is found below the host's root, the driver by its library."""
    machine.tick()
    machine.tick("driver load=1", a_gpu(energy=3500))

    assert 2.5 == machine.joules()


def test_after_a_reload_of_the_driver_the_gpu_counts_on(machine):
    """It is found again within two minutes, from 0 on; the holder is still the holder."""
    machine.tick()
    for _ in range(3):
        machine.tick("driver load=2", a_gpu(energy=10), seconds=60)
    machine.tick("driver load=2", a_gpu(energy=4010))

    assert 4 == machine.joules()
    assert 4 == machine.joules("carbonaware_gpu_energy_joules_total")


def test_a_node_without_a_gpu_says_nothing_of_holders(tmp_path, monkeypatch):
    """The collector is not in use there, and kubelet is not asked."""
    machine = GpuMachine(tmp_path, monkeypatch)
    for _ in range(4):
        machine.tick("driver load=1", seconds=60)

    page = (machine.agent.board.metrics() or b"").decode()

    assert "gpu_holders" not in page
