"""`wait`: return when a job is as far as asked."""

from datetime import timedelta

import click

from carbonaware_operator.cli.options import JOB, Target, duration, with_target
from carbonaware_operator.cli.output import print_line, print_note
from carbonaware_operator.cli.session import run
from carbonaware_operator.cli.waiting import Goal, wait_for
from carbonaware_operator.cluster.kube import KubeClient

EXIT_CODES = """Exit codes: 0 the job is as far as asked; 1 it is not in time, it ended otherwise,
was deleted or is not there; 2 wrong usage; 3 no cluster can be reached."""


@click.command(epilog=EXIT_CODES)
@click.argument("job", type=JOB)
@click.option(
    "--for",
    "goal",
    type=click.Choice([goal.value for goal in Goal]),
    default=Goal.STARTED.value,
    show_default=True,
    help="How far the job is to come; ended: complete or failed.",
)
@click.option(
    "--timeout",
    callback=lambda context, option, text: duration(context, option, text) if text else None,
    metavar="DURATION",
    help="Give up after so long. Default: never.",
)
@with_target
def wait(
    job: str,
    goal: str,
    timeout: timedelta | None,
    namespace: str | None,
    **cluster: str | None,
) -> None:
    """Wait until JOB has started or ended.

    Each state on the way is a line on stderr. Returns at once when the job is that far already, and
    as soon as it can no longer come so far.
    """

    async def command(kube: KubeClient, in_effect: str) -> str:
        await wait_for(kube, in_effect, job, Goal(goal), timeout, print_note)
        return f"job {in_effect}/{job}: {goal}"

    print_line(run(Target(namespace=namespace, **cluster), command))
