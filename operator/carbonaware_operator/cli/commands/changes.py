"""`release`, `hold`, `suspend` and `resume`: what a user asks of a job."""

from datetime import timedelta

import click

from carbonaware_operator.cli import actions
from carbonaware_operator.cli.options import EXIT_CODES, JOB, Target, duration, with_target
from carbonaware_operator.cli.output import print_line, print_note
from carbonaware_operator.cli.session import run
from carbonaware_operator.cli.waiting import Goal, wait_for
from carbonaware_operator.cluster.kube import KubeClient


@click.command(epilog=EXIT_CODES)
@click.argument("job", type=JOB)
@click.option("--wait", is_flag=True, help="Return when the job has been started.")
@click.option(
    "--timeout",
    callback=duration,
    metavar="DURATION",
    default="60s",
    show_default=True,
    help="How long --wait waits before it gives up with exit code 1.",
)
@with_target
def release(
    job: str, wait: bool, timeout: timedelta, namespace: str | None, **cluster: str | None
) -> None:
    """Start JOB now, whatever the grid.

    Only a refusal by the API server can still hold it, such as a full quota.
    """

    async def command(kube: KubeClient, in_effect: str) -> str:
        record = await actions.request_release(kube, in_effect, job)
        title = f"job {record.namespace}/{record.name}"
        if not wait:
            return f"{title}: release requested"
        await wait_for(kube, in_effect, job, Goal.STARTED, timeout, print_note)
        return f"{title}: started"

    print_line(run(Target(namespace=namespace, **cluster), command))


@click.command(epilog=EXIT_CODES)
@click.argument("job", type=JOB)
@with_target
def hold(job: str, namespace: str | None, **cluster: str | None) -> None:
    """Keep JOB from starting until it is resumed.

    Not even its deadline starts it then. Sets `suspend` of a job that has not started, and refuses
    one that has: `hold` never ends a pod, `suspend` does.
    """

    async def command(kube: KubeClient, in_effect: str) -> str:
        changed = await actions.hold(kube, in_effect, job)
        return f"job {in_effect}/{job}: {'on hold' if changed else 'already on hold'}"

    print_line(run(Target(namespace=namespace, **cluster), command))


@click.command(epilog=EXIT_CODES)
@click.argument("job", type=JOB)
@with_target
def suspend(job: str, namespace: str | None, **cluster: str | None) -> None:
    """Stop JOB, started or not, until it is resumed.

    Sets `suspend`. The pods of a started job are ended; what they had not saved is lost. To keep a
    job from starting, and never end a pod, use `hold`.
    """
    _set_suspend(job, True, Target(namespace=namespace, **cluster))


@click.command(epilog=EXIT_CODES)
@click.argument("job", type=JOB)
@with_target
def resume(job: str, namespace: str | None, **cluster: str | None) -> None:
    """Let JOB go on after `hold` or `suspend`.

    A started job goes on at once, in new pods; a job that has not started waits for the grid again.
    """
    _set_suspend(job, False, Target(namespace=namespace, **cluster))


def _set_suspend(job: str, suspend: bool, target: Target) -> None:
    async def command(kube: KubeClient, in_effect: str) -> str:
        changed = await actions.set_suspend(kube, in_effect, job, suspend)
        state = "suspended" if suspend else "resumed" if changed else "not suspended"
        return f"job {in_effect}/{job}: {state if changed else f'already {state}'}"

    print_line(run(target, command))
