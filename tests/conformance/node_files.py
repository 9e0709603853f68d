"""The files of a node: what the kernel shows, written from each reading."""

import json
import os
import shutil
from pathlib import Path

from agent_builders import METAL_CPUINFO, HostTree, a_uid
from carbonaware_agent.host import Host
from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.curve_file import Calibration
from conformance.gpu_devices import GpuDevices
from conformance.node import Reading
from conformance.scenario import Pod, Scenario

# The loads that `carbonaware-agent calibrate` makes unless told otherwise.
_CALIBRATED_LOADS = (0.0, 0.1, 0.5, 0.8, 1.0)


class NodeFiles:
    """The files of a node, brought in line with each reading."""

    def __init__(self, root: Path, scenario: Scenario, devices: GpuDevices | None) -> None:
        self._devices = devices
        processors = METAL_CPUINFO.split("\n\n")[0]
        self.tree = HostTree(root, cpuinfo="\n\n".join([processors] * scenario.machine.vcpus))
        self.tree.write("proc/meminfo", f"MemTotal: {scenario.machine.memory_gib << 20} kB")
        self._scenario = scenario
        self._there: set[str] = set()

    def show(self, reading: Reading) -> None:
        """Write what the kernel would show."""
        self.tree.busy(reading.busy_us // 10_000)
        if self._devices is not None:
            self._devices.show(reading)
        for domain, value in reading.counters.items():
            self._show_counter(domain, value)
        # Slices after pods, so that a tick in between would see a slice with at most its pods.
        for pod in self._scenario.pods:
            if pod.name in reading.pods:
                self.tree.cgroup(self._path(pod), reading.pods[pod.name])
            elif pod.name in self._there:
                shutil.rmtree(self.tree.root / "sys/fs/cgroup" / self._path(pod))
        for name, used_us in reading.slices.items():
            self.tree.cgroup("kubepods" if name == "kubepods" else f"kubepods/{name}", used_us)
        if self._there != set(reading.pods):
            self._there = set(reading.pods)
            self._stamp(reading)

    def _show_counter(self, domain: str, value: int | None) -> None:
        kind, socket = domain.split("-")
        folder = f"intel-rapl:{socket}" if kind == "package" else f"intel-rapl:{socket}:0"
        machine = self._scenario.machine
        name = domain if kind == "package" else kind
        file = self.tree.rapl(value or 0, domain=folder, name=name, range_uj=machine.range_uj)
        if value is None:
            self.tree.write(str(file.relative_to(self.tree.root)), "unreadable")
        if kind == "package" and machine.tells_maximum:
            maximum = str(round(machine.maximum_watts * 1e6 / machine.sockets))
            self.tree.write(f"sys/class/powercap/{folder}/constraint_0_max_power_uw", maximum)

    def _stamp(self, reading: Reading) -> None:
        """Give folders the simulated time; real ones change within one tick of the file system."""
        for name in ("", "burstable", "besteffort"):
            stamp = round(reading.second * 1e9)
            os.utime(self.tree.root / "sys/fs/cgroup/kubepods" / name, ns=(stamp, stamp))

    def _path(self, pod: Pod) -> str:
        folder = "kubepods" if pod.qos == "guaranteed" else f"kubepods/{pod.qos}"
        return f"{folder}/pod{a_uid(self._scenario.pods.index(pod) + 1)}"


def calibrations(scenario: Scenario, host: Host, folder: Path) -> Path:
    """A folder with the curve that was measured on a sibling of the node."""
    machine = scenario.machine
    processor = host.processor()
    calibration = Calibration(
        processor=processor.name,
        sockets=processor.sockets,
        threads=processor.vcpus,
        memory_gib=1,
        measured_by="rapl",
        boundary="chip",
        error_ratio=0.02,
        curve=PowerCurve(
            [(load, machine.maximum_watts * machine.curve.at(load)) for load in _CALIBRATED_LOADS]
        ),
    )
    folder.mkdir(exist_ok=True)
    (folder / calibration.file_name).write_text(json.dumps(calibration.document()))
    return folder
