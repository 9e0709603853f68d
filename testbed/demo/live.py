"""The live view: on a terminal a picture that changes, elsewhere a line for each change."""

from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from testbed.demo.day import Trace
from testbed.demo.facts import JobFacts, Observation, State
from testbed.demo.report import amount, milligrams

_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {
    State.HELD: "yellow",
    State.RUNNING: "bold cyan",
    State.COMPLETE: "green",
    State.FAILED: "bold red",
}


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the demo.

    day_seconds: how long the recorded day has played. elapsed: seconds since the jobs exist.
    """

    trace: Trace
    node_kind: str
    day_seconds: float
    elapsed: float
    seen: Observation


class Screen(Protocol):
    """Where moments are shown."""

    def show(self, view: View) -> None:
        """Show a moment in place of the one before."""
        ...

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the terminal back."""
        ...


def screen(console: Console) -> Screen:
    """The screen that suits where the output goes."""
    return Picture(console) if console.is_terminal else Lines(console)


class Picture:
    """A view that is drawn again and again in the same place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def show(self, view: View) -> None:
        """Draw the moment."""
        self._live.update(picture(view), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()


@dataclass(slots=True)
class Lines:
    """A line for every change of a job, for logs."""

    console: Console
    _last: dict[str, str] = field(default_factory=dict)

    def show(self, view: View) -> None:
        """Print what has changed."""
        for job in view.seen.jobs:
            said = f"{job.name}: {job.state}, {job.reason or 'not looked at yet'}"
            if self._last.get(job.name) != said:
                self._last[job.name] = said
                when = f"{view.elapsed:5.0f} s  hour {hour(view):2}  {grams(view):>4} gCO2e/kWh"
                self.console.print(f"{when}  {said}", highlight=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._last.clear()


def picture(view: View) -> RenderableType:
    """The moment as a headline, the day and a table of jobs."""
    headline = Text.assemble(
        (f"{view.trace.title}, hour {hour(view)}", "bold"),
        f"   {grams(view)} gCO2e/kWh   {view.elapsed:.0f} s   {view.node_kind} node",
    )
    return Group(headline, sparkline(view), _jobs(view))


def sparkline(view: View) -> Text:
    """The recorded day: what has played in colour, green where the grid is clean, the rest dim."""
    day, limit = view.trace.grams[:36], view.trace.clean_limit
    low, high = min(day), max(day)
    line = Text()
    for number, value in enumerate(day):
        bar = _BARS[round((value - low) / ((high - low) or 1) * (len(_BARS) - 1))]
        colour = "green" if value <= limit else "red"
        line.append(bar * 2, style=colour if number <= hour(view) else f"dim {colour}")
    return line.append(f"  green: at most {limit} gCO2e/kWh")


def hour(view: View) -> int:
    """The recorded hour that plays."""
    return view.trace.hour_at(view.day_seconds)


def grams(view: View) -> str:
    """The current intensity as the zone has it."""
    return "-" if view.seen.grams is None else f"{view.seen.grams:.0f}"


def _jobs(view: View) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for column in ("job", "state", "reason", "planned"):
        table.add_column(column, min_width=8)
    for column in ("energy", "CO2e", "saved"):
        table.add_column(column, justify="right", min_width=8)
    for job in view.seen.jobs:
        table.add_row(
            job.name,
            Text(job.state, style=_STYLES[job.state]),
            job.reason or "-",
            _planned(job),
            amount(job.energy_joules, "J"),
            milligrams(job.emissions_ug),
            amount(job.avoided_percent, "%"),
        )
    return table


def _planned(job: JobFacts) -> str:
    if job.planned is None:
        return "-"
    another_day = job.planned.date() > job.created.date()
    return f"{job.planned:%b %d %H:%M}" if another_day else f"{job.planned:%H:%M:%S}"
