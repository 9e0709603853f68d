"""`simulate`: when jobs would start, and what that would save. Needs no cluster and no network."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.manifests import GivenJob, read_manifests
from carbonaware_operator.cli.options import with_output
from carbonaware_operator.cli.output import MISSING, print_document, print_line, print_table
from carbonaware_operator.cli.played_grids import PlayedGrid, played_grid
from carbonaware_operator.cli.zones import sparkline
from carbonaware_operator.planning.decision import Fail, Hold, Release
from carbonaware_operator.planning.outlook import Signal
from carbonaware_operator.planning.progress import baseline_start, release_message
from carbonaware_operator.planning.simulate import (
    Step,
    Verdict,
    View,
    mean_intensity,
    simulate,
)
from carbonaware_operator.quantities.durations import parse_duration
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, grams
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant
from carbonaware_operator.quantities.spans import span

EXIT_CODES = "Exit codes: 0 done; 1 a file cannot be read, or names no job; 2 wrong usage."

ZONE_HEADER = ("ZONE", "gCO2e/kWh", "FIRST 24 H", "VALUES")
HEADER = ("JOB", "HELD BY", "STARTS", "REASON", "WAITS", "AT ONCE", "THEN", "SAVED")


@dataclass(frozen=True, slots=True)
class Simulated:
    """What would become of one job.

    duration: how long it is expected to run; at_once, then: the mean intensity of a run that
    begins when nothing but its windows holds it, and of the one that would be.
    """

    job: GivenJob
    zone: str | None
    steps: tuple[Step, ...]
    duration: timedelta | None
    baseline: Instant | None
    at_once: MilligramsPerKWh | None
    then: MilligramsPerKWh | None

    @property
    def last(self) -> Step:
        """How the simulation ends."""
        return self.steps[-1]

    @property
    def started(self) -> Instant | None:
        """When it would start; None if it never does."""
        return self.last.time if isinstance(self.last.decision, Release) else None

    @property
    def saved_percent(self) -> int | None:
        """Emissions avoided by the same energy; known only of a run of known duration."""
        if not self.duration or self.then is None or not self.at_once:
            return None
        return round(100 * (self.at_once - self.then) / self.at_once)


def _instant(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Instant:
    try:
        return parse_instant(text) if text else _now()
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _now() -> Instant:
    return datetime.now(UTC).replace(microsecond=0)


@click.command("simulate", epilog=EXIT_CODES)
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="FILE",
    help="File or folder of manifests, - for stdin; may be given several times.",
)
@click.option(
    "--zone",
    metavar="NAME",
    help="Play the grid of this zone for every job, such as de or us-cal-ciso. Default: `zoneName`"
    " of each job.",
)
@click.option(
    "--start",
    callback=_instant,
    metavar="TIME",
    help="When the jobs are created (RFC 3339). Default: now.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    default=7,
    show_default=True,
    help="How far to look ahead.",
)
@with_output("table", "json", "yaml")
def simulate_(
    files: tuple[str, ...], zone: str | None, start: Instant, days: int, output: str
) -> None:
    """Say when the jobs of FILE would start, without a cluster.

    Each job is decided on as the operator does. The grid is the recording or the fixed value of its
    CarbonZone in the files; of any other zone, the published typical day. AT ONCE and THEN are the
    grid in gCO2e/kWh, the mean over `expectedDuration` where the job has one.
    """
    manifests = read_manifests(files, start)
    if not manifests.jobs:
        raise CommandError(f"no CarbonAwareJob in {', '.join(files)}")
    wanted = {zone or job.record.zone_name for job in manifests.jobs} - {None}
    found = {name: played_grid(name, manifests, start) for name in wanted if name}
    if zone and found[zone] is None:
        raise CommandError(f"there is no CarbonZone {zone} in the files, and no built-in zone")
    grids = {name: grid for name, grid in found.items() if grid}
    end = start + timedelta(days=days)
    jobs = [
        simulated(job, zone or job.record.zone_name, grids, start, end) for job in manifests.jobs
    ]
    if output == "table":
        _print(jobs, grids, start)
    else:
        print_document(document(jobs, grids, start), output)


def simulated(
    job: GivenJob,
    zone: str | None,
    grids: dict[str, PlayedGrid],
    start: Instant,
    end: Instant,
) -> Simulated:
    """Step one job through its grid."""
    played = grids.get(zone or "")
    view = played.view if played else _no_grid
    planned = job.record.planned()
    planned = replace(planned, resolved=replace(planned.resolved, zone_name=zone))
    steps = simulate(planned, view, start, end)
    given = job.spec.schedule.expected_duration if job.spec.schedule else None
    duration = parse_duration(given) if given else None
    baseline = None if planned.suspend else baseline_start(planned.schedule, start)
    last = steps[-1]
    started = last.time if isinstance(last.decision, Release) else None
    length = duration or timedelta()
    return Simulated(
        job=job,
        zone=zone,
        steps=steps,
        duration=duration,
        baseline=baseline,
        at_once=mean_intensity(view, baseline, length) if baseline else None,
        then=mean_intensity(view, started, length) if started else None,
    )


def _no_grid(_now: Instant) -> View:
    return View(None, None)


def _print(jobs: list[Simulated], grids: dict[str, PlayedGrid], start: Instant) -> None:
    print_line(f"Created at {format_instant(start)}; nothing is run.")
    print_line()
    if grids:
        print_table(ZONE_HEADER, [_zone_row(grid, start) for _, grid in sorted(grids.items())])
        print_line()
    print_table(HEADER, [row(job, start) for job in jobs])


def _zone_row(grid: PlayedGrid, start: Instant) -> list[str]:
    day = grid.first_day(start)
    known = [value for value in day if value is not None]
    between = f"{grams(min(known))} to {grams(max(known))}" if known else MISSING
    return [grid.zone, between, sparkline(day), grid.origin]


def row(job: Simulated, start: Instant) -> list[str]:
    """The cells of one job."""
    holds = [step.decision.reason for step in job.steps if isinstance(step.decision, Hold)]
    last = job.last.decision
    waits = MISSING if isinstance(last, Hold) else span(job.last.time - start)
    return [
        job.job.record.name,
        ", ".join(dict.fromkeys(holds)) or MISSING,
        format_instant(job.started) if job.started else "fails" if _fails(job) else "never",
        last.reason if isinstance(last, Release | Fail) else MISSING,
        waits,
        _intensity(job.at_once),
        _intensity(job.then),
        MISSING if job.saved_percent is None else f"{job.saved_percent} %",
    ]


def _fails(job: Simulated) -> bool:
    return isinstance(job.last.decision, Fail)


def _intensity(intensity: MilligramsPerKWh | None) -> str:
    return MISSING if intensity is None else str(round(intensity / 1000))


def document(jobs: list[Simulated], grids: dict[str, PlayedGrid], start: Instant) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/cli.md."""
    return {
        "startTime": format_instant(start),
        "zones": [
            {"name": name, "values": grid.origin, "milligramsPerKWh": grid.first_day(start)}
            for name, grid in sorted(grids.items())
        ],
        "items": [_item(job, start) for job in jobs],
    }


def _item(job: Simulated, start: Instant) -> dict[str, Any]:
    record, ends = job.job.record, not isinstance(job.last.decision, Hold)
    return {
        "namespace": record.namespace,
        "name": record.name,
        "zone": job.zone,
        "startTime": format_instant(job.started) if job.started else None,
        "heldSeconds": int((job.last.time - start).total_seconds()) if ends else None,
        "baselineStartTime": format_instant(job.baseline) if job.baseline else None,
        "expectedSeconds": int(job.duration.total_seconds()) if job.duration else None,
        "baselineMilligramsPerKWh": job.at_once,
        "milligramsPerKWh": job.then,
        "avoidedPercent": job.saved_percent,
        "steps": [_step(step) for step in job.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    decision, current = step.decision, step.outlook.current if step.outlook else None
    return {
        "time": format_instant(step.time),
        "action": type(decision).__name__,
        "reason": decision.reason.value,
        "message": _message(decision),
        "milligramsPerKWh": current.intensity if isinstance(current, Signal) else None,
    }


def _message(decision: Verdict) -> str:
    if isinstance(decision, Release):
        return release_message(decision.reason, decision.basis)
    return decision.message
