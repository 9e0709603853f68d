"""Console script `kubectl-carbonaware`: the commands, their options and arguments."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from carbonaware_operator.cli import actions, jobs, zones
from carbonaware_operator.cli import explain as explaining
from carbonaware_operator.cli import zone_check as checking
from carbonaware_operator.cli.account import print_explanation
from carbonaware_operator.cli.forecast import forecast
from carbonaware_operator.cli.output import print_document, print_line, print_note, print_table
from carbonaware_operator.cli.session import Target, run
from carbonaware_operator.cli.simulate import simulate_
from carbonaware_operator.cli.zone_check import print_check
from carbonaware_operator.cluster.kube import KubeClient
from carbonaware_operator.quantities.durations import DurationError, parse_duration
from carbonaware_operator.quantities.instants import Instant

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_CODES = """Exit codes: 0 done; 1 not found or refused; 2 wrong usage; 3 no cluster can be
reached. Colour is left out when stdout is no terminal or NO_COLOR is set."""


def _duration(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    try:
        return parse_duration(text)
    except DurationError as error:
        raise click.BadParameter(str(error)) from error


def _with_target(command: Command) -> Command:
    """Add the options that say which cluster and which namespace."""
    return _with_cluster(
        click.option(
            "-n", "--namespace", help="Namespace of the job. Default: that of the context."
        )(command)
    )


def _with_cluster(command: Command) -> Command:
    for option in (
        click.option("--context", help="Context of the kubeconfig. Default: the current one."),
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False),
            help="Kubeconfig file. Default: $KUBECONFIG, then ~/.kube/config.",
        ),
    ):
        command = option(command)
    return command


def _output(*forms: str) -> Callable[[Command], Command]:
    return click.option(
        "-o",
        "--output",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="Form of the output.",
    )


def _now() -> Instant:
    return datetime.now(UTC)


@click.group(
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="carbonaware", message="%(version)s")
def cli() -> None:
    """See what carbon-aware jobs wait for, and start, suspend or resume them."""


def main() -> None:
    """Run the command line; exits with the code that the help describes."""
    # What libraries log would stand beside our one line on stderr.
    logging.disable(logging.CRITICAL)
    cli(prog_name="kubectl carbonaware")


@cli.command("list", epilog=EXIT_CODES)
@click.option("-A", "--all-namespaces", is_flag=True, help="Jobs of every namespace.")
@_output("table", "wide", "json", "yaml")
@_with_target
def list_(all_namespaces: bool, output: str, namespace: str | None, **cluster: str | None) -> None:
    """List jobs and what they wait for.

    NOW/LIMIT is the grid's intensity now against `maxGramsPerKWh`, in gCO2e/kWh; a tilde marks a
    fallback value. START is when a held job starts at the latest, or when it was started.
    """
    if all_namespaces and namespace:
        raise click.UsageError("-A and -n exclude each other")

    async def command(kube: KubeClient, in_effect: str) -> tuple[list[jobs.ListedJob], str]:
        namespace = None if all_namespaces else in_effect
        return await jobs.listed_jobs(kube, namespace, _now()), in_effect

    found, in_effect = run(Target(namespace=namespace, **cluster), command)
    if output in ("json", "yaml"):
        print_document(jobs.document(found), output)
    elif not found:
        place = "the cluster" if all_namespaces else f"namespace {in_effect}"
        print_note(f"No CarbonAwareJobs in {place}.")
    else:
        _print_jobs(found, namespaced=all_namespaces, wide=output == "wide")


def _print_jobs(found: list[jobs.ListedJob], *, namespaced: bool, wide: bool) -> None:
    header = [
        *(["NAMESPACE"] if namespaced else []),
        *jobs.HEADER,
        *(jobs.WIDE_HEADER if wide else []),
    ]
    now = _now()
    print_table(header, [jobs.row(job, now, namespaced=namespaced, wide=wide) for job in found])


@cli.command(epilog=EXIT_CODES)
@click.argument("job")
@_output("text", "json", "yaml")
@_with_target
def explain(job: str, output: str, namespace: str | None, **cluster: str | None) -> None:
    """Say why JOB is not running.

    Decides on it as the operator does, and shows each rule, until when it is held, and what would
    start it now.
    """
    explanation = run(
        Target(namespace=namespace, **cluster),
        lambda kube, in_effect: explaining.explain(kube, in_effect, job, _now()),
    )
    if output == "text":
        print_explanation(explanation)
    else:
        print_document(explaining.document(explanation), output)


@cli.command(epilog=EXIT_CODES)
@click.argument("job")
@click.option("--wait", is_flag=True, help="Return when the job has been started.")
@click.option(
    "--timeout",
    callback=_duration,
    metavar="DURATION",
    default="60s",
    show_default=True,
    help="How long --wait waits before it gives up with exit code 1.",
)
@_with_target
def release(
    job: str, wait: bool, timeout: timedelta, namespace: str | None, **cluster: str | None
) -> None:
    """Start JOB now, whatever the grid.

    Only a refusal by the API server can still hold it, such as a full quota.
    """

    async def command(kube: KubeClient, in_effect: str) -> str:
        record = await actions.request_release(kube, in_effect, job)
        if not wait:
            return f"job {record.namespace}/{record.name}: release requested"
        record = await actions.wait_released(kube, in_effect, job, timeout)
        return f"job {record.namespace}/{record.name}: started"

    print_line(run(Target(namespace=namespace, **cluster), command))


@cli.command(epilog=EXIT_CODES)
@click.argument("job")
@_with_target
def suspend(job: str, namespace: str | None, **cluster: str | None) -> None:
    """Hold JOB until it is resumed.

    A running job is stopped: its pods are ended.
    """
    _set_suspend(job, True, Target(namespace=namespace, **cluster))


@cli.command(epilog=EXIT_CODES)
@click.argument("job")
@_with_target
def resume(job: str, namespace: str | None, **cluster: str | None) -> None:
    """Lift the suspension of JOB.

    A started job goes on at once; a held one waits for the grid again.
    """
    _set_suspend(job, False, Target(namespace=namespace, **cluster))


def _set_suspend(job: str, suspend: bool, target: Target) -> None:
    async def command(kube: KubeClient, in_effect: str) -> str:
        changed = await actions.set_suspend(kube, in_effect, job, suspend)
        state = "suspended" if suspend else "resumed" if changed else "not suspended"
        return f"job {in_effect}/{job}: {state if changed else f'already {state}'}"

    print_line(run(target, command))


@cli.group("zones", invoke_without_command=True, epilog=EXIT_CODES)
@_output("table", "json", "yaml")
@_with_cluster
@click.pass_context
def zones_(context: click.Context, /, output: str, **cluster: str | None) -> None:
    """List grid zones and their intensity now.

    A tilde marks the fallback value that is decided on while the source has none that is fresh.
    NEXT 24 H is the forecast from now on, an hour for each bar, lowest to highest.
    """
    if context.invoked_subcommand:
        context.obj = cluster
        return
    found = run(Target(**cluster), lambda kube, _: zones.listed_zones(kube, _now()))
    if output != "table":
        print_document(zones.document(found), output)
    elif not found:
        print_note("No CarbonZones in the cluster.")
    else:
        print_table(zones.HEADER, [zones.row(zone) for zone in found])


@zones_.command("check", epilog=EXIT_CODES)
@click.argument("zone")
@click.option(
    "--operator-namespace",
    default="carbonaware-system",
    show_default=True,
    help="Namespace of the operator, where the Secrets and ConfigMaps of zones are.",
)
@_with_cluster
@click.pass_obj
def check_zone(
    of_group: dict[str, str | None], /, zone: str, operator_namespace: str, **cluster: str | None
) -> None:
    """Ask the providers of ZONE from this machine, and say what its keys may do.

    Secrets are read with your own rights, and never shown. Exit code 1 when a provider refuses.
    """
    target = Target(**{name: cluster[name] or of_group[name] for name in cluster})
    checks = run(target, lambda kube, _: checking.check(kube, operator_namespace, zone))
    for check in checks:
        print_check(check)
    if any(check.error for check in checks):
        raise click.exceptions.Exit(1)


cli.add_command(forecast)
cli.add_command(simulate_)


if __name__ == "__main__":
    main()
