"""`zones` and `zones check`: the grid, and what the keys of its providers may do."""

import click

from carbonaware_operator.cli import times, zones
from carbonaware_operator.cli.options import (
    EXIT_CODES,
    ZONE,
    Target,
    with_cluster,
    with_operator_namespace,
    with_output,
)
from carbonaware_operator.cli.output import DOCUMENTS, print_document, print_note, print_table
from carbonaware_operator.cli.session import run


@click.group("zones", invoke_without_command=True, epilog=EXIT_CODES)
@with_output("table", "wide", "json", "yaml")
@with_cluster
@click.pass_context
def zones_(context: click.Context, /, output: str, **cluster: str | None) -> None:
    """List grid zones and their intensity now.

    A tilde means that the provider has no current value and a fallback is used. NEXT 24 H is the
    forecast from now on, one bar an hour, scaled from the lowest to the highest hour shown.
    """
    if context.invoked_subcommand:
        context.obj = cluster
        return
    found = run(Target(**cluster), lambda kube, _: zones.listed_zones(kube, times.now()))
    if output in DOCUMENTS:
        print_document(zones.document(found), output)
    elif not found:
        print_note("No CarbonZones in the cluster.")
    else:
        wide = output == "wide"
        header = [*zones.HEADER, *(zones.WIDE_HEADER if wide else ())]
        print_table(header, [zones.row(zone, wide=wide) for zone in found])


@zones_.command("check", epilog=EXIT_CODES)
@click.argument("zone", type=ZONE)
@with_output("text", "json", "yaml")
@with_operator_namespace
@with_cluster
@click.pass_obj
def check_zone(
    of_group: dict[str, str | None],
    /,
    zone: str,
    output: str,
    operator_namespace: str,
    **cluster: str | None,
) -> None:
    """Ask the providers of ZONE from this machine, and say what its keys may do.

    Secrets are read with your own rights, and never shown. Exit code 1 when a provider refuses.
    """
    # Providers bring an HTTP client that no other command needs.
    from carbonaware_operator.cli import zone_check as checking

    target = Target(**{name: cluster[name] or of_group[name] for name in cluster})
    checks = run(target, lambda kube, _: checking.check(kube, operator_namespace, zone))
    if output in DOCUMENTS:
        print_document(checking.document(checks), output)
    else:
        for check in checks:
            checking.print_check(check)
    if any(check.error for check in checks):
        raise click.exceptions.Exit(1)
