"""The calibration itself: which loads, in which order, when to refuse, how good the curve is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from carbonaware_agent.calibration.bench import Bench, Measurement
from carbonaware_agent.calibration.errors import CalibrationError
from carbonaware_agent.calibration.piecewise import (
    Residual,
    leave_one_out,
    mean_error,
    validate,
)
from carbonaware_agent.sources.curve import PowerCurve

# Power at no load is read off the first line, drawn on below its first point; from far above it
# that would be a guess. Kubelet and daemons keep a node 1 to 3 % busy.
_MOST_IDLE_LOAD = 0.05
# A CPU limit or a CPU set holds a load back by more than this; other causes, by less.
_MOST_MISSING_LOAD = 0.1
# Curves of four or five points are 1.0 to 2.4 % off on the servers of `python -m benchmarks
# power_models`, even where these were measured exactly.
_LEAST_ERROR = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """The loads to make, in percent: of the curve, and others to judge it by.

    settle_seconds: under load before each measurement, which then takes `seconds`.
    """

    percents: Sequence[float]
    validation: Sequence[float]
    settle_seconds: float
    seconds: float

    @property
    def duration_seconds(self) -> float:
        """How long it takes."""
        levels = len({*self.percents, *self.validation})
        return levels * (self.settle_seconds + self.seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured: the curve's own points, and others to judge it by."""

    measured: Sequence[Measurement]
    validation: Sequence[Measurement]

    @property
    def curve(self) -> PowerCurve:
        """Straight lines between the measured points."""
        return PowerCurve(_points(self.measured))

    @property
    def left_out(self) -> list[Residual]:
        """Each interior point of the curve, predicted from its neighbours."""
        return leave_one_out(_points(self.measured))

    @property
    def validated(self) -> list[Residual]:
        """The other points, predicted by the curve."""
        return validate(self.curve, _points(self.validation))

    @property
    def error_ratio(self) -> float:
        """The stated error: of the other points, else of the left out ones, but at least 2 %."""
        return max(_LEAST_ERROR, mean_error(self.validated or self.left_out))


def carry_out(bench: Bench, plan: Plan, tell: Callable[[str], object]) -> Outcome:
    """Measure at every load of the plan, from low to high.

    tell: takes lines about the progress. Raises CalibrationError: a counter cannot be read, the
    machine is busy with something else, or the load could not be made.
    """
    tell(f"reading {bench.source}; this takes {plan.duration_seconds:.0f} s")
    found = {}
    for percent in sorted({*plan.percents, *plan.validation}):
        measurement = bench.measure(
            percent, settle_seconds=plan.settle_seconds, seconds=plan.seconds
        )
        _check(measurement)
        tell(f"{percent:5g} %: load {measurement.load:.1%}, {measurement.watts:.1f} W")
        found[percent] = measurement
    outcome = Outcome(
        [found[percent] for percent in plan.percents],
        [found[percent] for percent in plan.validation if percent not in plan.percents],
    )
    _check_order(outcome.measured)
    for line in report(outcome):
        tell(line)
    return outcome


def report(outcome: Outcome) -> Iterator[str]:
    """Lines about how good the curve is."""
    for residual in outcome.left_out:
        yield f"left out, from its neighbours: {_residual(residual)}"
    for residual in outcome.validated:
        yield f"by the curve: {_residual(residual)}"
    origin = "of the loads to judge it by" if outcome.validated else "of the points left out"
    yield f"stated error of the curve: {outcome.error_ratio:.1%}, from the mean {origin}"


def _residual(residual: Residual) -> str:
    return (
        f"at {residual.load:.1%} {residual.predicted_watts:.1f} W, measured "
        f"{residual.watts:.1f} W, {residual.relative:+.1%}"
    )


def _points(measurements: Sequence[Measurement]) -> list[tuple[float, float]]:
    return [(each.load, each.watts) for each in measurements]


def _check(measurement: Measurement) -> None:
    wanted = measurement.percent / 100
    if wanted == 0 and measurement.load > _MOST_IDLE_LOAD:
        raise CalibrationError(
            f"the machine is {measurement.load:.1%} busy without our load, and may be "
            f"{_MOST_IDLE_LOAD:.0%} at most; drain the node first"
        )
    if measurement.load < wanted - _MOST_MISSING_LOAD:
        raise CalibrationError(
            f"a load of {measurement.percent:g} % made the machine only {measurement.load:.1%} "
            "busy; a CPU limit or a CPU set of this process must be lifted"
        )
    if measurement.watts <= 0:
        raise CalibrationError("the counter stands still")


def _check_order(measurements: Sequence[Measurement]) -> None:
    for before, after in pairwise(measurements):
        if before.load >= after.load:
            raise CalibrationError(
                f"{after.percent:g} % was measured at a load of {after.load:.1%}, which is not "
                f"more than at {before.percent:g} %: the machine is busy with something else"
            )
