"""A real Prometheus (Debian's package) with our rules, on a port and a folder of its own."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from programs import Program, eventually, free_port

RULES = Path(__file__).parent.parent / "helm/carbonaware/rules"


@dataclass(frozen=True, slots=True)
class Target:
    """What is scraped. labels: such as the node that an agent is on."""

    job: str
    address: str
    labels: Mapping[str, str]


class Prometheus:
    """A running Prometheus, asked through its HTTP API."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def ask(self, query: str, **more: str) -> list[dict[str, Any]]:
        """The series that a query answers at this instant. Raises AssertionError: it fails."""
        return list(self._data("query", query=query, **more)["result"])

    def samples(self, query: str) -> int:
        """How many samples Prometheus looks at for a query."""
        stats = self._data("query", query=query, stats="all")["stats"]
        return int(stats["samples"]["totalQueryableSamples"])

    def rules(self) -> list[dict[str, Any]]:
        """The rules that are loaded, with their health."""
        groups = self._data("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _data(self, path: str, **parameters: str) -> dict[str, Any]:
        body = urllib.parse.urlencode(parameters).encode() if parameters else None
        url = f"{self._program.url}/api/v1/{path}"
        try:
            with urllib.request.urlopen(url, body, timeout=30) as answer:
                found: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{parameters}: {refused.read().decode()}") from refused
        return found


@contextmanager
def prometheus(
    folder: Path, targets: Sequence[Target], interval: str = "1s"
) -> Iterator[Prometheus]:
    """Scrape and evaluate at an interval."""
    server = shutil.which("prometheus")
    if server is None:
        pytest.skip("no prometheus: `python -m testbed deps` installs Debian's package")
    folder.mkdir()
    config = folder / "prometheus.yaml"
    config.write_text(yaml.safe_dump(_config(targets, interval)))
    port = free_port()
    argv = [
        server,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    program = Program("prometheus", argv, folder / "log", f"http://127.0.0.1:{port}").start()
    try:
        eventually(lambda: not program.alive or program.get("/-/ready"), "prometheus is ready")
        assert program.alive, program.log.read_text()
        yield Prometheus(program)
    finally:
        program.kill()


def _config(targets: Sequence[Target], interval: str) -> dict[str, Any]:
    jobs = dict.fromkeys(target.job for target in targets)
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yaml"))],
        "scrape_configs": [
            {
                "job_name": job,
                "honor_labels": True,
                "static_configs": [
                    {"targets": [target.address], "labels": dict(target.labels)}
                    for target in targets
                    if target.job == job
                ],
            }
            for job in jobs
        ],
    }
