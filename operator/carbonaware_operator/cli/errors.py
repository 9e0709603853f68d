"""What a command can end with besides success: one line on stderr that says what to do next.

CommandError        exit code 1: not found, or refused
└── UnreachableError    exit code 3: no cluster answers, or no kubeconfig names one

Wrong usage (exit code 2) is click's own.
"""

import click

from carbonaware_operator.cluster.kube import ApiError


class CommandError(click.ClickException):
    """The command cannot do what was asked."""

    exit_code = 1


class UnreachableError(CommandError):
    """There is no cluster to ask."""

    exit_code = 3


def of_api(error: ApiError) -> CommandError:
    """What an error of the API server means to a user."""
    message = " ".join(error.message.split())
    if error.status == 0:
        return UnreachableError(f"{message}; check --kubeconfig and --context")
    if error.status == 401:
        return CommandError("the cluster does not know you: log in to it again")
    if error.status == 403:
        return CommandError(f"{message}; ask the cluster's administrator for this right")
    if error.status == 404:
        return CommandError("the cluster does not know CarbonAwareJobs: install carbonaware there")
    return CommandError(message)
