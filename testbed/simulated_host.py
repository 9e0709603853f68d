"""A file tree that looks to the agent like the host of a simulated node.

Point `carbonaware-agent --host-root DIR` at it. It holds /proc/stat, cpuinfo, meminfo and boot_id,
a version 2 control group for every pod that the API server says runs on the node, and two RAPL
domains. A pod uses what its annotation `testbed.carbonaware.io/cpu-millis` says, else nothing::

    python -m testbed.simulated_host --kubeconfig FILE --node NAME --root DIR

Counters are rewritten in place with one write, so a reader that keeps a file open sees them move.
Unlike in a real hierarchy, it sees the last value of a removed group instead of an error.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import requests

from testbed.api import Api
from testbed.simulated_machine import MAX_ENERGY_RANGE_UJ, TICK_USEC, Machine, RunningPod

_ANNOTATION = "testbed.carbonaware.io/cpu-millis"
_CGROUPS = "sys/fs/cgroup"
_PACKAGE = "sys/class/powercap/intel-rapl:0"
_DRAM = "sys/class/powercap/intel-rapl:0:0"


class SimulatedHost:
    """Keeps a tree below `root` in step with a machine and the pods that run on it.

    root: a folder that is empty or absent; each instance is one boot of the machine.
    running_pods: asked once a tick.
    clock: seconds from any origin, never backwards.
    Raises FileExistsError: the folder holds something, perhaps a real machine's files.
    """

    def __init__(
        self,
        root: Path,
        running_pods: Callable[[], list[RunningPod]],
        *,
        machine: Machine | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if root.exists() and any(root.iterdir()):
            raise FileExistsError(f"{root} is not empty; name a new folder")
        self._root = root
        self._running_pods = running_pods
        self._machine = machine or Machine()
        self._clock = clock
        self._last = clock()
        self._pods: list[RunningPod] = []
        for path, text in _unchanging(self._machine).items():
            self._write(path, text)
        self._write_counters()

    def tick(self) -> None:
        """Charge the time since the last tick to the pods that ran then, and look again."""
        now = self._clock()
        self._machine.advance(round((now - self._last) * 1_000_000), self._pods)
        self._last = now
        self._pods = self._running_pods()
        self._machine.advance(0, self._pods)
        self._write_counters()

    def run(self, stop: threading.Event, *, period_seconds: float = 0.5) -> None:
        """Tick until told to stop."""
        while not stop.wait(period_seconds):
            self.tick()

    def _write_counters(self) -> None:
        machine = self._machine
        self._write(f"{_PACKAGE}/energy_uj", f"{machine.package_uj}\n")
        self._write(f"{_DRAM}/energy_uj", f"{machine.dram_uj}\n")
        for group, usec in machine.usage_usec.items():
            self._write(
                f"{_CGROUPS}/{group}/cpu.stat",
                f"usage_usec {usec}\nuser_usec {usec}\nsystem_usec 0\n",
            )
        # Last, so that whoever waits for it finds all others.
        self._write("proc/stat", proc_stat(machine))
        for gone in self._groups_on_disk() - machine.usage_usec.keys():
            folder = self._root / _CGROUPS / gone
            (folder / "cpu.stat").unlink()
            folder.rmdir()

    def _groups_on_disk(self) -> set[str]:
        hierarchy = self._root / _CGROUPS
        found = (path.parent.relative_to(hierarchy) for path in hierarchy.rglob("cpu.stat"))
        return {"" if path == Path() else str(path) for path in found}

    def _write(self, path: str, text: str) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(target, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            # Only a counter that wrapped gets shorter; line ends cover what is left of the old one.
            os.pwrite(opened, text.encode().ljust(os.fstat(opened).st_size, b"\n"), 0)
        finally:
            os.close(opened)


def pods_of(listed: dict[str, Any]) -> list[RunningPod]:
    """The pods of an API list that have a control group: from running until they ended."""
    return [
        RunningPod(
            pod["metadata"]["uid"],
            pod["status"].get("qosClass", "BestEffort"),
            int(pod["metadata"].get("annotations", {}).get(_ANNOTATION, "0")),
        )
        for pod in listed["items"]
        if pod["status"].get("phase") == "Running"
    ]


def pods_on(api: Api, node: str) -> Callable[[], list[RunningPod]]:
    """Asks the API server for a node's pods; while it does not answer, the last ones run on."""
    last: list[RunningPod] = []

    def ask() -> list[RunningPod]:
        nonlocal last
        try:
            listed = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
        except requests.RequestException:
            return last
        last = pods_of(listed) if listed else []
        return last

    return ask


def proc_stat(machine: Machine) -> str:
    """The file /proc/stat, the load spread evenly over the cores."""
    user = machine.busy_usec // machine.cores // TICK_USEC
    idle = max(0, machine.elapsed_usec // TICK_USEC - user)
    lines = [f"cpu  {_cpu_line(user * machine.cores, idle * machine.cores)}"]
    lines += [f"cpu{core} {_cpu_line(user, idle)}" for core in range(machine.cores)]
    return "\n".join(lines) + "\n"


def _cpu_line(user: int, idle: int) -> str:
    return f"{user} 0 0 {idle} 0 0 0 0 0 0"


def _unchanging(machine: Machine) -> dict[str, str]:
    return {
        "proc/sys/kernel/random/boot_id": f"{uuid4()}\n",
        "proc/cpuinfo": "\n".join(_processors(machine.cores)),
        "proc/meminfo": "MemTotal:       67108864 kB\nMemAvailable:   60000000 kB\n",
        f"{_CGROUPS}/cgroup.controllers": "cpuset cpu io memory pids\n",
        f"{_PACKAGE}/name": "package-0\n",
        f"{_PACKAGE}/max_energy_range_uj": f"{MAX_ENERGY_RANGE_UJ}\n",
        f"{_DRAM}/name": "dram\n",
        f"{_DRAM}/max_energy_range_uj": f"{MAX_ENERGY_RANGE_UJ}\n",
    }


def _processors(cores: int) -> Iterator[str]:
    for core in range(cores):
        yield (
            f"processor\t: {core}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"
            "model name\t: Intel(R) Xeon(R) Silver 4208 CPU @ 2.10GHz\n"
            f"physical id\t: 0\nsiblings\t: {cores}\ncore id\t\t: {core}\ncpu cores\t: {cores}\n"
            "flags\t\t: fpu tsc msr constant_tsc nonstop_tsc\n"
        )


@click.command()
@click.option("--kubeconfig", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--node", required=True, help="The simulated node whose pods are followed.")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="Folder to write.")
def main(kubeconfig: Path, node: str, root: Path) -> None:
    """Write the host files of a simulated node until interrupted."""
    SimulatedHost(root, pods_on(Api(kubeconfig), node)).run(threading.Event())


if __name__ == "__main__":
    main()
