"""`top`: power, energy and emissions now, from the agents."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta

import click

from carbonaware_operator.cli import times
from carbonaware_operator.cli import top as live
from carbonaware_operator.cli.agent_pages import Agent, agents_at, agents_in, pages
from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.jobs import Wanted, listed_jobs
from carbonaware_operator.cli.options import (
    ZONE,
    Target,
    duration,
    with_operator_namespace,
    with_output,
    with_target,
)
from carbonaware_operator.cli.outlooks import Grid
from carbonaware_operator.cli.output import DOCUMENTS, print_document, print_note, print_table
from carbonaware_operator.cli.session import run
from carbonaware_operator.cli.top import Line, Looks, SortKey, Subject
from carbonaware_operator.cli.usage import Page, PageError, read_page
from carbonaware_operator.cli.zones import grids
from carbonaware_operator.cluster.kube import KubeClient

EXIT_CODES = """Exit codes: 0 done; 1 no agent answers, or you may not read them; 2 wrong usage;
3 no cluster can be reached."""

_CLEAR = "\x1b[H\x1b[J"


@click.command("top", epilog=EXIT_CODES)
@click.argument("subject", type=click.Choice([s.value for s in Subject]), default="jobs")
@click.option("-A", "--all-namespaces", is_flag=True, help="Jobs of every namespace.")
@click.option("-l", "--selector", default="", metavar="LABELS", help="Label selector of jobs.")
@click.option("-w", "--watch", is_flag=True, help="Go on, with a new table for each interval.")
@click.option(
    "--interval",
    callback=duration,
    metavar="DURATION",
    default="5s",
    show_default=True,
    help="Over how long watts are the mean.",
)
@click.option(
    "--sort-by",
    type=click.Choice([key.value for key in SortKey]),
    default=SortKey.WATTS.value,
    show_default=True,
    help="Largest first; names in their order.",
)
@click.option(
    "--zone",
    type=ZONE,
    metavar="ZONE",
    help="Grid zone of nodes and of what is no job. Default: the only zone there is.",
)
@click.option(
    "--agent-url",
    "agent_urls",
    multiple=True,
    metavar="URL",
    help="Ask the agent at this address, such as http://localhost:9102; may be given more often."
    " Default: all agents, through the API server.",
)
@with_output("table", "wide", "json", "yaml")
@with_operator_namespace
@with_target
def top(
    subject: str,
    all_namespaces: bool,
    selector: str,
    watch: bool,
    interval: timedelta,
    sort_by: str,
    zone: str | None,
    agent_urls: tuple[str, ...],
    output: str,
    operator_namespace: str,
    namespace: str | None,
    **cluster: str | None,
) -> None:
    """Show power, energy and emissions now.

    SUBJECT is jobs (the default), namespaces or nodes. WATTS is the mean of the interval, ENERGY
    the sum so far by the agents that answer: of nodes since the agent's first run, of pods while
    they run and for six hours after. EMISSIONS and AN HOUR are that energy and that power at the
    grid's intensity of now: an estimate. What a job emitted in the hours it ran in is in `list`.

    Agents are read through the API server: it needs `get pods/proxy` in the operator's namespace.
    """
    if all_namespaces and namespace:
        raise click.UsageError("-A and -n exclude each other")
    asked = Subject(subject)
    if watch and output in DOCUMENTS:
        raise click.UsageError("-w prints tables: it needs -o table or -o wide")
    view = _View(asked, SortKey(sort_by), output, namespaced=all_namespaces)

    async def command(kube: KubeClient, in_effect: str) -> None:
        agents = (
            agents_at(agent_urls)
            if agent_urls
            else await agents_in(kube, operator_namespace, print_note)
        )
        everywhere = all_namespaces or (asked is not Subject.JOBS and namespace is None)
        place = None if everywhere else in_effect
        before = await _pages(agents)
        while True:
            await asyncio.sleep(interval.total_seconds())
            now = await _pages(agents)
            looks = await _looks(kube, asked, Wanted(place, selector), zone, before, now)
            view.print(looks, place)
            if not watch:
                return
            before = now

    run(Target(namespace=namespace, **cluster), command)


async def _pages(agents: Sequence[Agent]) -> dict[str, Page]:
    found: dict[str, Page] = {}
    for node, text in (await pages(agents, print_note)).items():
        try:
            found[node] = read_page(text)
        except PageError as error:
            print_note(f"The agent of {node} is left out: {error}")
    return found


async def _looks(
    kube: KubeClient,
    subject: Subject,
    wanted: Wanted,
    zone: str | None,
    before: dict[str, Page],
    now: dict[str, Page],
) -> Looks:
    """Join two looks at agents with zones, and with the jobs that still run or, summed, ran."""
    at = times.now()
    found = await grids(kube, at)
    jobs = [] if subject is Subject.NODES else await listed_jobs(kube, wanted, at)
    if subject is Subject.JOBS:
        jobs = [job for job in jobs if not job.progress.ended]
    return Looks(before, now, jobs, found, _elsewhere(found, zone))


def _elsewhere(found: dict[str, Grid], zone: str | None) -> Grid | None:
    if zone is None:
        return next(iter(found.values())) if len(found) == 1 else None
    if zone not in found:
        raise CommandError(f"there is no CarbonZone {zone}; `kubectl carbonaware zones` shows all")
    return found[zone]


class _View:
    """In which form, and in which order, lines are printed."""

    def __init__(self, subject: Subject, key: SortKey, output: str, *, namespaced: bool) -> None:
        self._subject, self._key, self._output = subject, key, output
        self._shown = False
        namespaced = namespaced and subject is Subject.JOBS
        self._form = {"namespaced": namespaced, "wide": output == "wide"}

    def print(self, looks: Looks, place: str | None) -> None:
        """Write what was used; a later table takes the place of the one before on a terminal.

        place: the one namespace to show; None for all.
        """
        found = live.in_order(live.lines(looks, self._subject), self._key)
        if self._subject is Subject.NAMESPACES and place:
            found = [line for line in found if line.name == place]
        if self._shown:
            sys.stdout.write(_CLEAR if sys.stdout.isatty() else "\n")
        self._shown = True
        if self._output in DOCUMENTS:
            print_document(live.document(found, self._subject), self._output)
        elif found:
            self._table(found)
        else:
            print_note(f"No {self._subject} use energy now.")

    def _table(self, found: list[Line]) -> None:
        rows = [live.row(line, **self._form) for line in found]
        print_table(live.header(self._subject, **self._form), rows)
