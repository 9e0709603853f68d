"""The command line: python -m testbed deps | up | images | down | status | env | kubectl."""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from testbed import binaries, debian, wheels
from testbed.cluster import Cluster
from testbed.errors import NoSuchClusterError, TestbedError
from testbed.placement import names
from testbed.project_image import project_image

# Where the README has its agent keep its counters; they would be the next try's first values.
_AGENT_STATE = Path(".demo") / "agent"

_name = click.option("--name", default="testbed", show_default=True, help="Name of the cluster.")


@click.group()
def main() -> None:
    """Run a real Kubernetes on this machine, without Docker."""


@main.command()
def deps() -> None:
    """Install the Debian packages that a real node needs."""
    debian.install(click.echo)


@main.command()
@_name
@click.option(
    "--node",
    type=click.Choice(["auto", "real", "simulated", "none"]),
    default="auto",
    show_default=True,
    help="What plays the node; auto takes a real one where the machine allows it.",
)
@click.option("--crds", type=click.Path(exists=True, path_type=Path), help="Manifests to apply.")
def up(name: str, node: Any, crds: Path | None) -> None:
    """Start a cluster; the first time, compile its programs."""
    if name in names() and all(Cluster.attach(name).running().values()):
        click.echo(f"cluster {name} runs already")
        return
    Cluster.start(name, node=node, crds=crds, report=click.echo)
    click.echo(f'use it: eval "$(python -m testbed env --name {name})"')


@main.command()
@_name
def images(name: str) -> None:
    """Build the images of operator and agent and give them to the cluster's node."""
    cluster = Cluster.attach(name)
    for target in ("operator", "agent"):
        image = project_image(target, click.echo)
        cluster.load_image(image)
        click.echo(image.name)


@main.command()
@_name
@click.option("--all", "every", is_flag=True, help="Every cluster of this user.")
def down(name: str, every: bool) -> None:
    """End a cluster and remove every trace of it."""
    for each in names() if every else [name]:
        try:
            Cluster.attach(each).stop()
        except NoSuchClusterError:
            click.echo(f"there is no cluster named {each}")
        else:
            click.echo(f"cluster {each} is gone")
    if _AGENT_STATE.exists():
        click.echo(
            f"{_AGENT_STATE} still has the counters of an agent that was started by hand; "
            f"without them the next one starts at zero: rm -r {_AGENT_STATE}"
        )


@main.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def status(output: str) -> None:
    """Say which clusters run, with which programs and versions."""
    found = [_described(Cluster.attach(name)) for name in names()]
    if output == "json":
        click.echo(json.dumps({"versions": binaries.versions(), "clusters": found}, indent=2))
        return
    pinned = ", ".join(f"{tool} {version}" for tool, version in binaries.versions().items())
    click.echo(f"versions: {pinned}")
    for each in found:
        click.echo(f"\n{each['name']}: {each['node_kind']} node, {each['server']}")
        click.echo(f"  kubeconfig  {each['kubeconfig']}\n  logs        {each['logs']}")
        for component, runs in each["running"].items():
            click.echo(f"  {'runs' if runs else 'DEAD'}        {component}")
    if not found:
        click.echo("no cluster runs")


@main.command()
@_name
def env(name: str) -> None:
    """Print what a shell must export to use the cluster."""
    cluster = Cluster.attach(name)
    click.echo(f"export KUBECONFIG={cluster.kubeconfig}")
    click.echo(f'export PATH={wheels.kubectl().parent}:"$PATH"')


@main.command(
    # kubectl has a --name of its own: ours counts only before kubectl's first word.
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@_name
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(name: str, arguments: tuple[str, ...]) -> None:
    """Run kubectl against the cluster; its exit code is passed on."""
    cluster = Cluster.attach(name)
    sys.stdout.flush()
    program = wheels.kubectl()
    os.execve(  # noqa: S606 - no shell wanted
        program, [program.name, *arguments], {**os.environ, **cluster.kubectl_environment()}
    )


def _described(cluster: Cluster) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "server": cluster.server,
        "kubeconfig": str(cluster.kubeconfig),
        "logs": str(cluster.logs),
        "node_kind": cluster.node_kind,
        "node_name": cluster.node_name,
        "running": cluster.running(),
    }


def _end_politely(number: int, _frame: FrameType | None) -> None:
    """As at Ctrl-C, end the compiler and the half-started cluster too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end_politely)
    try:
        main(prog_name="python -m testbed")
    except TestbedError as known:
        sys.exit("\n".join([f"testbed: {known}", *getattr(known, "__notes__", [])]))
