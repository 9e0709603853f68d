"""Options that commands share, and what they say: which cluster, as whom, in which namespace."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import click

from carbonaware_operator.cli.suggestions import suggested
from carbonaware_operator.quantities.durations import DurationError, parse_duration

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_CODES = """Exit codes: 0 done; 1 not found or refused; 2 wrong usage; 3 no cluster can be
reached; 130 interrupted. Colour is left out when stdout is no terminal or NO_COLOR is set."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster, as whom, and in which namespace."""

    kubeconfig: str | None = None
    context: str | None = None
    user: str | None = None
    namespace: str | None = None


# What may be in names of Kubernetes; anything else would be another path of its API.
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


class ObjectName(click.ParamType[str]):
    """The name of an object, alone or behind its kind as kubectl writes it: `caj/train`."""

    def __init__(self, kind: str, *prefixes: str) -> None:
        self.name = kind
        self._prefixes = prefixes

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name alone; a kind that is none of ours is wrong usage."""
        kind, slash, name = value.rpartition("/")
        if (slash and kind.lower().partition(".")[0] not in self._prefixes) or not name:
            self.fail(f"must be NAME or {self._prefixes[0]}/NAME, not {value}", param, ctx)
        if not _NAME.fullmatch(name):
            self.fail(f"{name} cannot be the name of an object in Kubernetes", param, ctx)
        return name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """The names that are in the cluster."""
        return suggested(self.name, ctx.params, incomplete)


JOB = ObjectName("job", "caj", "carbonawarejob", "carbonawarejobs", "job")
ZONE = ObjectName("zone", "czone", "carbonzone", "carbonzones", "zone")


class _Namespace(ObjectName):
    """The name of a namespace, alone."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if it can be one."""
        if not _NAME.fullmatch(value):
            self.fail(f"{value} cannot be the name of a namespace", param, ctx)
        return value


_NAMESPACE = _Namespace("namespace")


class _Suggested(click.ParamType[str]):
    """A text that the shell can complete with names of a kind."""

    def __init__(self, kind: str) -> None:
        self.name = kind

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """The names that are there."""
        return suggested(self.name, ctx.params, incomplete)


def duration(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    """Callback of an option: a duration in Kubernetes' notation."""
    try:
        return parse_duration(text)
    except DurationError as error:
        raise click.BadParameter(str(error)) from error


def with_target(command: Command) -> Command:
    """Add the options that say which cluster and which namespace."""
    return with_cluster(
        click.option(
            "-n",
            "--namespace",
            type=_NAMESPACE,
            help="Namespace of the job. Default: that of the context.",
        )(command)
    )


def with_cluster(command: Command) -> Command:
    """Add the options that say which cluster, and as whom it is asked."""
    for option in (
        click.option(
            "--as", "user", metavar="USER", help="Act as this user, if you may impersonate."
        ),
        click.option(
            "--context",
            type=_Suggested("context"),
            help="Context of the kubeconfig. Default: the current one.",
        ),
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False),
            help="Kubeconfig file. Default: $KUBECONFIG, then ~/.kube/config.",
        ),
    ):
        command = option(command)
    return command


def with_output(*forms: str) -> Callable[[Command], Command]:
    """Add the option that says in which form to print; the first form is the default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="Form of the output.",
    )


with_operator_namespace = click.option(
    "--operator-namespace",
    type=_NAMESPACE,
    default="carbonaware-system",
    show_default=True,
    help="Namespace where carbonaware is installed.",
)
"""Adds the option that says where the operator, its agents and its Secrets are."""
