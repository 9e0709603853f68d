"""PURE: whether each job came to the end that its spec demands, judged by the API objects alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from testbed.demo import scene
from testbed.demo.day import HOUR_SECONDS, Trace
from testbed.demo.facts import JobFacts, State

LATE = timedelta(seconds=10)
"""How long after it is due a release may be seen on a busy machine."""
EARLY = timedelta(seconds=2)
"""Instants in the API are whole seconds, and a new value may be fetched a moment early."""

REASONS = {
    scene.CLEAN_GRID: "IntensityAcceptable",
    scene.WINDOW: "Immediate",
    scene.DEADLINE: "DeadlineReached",
    scene.IMMEDIATE: "Immediate",
    scene.SUSPENDED: "ReleasedByUser",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What the judgement is made against, besides the jobs themselves."""

    trace: Trace
    zone_created: datetime
    opening: scene.Opening

    def grams_at(self, instant: datetime) -> float:
        """Intensity that plays at an instant, gCO2e/kWh."""
        seconds = (instant - self.zone_created).total_seconds()
        return self.trace.grams[self.trace.hour_at(seconds)]

    def first_clean(self, after: datetime) -> datetime:
        """The first instant from one on at which the grid is at or below the clean limit."""
        instant = after
        while self.grams_at(instant) > self.trace.clean_limit:
            instant += timedelta(seconds=1)
        return instant


def judge(job: JobFacts, terms: Terms) -> list[str]:
    """What is wrong with a job; empty when it ended as its spec demands."""
    return [*_ended(job), *_accounted(job), *_released(job, terms)]


def _ended(job: JobFacts) -> Iterator[str]:
    if job.state is not State.COMPLETE:
        yield f"must be complete, but is {job.state}: {job.reason or 'no reason given'}"
    if job.child_count != 1:
        yield f"must have exactly one child Job, but has {job.child_count}"


def _accounted(job: JobFacts) -> Iterator[str]:
    if not job.energy_joules:
        yield "must have used energy, but none was measured"
    if not job.settled:
        yield "its account must be settled, but still is open"


def _released(job: JobFacts, terms: Terms) -> Iterator[str]:
    expected = REASONS[job.name]
    if job.reason != expected:
        yield f"must be released because of {expected}, but says {job.reason or 'nothing'}"
    if job.released:
        yield from _RULES[job.name](job, job.released, terms)


def _on_a_clean_grid(job: JobFacts, released: datetime, terms: Terms) -> Iterator[str]:
    limit = terms.trace.clean_limit
    near = [released + timedelta(seconds=s) for s in (-HOUR_SECONDS / 2, 0, EARLY.seconds)]
    grams = min(terms.grams_at(instant) for instant in near)
    if grams > limit:
        yield f"must not start above {limit} gCO2e/kWh, but started at {grams:.0f}"
    yield from _not_later(released, terms.first_clean(job.created), "the grid was clean")


def _in_its_window(job: JobFacts, released: datetime, terms: Terms) -> Iterator[str]:
    opening = terms.opening
    yield from _not_earlier(released, opening.start, "its window opened", timedelta(0))
    yield from _not_later(released, opening.start, "its window opened")


def _at_its_deadline(job: JobFacts, released: datetime, terms: Terms) -> Iterator[str]:
    deadline = job.created + timedelta(seconds=scene.MAX_DELAY_SECONDS)
    yield from _not_earlier(released, deadline, "its deadline")
    yield from _not_later(released, deadline, "its deadline")


def _at_once(job: JobFacts, released: datetime, terms: Terms) -> Iterator[str]:
    yield from _not_later(released, job.created, "it was created")


def _by_its_user(job: JobFacts, released: datetime, terms: Terms) -> Iterator[str]:
    if job.freed is None:
        yield "must not start while its user suspends it, but did"
        return
    yield from _not_earlier(released, job.freed, "its user released it")
    yield from _not_later(released, job.freed, "its user released it")


_RULES: dict[str, Callable[[JobFacts, datetime, Terms], Iterator[str]]] = {
    scene.CLEAN_GRID: _on_a_clean_grid,
    scene.WINDOW: _in_its_window,
    scene.DEADLINE: _at_its_deadline,
    scene.IMMEDIATE: _at_once,
    scene.SUSPENDED: _by_its_user,
}


def _not_earlier(
    released: datetime, due: datetime, what: str, early: timedelta = EARLY
) -> Iterator[str]:
    if released < due - early:
        seconds = (due - released).total_seconds()
        yield f"started {seconds:.0f} s before {what}"


def _not_later(released: datetime, due: datetime, what: str) -> Iterator[str]:
    if released > due + LATE:
        seconds = (released - due).total_seconds()
        yield f"started {seconds:.0f} s after {what}; at most {LATE.seconds} s are allowed"
