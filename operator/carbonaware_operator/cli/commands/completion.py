"""`completion`: the script that completes commands and names in a shell."""

import click
from click.shell_completion import get_completion_class

from carbonaware_operator.cli.complete import PROGRAM, VARIABLE

EXIT_CODES = "Exit codes: 0 done; 2 wrong usage."


@click.command(epilog=EXIT_CODES)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print the script that completes commands in a shell.

    \b
    source <(kubectl-carbonaware completion bash)          in ~/.bashrc
    source <(kubectl-carbonaware completion zsh)           in ~/.zshrc
    kubectl-carbonaware completion fish | source           in ~/.config/fish/config.fish

    This is for `kubectl-carbonaware`. For `kubectl carbonaware` load kubectl's own completion: it
    asks the program kubectl_complete-carbonaware, which is installed beside this one.
    """
    found = get_completion_class(shell)
    if found is None:  # every shell of the choice is one of click's own
        raise click.UsageError(f"{shell} cannot be completed")
    click.echo(found(context.find_root().command, {}, PROGRAM, VARIABLE).source())
