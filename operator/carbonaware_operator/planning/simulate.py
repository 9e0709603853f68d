"""simulate(): when a job would start on a grid that is known beforehand, by the operator's rules.

The operator decides again whenever the grid changes, and when a decision says that the passing of
time alone may change it. The simulation jumps from one such instant to the next, so that it misses
none and needs no clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from carbonaware_operator.planning.decision import Fail, Hold, Release
from carbonaware_operator.planning.outlook import Outlook, Signal
from carbonaware_operator.planning.rules import decide
from carbonaware_operator.planning.situation import Job, Situation
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant

Verdict = Hold | Release | Fail
"""What can be decided on a job that has not been started."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class View:
    """A zone at one instant.

    outlook: None when there is no such zone; until: when it changes next, None when never.
    """

    outlook: Outlook | None
    until: Instant | None


Grid = Callable[[Instant], View]
"""What a zone looks like at any instant."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was decided at an instant, and on what; a hold stands until the next step."""

    time: Instant
    decision: Verdict
    outlook: Outlook | None


def simulate(job: Job, grid: Grid, start: Instant, end: Instant) -> tuple[Step, ...]:
    """The steps of a held job from its creation on; the last one is a hold if it never starts.

    A hold for the same reason as before is no step; what lies behind `end` is not looked at.
    Raises ValueError: the job has been started.
    """
    steps: list[Step] = []
    now: Instant | None = start
    while now is not None and now <= end:
        view = grid(now)
        decision = decide(Situation(job, view.outlook, now))
        if not isinstance(decision, Hold | Release | Fail):
            raise ValueError("only a job that has not been started can be simulated")
        if not steps or decision.reason != steps[-1].decision.reason:
            steps.append(Step(now, decision, view.outlook))
        now = _next_change(decision, view, now)
    return tuple(steps)


def mean_intensity(grid: Grid, start: Instant, duration: timedelta) -> MilligramsPerKWh | None:
    """The mean intensity of a run; None where a part of it has no fresh intensity.

    Of a run without duration it is the intensity at that instant.
    """
    end, now, sum_ = start + duration, start, 0
    while True:
        view = grid(now)
        intensity = _fresh(view.outlook)
        if intensity is None:
            return None
        until = min(end, view.until or end)
        if until <= now:
            return intensity
        sum_ += intensity * ((until - now) // _MICROSECOND)
        if until == end:
            return MilligramsPerKWh(round(Fraction(sum_, duration // _MICROSECOND)))
        now = until


def _next_change(decision: Verdict, view: View, now: Instant) -> Instant | None:
    """When to decide again; None when nothing but the user can change the decision."""
    if not isinstance(decision, Hold) or decision.review is None:
        return None
    return min(decision.review, view.until) if view.until else decision.review


def _fresh(outlook: Outlook | None) -> MilligramsPerKWh | None:
    current = outlook.current if outlook else None
    return current.intensity if isinstance(current, Signal) else None
