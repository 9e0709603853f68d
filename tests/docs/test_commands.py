"""Commands of the pages in a shell, page by page, on a cluster with operator, agent and jobs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from math import sin, tau
from pathlib import Path
from shutil import copytree

import pytest

from documents import ROOT, Command, Page, pages
from programs import Stack, a_job, a_zone, condition, eventually, stack
from testbed import wheels
from testbed.cluster import Cluster
from testbed.placement import names

pytestmark = pytest.mark.api

SYSTEM, TEAM = "carbonaware-system", "ml-team"
FOLLOWS = (" -w", " --watch", " -f -l", " port-forward")
FOLLOWED_SECONDS = 3
LONGEST_SECONDS = 150  # a busy machine takes many times the seconds of a quiet one


@pytest.fixture(scope="module")
def scene(
    progress: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A cluster of its own, as pages change what is installed; zones and jobs have their names."""
    name = f"test-docs-{os.getpid()}"
    with Cluster.start(name, node="simulated", report=progress) as cluster:
        cluster.kubectl("create", "namespace", TEAM)
        _install(cluster)
        cluster.kubectl("config", "set-context", "--current", f"--namespace={TEAM}")
        with stack(cluster, SYSTEM, tmp_path_factory.mktemp("docs")) as running:
            agent = running.agent(running.simulated_host()).wait_ready()
            nobody = "--allowed-provider-hosts=nobody.invalid"
            running.operator(f"--agent-url={agent.url}", nobody).wait_ready()
            _set(running)
            yield running


def test_commands_of_every_page_do_what_the_page_shows(scene: Stack, tmp_path: Path):
    """In order, each on what those before it left; exit codes and outputs begin as shown."""
    # At its end it has removed everything, as it shows how.
    in_order = sorted(pages(), key=lambda page: page.name == "docs/operate.md")

    failed = [failure for page in in_order for failure in _failures(page, scene, tmp_path)]

    assert not failed, "\n\n".join(failed)


@pytest.mark.parametrize(
    "page", [p for p in pages() if any(b.is_script for b in p.blocks)], ids=lambda page: page.name
)
def test_a_script_of_a_page_runs_to_its_end(page: Page, cluster: Cluster, tmp_path: Path):
    """All of its blocks in one shell, which stops at the first command that fails."""
    script = "\n".join(block.text for block in page.blocks if block.is_script)
    argv = ["timeout", "--kill-after=5", "300", "bash", "-eo", "pipefail", "-c", script]
    workspace = a_workspace(tmp_path / "here")
    environment = os.environ | {"PATH": programs_path()}
    try:
        done = subprocess.run(
            argv, cwd=workspace, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        for name in re.findall(r"testbed up --name (\S+)", script):
            if name in names():
                Cluster.attach(name).stop()

    assert 0 == done.returncode, done.stdout[-2000:] + done.stderr[-4000:]
    assert [] == [e.name for e in workspace.iterdir() if e.name.startswith(".")], "left behind"


def a_workspace(folder: Path) -> Path:
    """A folder in which a page's commands find what they name."""
    folder.mkdir()
    for entry in ("crds", "examples", "helm"):
        if (ROOT / entry).exists():
            copytree(ROOT / entry, folder / entry)
    (folder / "testbed").symlink_to(ROOT / "testbed")
    (folder / "zone.csv").write_text(a_trace())
    (folder / "token.txt").write_text("key-of-a-provider")
    return folder


def programs_path() -> str:
    """A PATH on which Python, our programs, kubectl and helm are those of the tests."""
    own = (Path(sys.executable).parent, wheels.helm().parent, wheels.kubectl().parent)
    return ":".join([*map(str, own), os.environ["PATH"]])


def a_trace() -> str:
    """200 days of a grid, for the commands that read one from `zone.csv`."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    grams = [300 + 80 * sin(hour / 24 * tau) + 20 * sin(hour / 17) for hour in range(24 * 200)]
    rows = [f"{began + timedelta(hours=hour)},{value:.1f}" for hour, value in enumerate(grams)]
    return "\n".join(["time,lifecycle_g_per_kwh", *rows])


def _set_zones(scene: Stack) -> None:
    """Also after a page that made zones of these names: no provider is asked."""
    without_key = {
        "type": "ElectricityMaps",
        "electricityMaps": {"zone": "PL", "secretRef": {"name": "em", "key": "token"}},
    }
    scene.apply(
        a_zone("de", 312), a_zone("fr", 34), a_zone("pl") | {"spec": {"source": without_key}}
    )


def _set(scene: Stack) -> None:
    """Jobs that wait for each of the reasons that docs/cli.md shows, and one that runs."""
    _set_zones(scene)
    jobs = [
        a_job("train-resnet", "de", run_for="600s", maxGramsPerKWh=180, maxDelay="8h"),
        a_job("embed-corpus", "fr", run_for="600s", preferredGramsPerKWh=180, maxGramsPerKWh=180),
        a_job("nightly-eval", "de", maxDelay="96h", earliestStart="2036-01-01T00:00:00Z"),
        a_job("distill", "pl", maxGramsPerKWh=400, maxDelay="12h", whenSignalMissing="Hold"),
    ]
    scene.cluster.apply([job | {"metadata": job["metadata"] | {"namespace": TEAM}} for job in jobs])
    team = Stack(scene.cluster, TEAM, scene.folder)
    for job in jobs:
        name = job["metadata"]["name"]
        eventually(lambda name=name: condition(team.job(name), "Released"), f"{name} is decided on")


def _install(cluster: Cluster) -> None:
    """As README does, unless it is installed. The simulated node runs its pods in name only."""
    if "carbonaware" not in cluster.helm("list", "-n", SYSTEM, "-q"):
        place = ("carbonaware", str(ROOT / "helm/carbonaware"), "-n", SYSTEM, "--create-namespace")
        cluster.helm("install", *place, "--set", "image.repository=registry.example.com/docs")


def _prepare(page: Page, scene: Stack) -> None:
    """Nothing is installed where a page installs it, and everything for all others."""
    cluster = scene.cluster
    shown = [c.text for block in page.blocks if not block.not_run for c in block.commands]
    if any("helm install carbonaware" in each for each in shown):
        _install(cluster)
        cluster.helm("uninstall", "carbonaware", "-n", SYSTEM)
        cluster.kubectl("delete", "namespace", SYSTEM)
    elif shown:
        _install(cluster)
        lease = ("get", "leases", "-n", SYSTEM, "-o", "name")
        eventually(lambda: cluster.kubectl(*lease), "the operator has the Lease")
        _set_zones(scene)


def _failures(page: Page, scene: Stack, folder: Path) -> Iterator[str]:
    _prepare(page, scene)
    workspace = a_workspace(folder / page.name.replace("/", "-"))
    for block in page.blocks:
        if block.file_name:
            (workspace / block.file_name).write_text(block.text)
        for command in block.commands if not (block.not_run or block.is_script) else ():
            if command.runner == "shell":
                yield from _failure(command, scene.cluster, workspace)


def _failure(command: Command, cluster: Cluster, workspace: Path) -> Iterator[str]:
    follows = any(flag in f"{command.text} " for flag in FOLLOWS)
    path = [
        str(Path(sys.executable).parent),
        str(wheels.helm().parent),
        str(wheels.kubectl().parent),
    ]
    environment = cluster.kubectl_environment() | {"PATH": ":".join([*path, os.environ["PATH"]])}
    limit = FOLLOWED_SECONDS if follows else LONGEST_SECONDS
    argv = ["timeout", str(limit), "bash", "-o", "pipefail", "-c", command.text]
    done = subprocess.run(
        argv, cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    expected = {0, 124} if follows else {1} if _shows_refusal(command) else {0}
    if done.returncode not in expected:
        yield f"{command.where}: {command.text}\nexit code {done.returncode}: {said[-800:]}"
    elif command.output and _head(command.output[0]) != _head(said.partition("\n")[0]):
        yield f"{command.where}: {command.text}\nshows {command.output[0]}\nprints {said[:300]}"


def _shows_refusal(command: Command) -> bool:
    return any(line.lstrip().startswith(("Error", "error", "fails")) for line in command.output)


def _head(line: str) -> list[str]:
    """All words of a table's header, the keys of JSON, and the first word of any other line."""
    if line.startswith("{"):
        return sorted(json.loads(line))
    words = line.split()
    return words if line.isupper() else words[:1]
