"""`list`: jobs and what they wait for, once or for as long as somebody looks."""

import asyncio

import click

from carbonaware_operator.cli import jobs, times
from carbonaware_operator.cli.jobs import Listing, Wanted
from carbonaware_operator.cli.options import EXIT_CODES, JOB, Target, with_output, with_target
from carbonaware_operator.cli.output import (
    DOCUMENTS,
    Columns,
    print_document,
    print_note,
    print_rows,
    print_table,
)
from carbonaware_operator.cli.session import run
from carbonaware_operator.cli.watching import changes
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    PODS,
    KubeClient,
    Object,
)

REFRESH_SECONDS = 1.0
"""At most so often is everything read again while `--watch` looks on."""


@click.command("list", epilog=EXIT_CODES)
@click.argument("names", nargs=-1, type=JOB, metavar="[JOB]...")
@click.option("-A", "--all-namespaces", is_flag=True, help="Jobs of every namespace.")
@click.option(
    "-l", "--selector", default="", metavar="LABELS", help="Label selector, as kubectl's."
)
@click.option("-w", "--watch", is_flag=True, help="Go on with a row for each job that changes.")
@with_output("table", "wide", "json", "yaml")
@with_target
def list_(
    names: tuple[str, ...],
    all_namespaces: bool,
    selector: str,
    watch: bool,
    output: str,
    namespace: str | None,
    **cluster: str | None,
) -> None:
    """List jobs and what they wait for.

    NOW/LIMIT is the grid's intensity now against `maxGramsPerKWh`, in gCO2e/kWh; a tilde marks a
    fallback value. LATEST START is when a held job starts, or fails, in any case. A job is Starting
    until one of its pods is ready; REASON then says what they lack.
    """
    if all_namespaces and (namespace or names):
        raise click.UsageError("-A excludes -n and names of jobs")
    if watch and output in DOCUMENTS:
        raise click.UsageError("-w prints rows: it needs -o table or -o wide")
    view = _View(namespaced=all_namespaces, wide=output == "wide")

    async def command(kube: KubeClient, in_effect: str) -> Listing:
        place = None if all_namespaces else in_effect
        wanted = Wanted(place, selector, frozenset(names))
        if watch:
            await view.follow(kube, wanted)
        found = await jobs.listing(kube, wanted, times.now())
        if not found.jobs:
            where = f"namespace {place}" if place else "the cluster"
            print_note(f"No CarbonAwareJobs in {where}.")
        return found

    found = run(Target(namespace=namespace, **cluster), command)
    if output in DOCUMENTS:
        print_document(jobs.document(found.jobs), output)
    elif found.jobs:
        view.print(found)


class _View:
    """The table on the terminal: what it shows, and the columns that later rows stand under."""

    def __init__(self, *, namespaced: bool, wide: bool) -> None:
        self._form = {"namespaced": namespaced, "wide": wide}
        self._columns: Columns | None = None
        self._shown: dict[tuple[str, str], Object] = {}

    def print(self, found: Listing) -> None:
        """Write the row of each job that is new or has changed; the first time below a header."""
        now = times.now()
        # The document holds no distance to now: it changes only when the job or its grid does.
        documents = {(job.namespace, job.name): jobs.item(job) for job in found.jobs}
        rows = [
            jobs.row(job, now, **self._form)
            for job in found.jobs
            if self._shown.get((job.namespace, job.name)) != documents[job.namespace, job.name]
        ]
        if self._columns:
            print_rows(self._columns, rows)
        else:
            if found.pods_hidden:
                print_note("You may not list pods: REASON does not say what they lack.")
            self._columns = print_table(jobs.header(**self._form), rows)
        self._shown = documents

    async def follow(self, kube: KubeClient, wanted: Wanted) -> None:
        """Write the table, then each row that changes, until interrupted."""
        kinds = (CARBON_AWARE_JOBS, PODS, CARBON_ZONES)
        async with changes(kube, kinds, wanted.namespace) as changed:
            while True:
                changed.clear()
                self.print(await jobs.listing(kube, wanted, times.now()))
                await changed.wait()
                await asyncio.sleep(REFRESH_SECONDS)
