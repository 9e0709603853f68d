"""Our own programs as real processes against a real API server, for the tests of the whole path."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from testbed.cluster import Cluster

T = TypeVar("T")
POLL_SECONDS = 0.1


def eventually(probe: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Poll until the probe returns something true; fails with what was awaited."""
    deadline = time.monotonic() + seconds
    last: T | None = None
    while time.monotonic() < deadline:
        last = probe()
        if last:
            return last
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {seconds:.0f} s: {what}; last seen: {last!r}")


def free_port() -> int:
    """A port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """One running program: its log, and its HTTP address."""

    name: str
    argv: list[str]
    log: Path
    url: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> "Program":
        """Start it (again); output is appended to the log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        """End it as a crash would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        return self._signal(signal.SIGTERM)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process is not None and self.process.poll() is None

    def get(self, path: str) -> str:
        """The body of a page; empty while it does not answer with 200."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    def wait_ready(self) -> "Program":
        """Wait for /readyz."""
        eventually(lambda: not self.alive or self.get("/readyz"), f"{self.name} is ready")
        assert self.alive, f"{self.name} ended:\n{self.log.read_text()[-4000:]}"
        return self

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the series of a metric that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith(name)]
        exact = [line for line in lines if line[len(name)] in "{ "]
        return sum(
            float(line.rpartition(" ")[2]) for line in exact if all(w in line for w in wanted)
        )

    def _signal(self, number: int) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=30)


def console_script(name: str) -> str:
    """One of the project's console scripts, of the environment that runs the tests."""
    return str(Path(sys.executable).parent / name)


class Stack:
    """Programs that one test starts, and the namespace that they share."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.cluster, self.namespace, self.folder = cluster, namespace, folder
        self.programs: list[Program] = []

    def operator(
        self, *flags: str, name: str = "operator", server: str = "", kubeconfig: Path | None = None
    ) -> Program:
        """An operator whose own namespace is the test's; `server` replaces the API server.

        kubeconfig: of an account with fewer rights than the administrator's.
        """
        port = free_port()
        argv = [
            console_script("carbonaware-operator"),
            f"--kubeconfig={kubeconfig or self._kubeconfig(server)}",
            f"--namespace={self.namespace}",
            f"--listen=127.0.0.1:{port}",
            f"--identity={name}",
            "--accounting-period-seconds=2",
            "--accounting-interval-seconds=0.5",
            "--sweep-seconds=5",
            *flags,
        ]
        return self._started(name, argv, port)

    def agent(self, host_root: Path, *flags: str, kubeconfig: Path | None = None) -> Program:
        """An agent that reads a host tree; kubeconfig: see operator."""
        port = free_port()
        argv = [
            console_script("carbonaware-agent"),
            f"--kubeconfig={kubeconfig or self.cluster.kubeconfig}",
            f"--node-name={self.cluster.node_name}",
            f"--host-root={host_root}",
            f"--state-dir={self.folder / 'agent-state'}",
            f"--listen=127.0.0.1:{port}",
            "--accounting-period-seconds=2",
            "--tick-seconds=0.25",
            *flags,
        ]
        (self.folder / "agent-state").mkdir(exist_ok=True)
        return self._started("agent", argv, port)

    def simulated_host(self) -> Path:
        """A host tree that follows the pods of the simulated node; its folder."""
        root = self.folder / "host"
        argv = [
            sys.executable,
            "-m",
            "testbed.simulated_host",
            f"--kubeconfig={self.cluster.kubeconfig}",
            f"--node={self.cluster.node_name}",
            f"--root={root}",
        ]
        program = Program("host", argv, self.folder / "host.log").start()
        self.programs.append(program)
        eventually((root / "proc" / "stat").exists, "the simulated host has a /proc/stat")
        return root

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or change objects in the test's namespace."""
        self.cluster.kubectl("apply", "-n", self.namespace, "-f", "-", input=_yaml(objects))

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the test's namespace."""
        return self.cluster.kubectl("-n", self.namespace, *arguments)

    def job(self, name: str) -> dict[str, Any]:
        """A CarbonAwareJob."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "caj", name, "-o", "json"))
        return found

    def children(self, kind: str = "jobs") -> list[dict[str, Any]]:
        """All batch/v1 Jobs (or another kind) of the namespace."""
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json"))["items"]
        return items

    def close(self) -> None:
        """End every program, newest first."""
        for program in reversed(self.programs):
            if program.alive:
                program.kill()

    def _started(self, name: str, argv: list[str], port: int) -> Program:
        program = Program(name, argv, self.folder / f"{name}.log", f"http://127.0.0.1:{port}")
        self.programs.append(program)
        return program.start()

    def _kubeconfig(self, server: str) -> str:
        if not server:
            return str(self.cluster.kubeconfig)
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        config["clusters"][0]["cluster"] = {"server": server}
        path = self.folder / "proxied.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return str(path)


@contextmanager
def stack(cluster: Cluster, namespace: str, folder: Path) -> Iterator[Stack]:
    """A stack that is torn down; its logs are printed."""
    running = Stack(cluster, namespace, folder)
    try:
        yield running
    finally:
        running.close()
        for program in running.programs:  # shown by pytest for a test that failed
            print(f"--- {program.name}\n{program.log.read_text(errors='replace')[-6000:]}")


def _yaml(objects: tuple[dict[str, Any], ...]) -> str:
    return yaml.safe_dump_all(objects)


def condition(job: dict[str, Any], kind: str) -> dict[str, Any]:
    """A condition of an object; empty when it is not set."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def a_zone(name: str, grams: int = 300) -> dict[str, Any]:
    """A CarbonZone with one value for ever."""
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {"name": name},
        "spec": {"source": {"type": "Static", "static": {"gramsPerKWh": grams}}},
    }


def a_job(
    name: str, zone: str, *, run_for: str = "2s", cpu_millis: int = 900, **schedule: Any
) -> dict[str, Any]:
    """A CarbonAwareJob whose pod runs for a while on the simulated node."""
    annotations = {
        "testbed.carbonaware.io/run-for": run_for,
        "testbed.carbonaware.io/cpu-millis": str(cpu_millis),
    }
    pod = {
        "metadata": {"annotations": annotations},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "local/busybox:1"}],
        },
    }
    spec: dict[str, Any] = {"zoneName": zone, "jobTemplate": {"spec": {"template": pod}}}
    if schedule:
        spec["schedule"] = schedule
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {"name": name},
        "spec": spec,
    }
