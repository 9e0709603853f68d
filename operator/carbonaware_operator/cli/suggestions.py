"""Names for the shell to complete, from the cluster and the kubeconfig.

Whoever presses Tab waits: the cluster has two seconds, and whatever goes wrong means no names.
"""

from collections.abc import Mapping
from shlex import quote
from typing import Any

from click.shell_completion import CompletionItem

PATIENCE_SECONDS = 2.0


def suggested(kind: str, options: Mapping[str, Any], incomplete: str) -> list[CompletionItem]:
    """The names of a kind that begin so: job, zone, namespace or context.

    options: of the command so far, with the cluster and the namespace to look in.
    """
    try:
        # Only a Tab behind JOB and its like needs a client; behind a command's name it does not.
        from carbonaware_operator.cli.names import names_of

        names = names_of(kind, options, PATIENCE_SECONDS)
    except Exception:  # noqa: BLE001 - a shell's prompt is no place for an error
        return []
    # A shell runs what it completed: the name of a context can hold `$(...)` or a line break.
    plain = (name for name in sorted(names) if quote(name) == name)
    return [CompletionItem(name) for name in plain if name.startswith(incomplete)]
