"""Our operator and agent, and the simulated host, as processes of this machine.

Each runs in a session of its own, so that Ctrl-C reaches the demo alone, and carries the marker of
the demo's folder, by which what a killed demo left running is found.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import requests

from testbed import process
from testbed.addresses import free_port
from testbed.demo.venue import Venue
from testbed.errors import ComponentFailedError
from testbed.process import ProcessId

PERIOD_SECONDS = 5
"""Accounting period: what an hour is in production."""

_READY_SECONDS = 60
_TAIL_LINES = 12
_ROOT = Path(__file__).parent.parent.parent
_BIN = Path(sys.executable).parent


@dataclass(slots=True)
class Programs:
    """The programs of one demo.

    folder: for their logs, and what they keep while they run.
    """

    folder: Path
    started: dict[str, ProcessId] = field(default_factory=dict)

    def start(self, venue: Venue) -> None:
        """Start agent and operator, and what they need, and wait until both are ready.

        Raises ComponentFailedError: one died or did not become ready.
        """
        (self.state / "agent").mkdir(parents=True, exist_ok=True)
        agent, operator = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self._start("agent", self._agent(venue, self._host_root(venue), agent))
        self._start("operator", _operator(venue, operator, agent))
        for name, address in (("agent", agent), ("operator", operator)):
            self._wait_ready(name, address)

    @property
    def state(self) -> Path:
        """The folder of what the programs keep."""
        return self.folder / "state"

    def check(self) -> None:
        """Raises ComponentFailedError: a program has died."""
        for name, started in self.started.items():
            if not process.is_alive(started):
                raise ComponentFailedError(f"the {name} died; {self._tail(name)}")

    def stop(self) -> None:
        """End all of them, newest first, also those of a killed demo. Idempotent."""
        process.stop_all(reversed(self.started.values()))
        process.stop_all(process.marked_with(self.folder), grace_seconds=2.0)
        self.started.clear()
        shutil.rmtree(self.state, ignore_errors=True)

    def _host_root(self, venue: Venue) -> Path:
        if venue.scene.node_kind == "real":
            return Path("/")
        root = self.state / "host"
        module = [sys.executable, "-m", "testbed.simulated_host"]
        self._start(
            "simulated-host",
            [
                *module,
                f"--kubeconfig={venue.kubeconfig}",
                f"--node={venue.scene.node_name}",
                f"--root={root}",
            ],
        )
        self._wait_for("simulated-host", (root / "proc" / "stat").exists)
        return root

    def _agent(self, venue: Venue, host_root: Path, address: str) -> list[str]:
        return [
            str(_BIN / "carbonaware-agent"),
            f"--kubeconfig={venue.kubeconfig}",
            f"--node-name={venue.scene.node_name}",
            f"--host-root={host_root}",
            f"--state-dir={self.state / 'agent'}",
            f"--listen={address}",
            "--tick-seconds=1",
            f"--accounting-period-seconds={PERIOD_SECONDS}",
        ]

    def _start(self, name: str, argv: list[str]) -> None:
        # Clients keep the cluster's certificate in temporary files, and a killed one leaves them.
        variables = {"HOME": os.environ.get("HOME", "/"), "TMPDIR": str(self.state)}
        if "testbed.simulated_host" in argv:  # the one package that is not installed
            variables["PYTHONPATH"] = str(_ROOT)
        try:
            self.started[name] = process.start(
                argv, log=self._log(name), marker=self.folder, environment=variables
            )
        except OSError as refused:
            raise ComponentFailedError(f"cannot start {argv[0]}: {refused}") from refused

    def _wait_ready(self, name: str, address: str) -> None:
        session = requests.Session()
        # A proxy of the environment must not be asked for loopback addresses.
        session.trust_env = False

        def answers() -> bool:
            try:
                return session.get(f"http://{address}/readyz", timeout=2).ok
            except requests.RequestException:
                return False

        self._wait_for(name, answers)

    def _wait_for(self, name: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise ComponentFailedError(
                    f"the {name} is not ready after {_READY_SECONDS} s; {self._tail(name)}"
                )
            time.sleep(0.1)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"the end of {self._log(name)}:", *(f"  {line[:300]}" for line in lines)])


def _operator(venue: Venue, address: str, agent: str) -> list[str]:
    return [
        str(_BIN / "carbonaware-operator"),
        f"--kubeconfig={venue.kubeconfig}",
        f"--namespace={venue.scene.system_namespace}",
        f"--listen={address}",
        f"--agent-url=http://{agent}",
        f"--accounting-period-seconds={PERIOD_SECONDS}",
        "--accounting-interval-seconds=2",
    ]
