"""Operator and agent started wrongly: one line that names flag and value, and no traceback."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from carbonaware_agent import settings as agent_settings
from carbonaware_agent import wiring
from carbonaware_agent.workloads.api import ApiUnconfiguredError, from_kubeconfig
from carbonaware_operator import settings as operator_settings
from carbonaware_operator.engine import lifecycle
from carbonaware_operator.engine.lifecycle import CannotStartError
from programs import console_script

FILES = {
    "missing": None,
    "empty": "",
    "broken": "a: [",
    "a list": "[]",
    "of another shape": "{}",
    "without its context": "current-context: x\ncontexts: []\nclusters: []\nusers: []\n",
    "of bytes": "\x00",
}
USABLE = """
current-context: x
contexts: [{name: x, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {}}]
"""


@pytest.fixture
def busy() -> Iterator[str]:
    """An address that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(params=FILES.values(), ids=FILES)
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A kubeconfig that nobody can use."""
    path = tmp_path / "kubeconfig"
    if request.param is not None:
        path.write_text(request.param)
    return path


@pytest.mark.parametrize("program", ["carbonaware-operator", "carbonaware-agent"])
def test_ends_with_one_line_and_no_traceback(program: str, tmp_path: Path):
    """Whoever started it by hand, or reads the log of a pod, sees what to change."""
    missing = tmp_path / "none"
    flags = [f"--state-dir={tmp_path}"] if program == "carbonaware-agent" else []

    done = subprocess.run(
        [console_script(program), f"--kubeconfig={missing}", "--listen=127.0.0.1:0", *flags],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ,
    )

    assert 1 == done.returncode
    assert "" == done.stdout
    (line,) = done.stderr.splitlines()
    assert f"--kubeconfig {missing}" in line


async def test_the_operator_needs_a_kubeconfig_that_can_be_read(unusable: Path):
    """Each fault of the file is told as one sentence with its name."""
    given = operator_settings.parse([f"--kubeconfig={unusable}", "--listen=127.0.0.1:0"])

    with pytest.raises(CannotStartError, match="--kubeconfig") as caught:
        await lifecycle.run(given)

    assert unusable.name in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


def test_the_agent_needs_a_kubeconfig_that_can_be_read(unusable: Path):
    """It would measure without names of pods otherwise, and nobody would know why."""
    with pytest.raises(ApiUnconfiguredError, match=f"--kubeconfig {unusable}") as caught:
        from_kubeconfig(unusable)

    assert 1 == len(str(caught.value).splitlines())


async def test_the_operator_names_the_address_that_is_busy(busy: str, tmp_path: Path):
    """Of two operators on one machine the second says which port it cannot have."""
    (tmp_path / "usable").write_text(USABLE)
    given = operator_settings.parse([f"--kubeconfig={tmp_path}/usable", f"--listen={busy}"])

    with pytest.raises(CannotStartError, match=f"--listen {busy} cannot be used: "):
        await lifecycle.run(given)


def test_the_agent_names_the_address_that_is_busy(busy: str, tmp_path: Path):
    """As the operator does."""
    given = agent_settings.parse([f"--state-dir={tmp_path}", f"--listen={busy}"], {})

    with pytest.raises(OSError, match=f"--listen {busy} cannot be used: "):
        wiring.run(given, threading.Event())


@pytest.mark.parametrize(
    "flag",
    [
        "--agent-url=foo",
        "--agent-url=ftp://10.0.0.5",
        "--agent-url=http://10.0.0.5:port",
        "--listen=8080",
        "--listen=127.0.0.1:99999",
        "--allowed-provider-hosts=https://provider.example",
        "--allow-local-provider-addresses=perhaps",
    ],
)
def test_a_value_that_cannot_be_right_ends_the_operator_with_2(
    flag: str, capsys: pytest.CaptureFixture[str]
):
    """Before anything is opened or asked; the last line names flag and value."""
    with pytest.raises(SystemExit) as ended:
        operator_settings.parse([flag])

    name, _, value = flag.partition("=")
    last = capsys.readouterr().err.splitlines()[-1]
    assert 2 == ended.value.code
    assert name in last
    assert value in last


@pytest.mark.parametrize("value", ["9102", "127.0.0.1:99999"])
def test_an_address_that_is_none_ends_the_agent_with_2(
    value: str, capsys: pytest.CaptureFixture[str]
):
    """As it ends the operator."""
    with pytest.raises(SystemExit) as ended:
        agent_settings.parse([f"--listen={value}"], {})

    last = capsys.readouterr().err.splitlines()[-1]
    assert 2 == ended.value.code
    assert "--listen" in last
    assert value in last


def test_a_variable_is_checked_like_its_flag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """It is named where the value stands."""
    monkeypatch.setenv("CARBONAWARE_AGENT_URL", "http://10.0.0.5:9102 foo")

    with pytest.raises(SystemExit):
        operator_settings.parse([])

    said = capsys.readouterr().err.splitlines()[-1]
    assert "CARBONAWARE_AGENT_URL: must be http(s)://HOST[:PORT], not foo" in said
