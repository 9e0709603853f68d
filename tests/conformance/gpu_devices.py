"""The GPUs of a node: the driver's library and kubelet's socket, for the agent's own clients.

The pods' processes are in the host's /proc, which an agent with hostPID sees.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pynvml
import pytest

from agent_builders import a_uid
from conformance.node import Reading
from conformance.scenario import Gpu, Pod, Scenario, Sharing
from fake_kubelet import FakeKubelet, a_fake_kubelet, a_listed_pod
from fake_nvml import FakeNvml, a_gpu, a_gpu_process, a_mig_device

# A slice at full activity draws this much in the scenarios, and so does a percent of all seven.
_WATTS_PER_SLICE = 100.0


class GpuDevices:
    """Shows the driver's and kubelet's side of each reading."""

    def __init__(
        self, scenario: Scenario, proc: Path, driver: FakeNvml, kubelet: FakeKubelet
    ) -> None:
        self._scenario = scenario
        self._proc = proc
        self._driver = driver
        self._kubelet = kubelet

    def show(self, reading: Reading) -> None:
        """Bring both in line with a reading."""
        lines, listed = [], []
        for index, gpu in enumerate(self._scenario.machine.gpus):
            partitions = gpu.sharing == Sharing.PARTITIONS
            lines.append(
                a_gpu(
                    gpu.uuid,
                    minor=index,
                    # The driver counts millijoules.
                    energy=reading.gpu_uj[gpu.uuid] // 1000,
                    mig=1 if partitions else None,
                    gpm=1 if gpu.activity else None,
                )
            )
            for number, pod in enumerate(self._scenario.pods):
                if pod.gpu != index:
                    continue
                if partitions:
                    lines.append(self._partition(index, number, pod, reading))
                if pod.name in reading.gpu_active:
                    listed.append(a_listed_pod(pod.name, [_device(gpu, number)]))
                    if gpu.sharing == Sharing.TURNS and gpu.activity:
                        lines.append(self._process(index, number, pod, reading))
        self._driver.show(*lines)
        self._kubelet.pods = listed

    def _partition(self, gpu: int, number: int, pod: Pod, reading: Reading) -> str:
        """A MIG device, which is there before its pod and tells the activity of its slices."""
        watts = reading.gpu_active.get(pod.name, 0.0)
        return a_mig_device(
            f"MIG-{number}",
            gpu=gpu,
            gi=number + 1,
            slices=pod.slices,
            compute=pod.slices,
            sm=round(watts / pod.slices / _WATTS_PER_SLICE * 100),
        )

    def _process(self, gpu: int, number: int, pod: Pod, reading: Reading) -> str:
        """A pod's process in the driver's list, and in the host's /proc with its cgroup."""
        pid = 1000 + number
        folder = self._proc / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "cgroup").write_text(f"0::/kubepods/{pod.qos}/pod{a_uid(number + 1)}/main\n")
        percent = round(reading.gpu_active[pod.name] / _WATTS_PER_SLICE / 7 * 100)
        return a_gpu_process(pid, percent, gpu=gpu, time=round(reading.second * 1e6) + 1)


def _device(gpu: Gpu, number: int) -> str:
    """What the device plugin calls the part that a pod holds."""
    match gpu.sharing:
        case Sharing.TURNS:
            return f"{gpu.uuid}::{number}"
        case Sharing.PARTITIONS:
            return f"MIG-{number}"
        case _:
            return gpu.uuid


@contextmanager
def gpu_devices(scenario: Scenario, folder: Path) -> Iterator[GpuDevices | None]:
    """The node's GPUs; where it has none there is no driver, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        if not scenario.machine.gpus:
            patch.setattr(pynvml, "nvmlInit", _no_driver)
            yield None
            return
        driver = FakeNvml(folder / "driver").install(patch)
        socket = folder / "host/var/lib/kubelet/pod-resources/kubelet.sock"
        socket.parent.mkdir(parents=True)
        with a_fake_kubelet(socket) as kubelet:
            yield GpuDevices(scenario, folder / "host/proc", driver, kubelet)


def _no_driver() -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
