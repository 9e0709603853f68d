"""`explain`: why a job is not running."""

import click

from carbonaware_operator.cli import explain as explaining
from carbonaware_operator.cli import times
from carbonaware_operator.cli.account import print_explanation
from carbonaware_operator.cli.options import (
    EXIT_CODES,
    JOB,
    Target,
    with_operator_namespace,
    with_output,
    with_target,
)
from carbonaware_operator.cli.output import print_document
from carbonaware_operator.cli.session import run


@click.command(epilog=EXIT_CODES)
@click.argument("job", type=JOB)
@with_output("text", "json", "yaml")
@with_operator_namespace
@with_target
def explain(
    job: str,
    output: str,
    operator_namespace: str,
    namespace: str | None,
    **cluster: str | None,
) -> None:
    """Say why JOB is not running.

    Runs the operator's own decision code on the current state of the cluster. Shows each rule,
    until when the job is held and what would start it now; of a started job, what its pods lack.
    """
    explanation = run(
        Target(namespace=namespace, **cluster),
        lambda kube, in_effect: explaining.explain(
            kube, operator_namespace, in_effect, job, times.now()
        ),
    )
    if output == "text":
        print_explanation(explanation, operator_namespace)
    else:
        print_document(explaining.document(explanation), output)
