"""Console script `kubectl-carbonaware`: which commands there are, each loaded when it is called.

A command imports a client of Kubernetes and the models of our resources, half a second's work:
neither help nor shell completion needs them.
"""

import logging
from importlib import import_module
from typing import Any

import click

from carbonaware_operator.cli.complete import VARIABLE
from carbonaware_operator.cli.options import EXIT_CODES

COMMANDS = {
    "list": ("commands.jobs:list_", "List jobs and what they wait for."),
    "explain": ("commands.explain:explain", "Say why a job is not running."),
    "wait": ("commands.wait:wait", "Wait until a job has started or ended."),
    "release": ("commands.changes:release", "Start a job now, whatever the grid."),
    "hold": (
        "commands.changes:hold",
        "Keep a job from starting until it is resumed.",
    ),
    "suspend": (
        "commands.changes:suspend",
        "Stop a job, started or not, until it is resumed.",
    ),
    "resume": ("commands.changes:resume", "Let a job go on after `hold` or `suspend`."),
    "top": ("commands.top:top", "Show power, energy and emissions now."),
    "zones": ("commands.zones:zones_", "List grid zones and their intensity now."),
    "simulate": ("simulate:simulate_", "Say when the jobs of FILE would start, without a cluster."),
    "forecast": ("commands.forecast:forecast", "Forecast the grid from its own history."),
    "completion": (
        "commands.completion:completion",
        "Print the script that completes commands in a shell.",
    ),
}
"""Name -> module below `cli` and what it is called there; the line in the help."""


class LazyGroup(click.Group):
    """A group whose commands are named without being imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """What help and completion say of a command; it is loaded by who calls it."""
        found = COMMANDS.get(cmd_name)
        return click.Command(cmd_name, short_help=found[1]) if found else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command itself."""
        name, named, rest = super().resolve_command(ctx, args)
        return name, loaded(name) if name and named else named, rest


def loaded(name: str) -> click.Command:
    """Import a command."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    found: Any = import_module(f"carbonaware_operator.cli.{module}")
    command: click.Command = getattr(found, attribute)
    return command


@click.group(
    cls=LazyGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="carbonaware", message="%(version)s")
def cli() -> None:
    """See what carbon-aware jobs wait for and use; start, hold, suspend or resume them."""


def main() -> None:
    """Run the command line; exits with the code that the help describes."""
    # What libraries log would stand beside our one line on stderr.
    logging.disable(logging.CRITICAL)
    cli(prog_name="kubectl carbonaware", complete_var=VARIABLE)


if __name__ == "__main__":
    main()
