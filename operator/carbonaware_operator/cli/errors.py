"""What a command can end with besides success: one line on stderr that says what to do next.

CommandError        exit code 1: not found, or refused
└── UnreachableError    exit code 3: no cluster answers, or no kubeconfig names one

Wrong usage (exit code 2) is click's own.
"""

import click


class CommandError(click.ClickException):
    """The command cannot do what was asked."""

    exit_code = 1


class UnreachableError(CommandError):
    """There is no cluster to ask."""

    exit_code = 3
