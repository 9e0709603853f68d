"""The command line: python -m testbed.demo [--cluster current] [--node simulated].

Environment: DEMO_TRACE and DEMO_COLUMN (an hourly file and its column), DEMO_NODE, DEMO_IMAGE.
Exit code: 0 when every job ended as its spec demands, 1 when one did not or something failed,
2 when the demo refuses to play, 130 when it was interrupted.
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import click
from rich.console import Console

from testbed.demo import current, own, play, report
from testbed.demo.day import from_file, typical_day
from testbed.demo.facts import Observation
from testbed.demo.live import screen
from testbed.demo.programs import Programs
from testbed.demo.scene import JOBS
from testbed.demo.undo import Undo, interrupt_once
from testbed.demo.venue import RefusedError, Venue
from testbed.demo.verdict import Terms, judge
from testbed.errors import TestbedError

_WIDTH = 110

REFUSED = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo was asked for."""

    cluster: Literal["testbed", "current"]
    node: Literal["auto", "real", "simulated"]
    trace: Path | None
    column: str | None
    image: str | None
    folder: Path


@click.command()
@click.option(
    "--cluster",
    type=click.Choice(["testbed", "current"]),
    default="testbed",
    show_default=True,
    help="A cluster of the demo's own, or the one that kubectl reaches.",
)
@click.option(
    "--node",
    type=click.Choice(["auto", "real", "simulated"]),
    default="auto",
    envvar="DEMO_NODE",
    show_default=True,
    help="What plays the node of the demo's own cluster.",
)
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    envvar="DEMO_TRACE",
    help="CSV with a row an hour, the time first. [default: a typical day]",
)
@click.option("--column", envvar="DEMO_COLUMN", help="Its column with gCO2e/kWh.")
@click.option("--image", envvar="DEMO_IMAGE", help="Image with a shell for the pods.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="For logs and summary.json.",
)
def main(**given: Any) -> None:
    """Play five jobs through a recorded day, and compare them with run-at-once."""
    options = Options(**given)
    # Without a terminal rich takes 80 columns, too few for the table.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH
    console = Console(highlight=False, soft_wrap=True, width=width)
    interrupt_once()
    undo = Undo()
    try:
        try:
            code = _outcome(options, console, undo)
        except KeyboardInterrupt:
            console.print("interrupted; tidying up")
            raise
        finally:
            clean = undo.run(console.print)
    except KeyboardInterrupt:
        undo.run(console.print)
        code, clean = INTERRUPTED, True
    sys.exit(code if clean else code or 1)


def _outcome(options: Options, console: Console, undo: Undo) -> int:
    """The exit code; failures are explained on the console."""
    try:
        return _demo(options, console, undo)
    except RefusedError as refusal:
        console.print(f"demo: {refusal}", markup=False)
        return REFUSED
    except TestbedError as known:
        console.print(f"demo: {known}", markup=False)
        return 1


def _demo(options: Options, console: Console, undo: Undo) -> int:
    day = from_file(options.trace, options.column) if options.trace else typical_day()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    undo.note("free the folder", _claim(folder).close)
    for former in (folder / "summary.json", *folder.glob("*.log")):
        former.unlink(missing_ok=True)
    programs = Programs(folder)
    programs.stop()
    with _timed(console, "cluster"):
        venue = _venue(options, programs, console, undo)
    undo.note("end operator and agent", programs.stop)
    with _timed(console, "agent and operator"):
        programs.start(venue)
    with _timed(console, f"zone that plays {day.title}, an hour every five seconds"):
        play.open_zone(venue, day)
    opening = play.apply_jobs(venue, day)
    seen = play.watch(venue, day, screen(console), programs.check)
    return _judge(venue, seen, play.terms(day, opening, seen), console, folder)


def _claim(folder: Path) -> IO[str]:
    """Only one demo at a time uses a folder; the kernel frees it if the demo is killed."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RefusedError(
            f"another demo uses {folder}; wait for its end, or take another --folder"
        ) from None
    return lock


def _venue(options: Options, programs: Programs, console: Console, undo: Undo) -> Venue:
    def report(line: str) -> None:
        console.print(f"  {line}", markup=False)

    if options.cluster == "current":
        return current.start(options.image, programs.state, undo, report)
    return own.start(options.node, options.image, undo, report)


def _judge(venue: Venue, seen: Observation, terms: Terms, console: Console, folder: Path) -> int:
    """Show and write down what became of the jobs; the exit code."""
    complaints = {job.name: judge(job, terms) for job in seen.jobs}
    for name in set(JOBS) - complaints.keys():
        console.print(f"{name}: the job has gone")
    console.print(report.comparison(seen.jobs, complaints, venue.scene.node_kind))
    for name, wrong in complaints.items():
        for each in wrong:
            console.print(f"{name}: {each}", markup=False)
    written = folder / "summary.json"
    summary = report.summary(seen.jobs, complaints, venue.scene.node_kind)
    written.write_text(json.dumps(summary, indent=2) + "\n")
    console.print(f"written to {written}; logs are beside it")
    well = len(complaints) == len(JOBS) and not any(complaints.values())
    return 0 if well else 1


@contextmanager
def _timed(console: Console, what: str) -> Iterator[None]:
    """Say what is being prepared, and how long it took."""
    console.print(f"{what} ...", markup=False)
    began = time.monotonic()
    yield
    console.print(f"{what}: ready after {time.monotonic() - began:.1f} s", markup=False)


if __name__ == "__main__":
    main(prog_name="python -m testbed.demo")
