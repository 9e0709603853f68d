"""The agent as a process of its own, for tests that start and end it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from agent_builders import FakeApi, eventually, samples


class AgentProcess:
    """A running carbonaware-agent."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "carbonaware_agent", "--listen=127.0.0.1:0", *flags],
                env=os.environ | {"CARBONAWARE_STATE_DIR": str(folder / "state")},
                stderr=log,
            )
        self._folder = folder

    def port(self) -> int:
        """Where it listens, as its log says."""
        found: list[int] = []

        def told() -> bool:
            lines = self._log.read_text().splitlines()
            events = [json.loads(line) for line in lines if line.endswith("}")]
            found[:] = [event["port"] for event in events if event["event"] == "measuring"]
            return bool(found) or self._process.poll() is not None

        assert eventually(told, seconds=20)
        assert found, self._log.read_text()
        return found[-1]

    def get(self, path: str = "/metrics") -> dict[str, str]:
        """A page, once there is one."""
        url = f"http://127.0.0.1:{self.port()}{path}"
        end = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return samples(answer.read().decode())
            except (urllib.error.URLError, ConnectionError):
                assert time.monotonic() < end
                time.sleep(0.01)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit code."""
        self._process.send_signal(number)
        code = self._process.wait(timeout=20)
        self._log.rename(self._folder / f"log.{time.monotonic_ns()}")
        return code


def a_kubeconfig(folder: Path, api: FakeApi) -> Path:
    file = folder / "kubeconfig"
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    file.write_text(json.dumps(document))
    return file
