"""Console script `kubectl_complete-carbonaware`: what kubectl's own completion asks plugins.

kubectl calls it with the words so far, the last one unfinished, and wants what Cobra's programs
print: a value a line, its help behind a tab, then a directive.
Source: https://github.com/spf13/cobra/blob/main/site/content/completions/_index.md
"""

import logging
import sys
from collections.abc import Sequence

from click.shell_completion import ShellComplete

PROGRAM = "kubectl-carbonaware"
VARIABLE = "_KUBECTL_CARBONAWARE_COMPLETE"
"""What click's scripts set when they ask the program itself."""

_FILES, _NO_FILES = 0, 4  # Cobra's ShellCompDirectiveDefault and ShellCompDirectiveNoFileComp


def answer(words: Sequence[str]) -> list[str]:
    """The lines for these words."""
    from carbonaware_operator.cli.main import cli

    *before, incomplete = words or [""]
    found = ShellComplete(cli, {}, PROGRAM, VARIABLE).get_completions(list(before), incomplete)
    lines = [
        f"{item.value}\t{item.help}" if item.help else str(item.value)
        for item in found
        if item.type == "plain"
    ]
    files = any(item.type in ("file", "dir") for item in found)
    return [*lines, f":{_FILES if files else _NO_FILES}"]


def main() -> None:
    """Answer kubectl."""
    logging.disable(logging.CRITICAL)
    sys.stdout.write("\n".join(answer(sys.argv[1:])) + "\n")
