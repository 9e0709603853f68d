"""The command line against a stand-in of the API server, at one o'clock on 1 March 2026."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from carbonaware_operator.cli import main, times
from stand_in_api import Run, StandInApi

ONE_O_CLOCK = datetime(2026, 3, 1, 13, tzinfo=UTC)


@pytest.fixture
def api() -> Iterator[StandInApi]:
    """An empty API server."""
    server = StandInApi()
    yield server
    server.close()


@pytest.fixture
def kubectl_carbonaware(api: StandInApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the plugin with these arguments; the context's namespace is ml-team."""
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "config", namespace="ml-team")))
    # No stand-in speaks TLS, and to read the machine's certificates is half the time of a command.
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setattr(times, "now", lambda: ONE_O_CLOCK)
    return lambda *arguments: CliRunner().invoke(
        main.cli, arguments, prog_name="kubectl carbonaware"
    )
