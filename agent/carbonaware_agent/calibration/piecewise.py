"""How far a curve of straight lines is off, judged by points it was not made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from carbonaware_agent.sources.curve import PowerCurve

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Residual:
    """Measured and predicted power at a load."""

    load: float
    watts: float
    predicted_watts: float

    @property
    def relative(self) -> float:
        """Predicted over measured power, less 1."""
        return self.predicted_watts / self.watts - 1


def leave_one_out(points: Sequence[Point]) -> list[Residual]:
    """Each interior point, predicted by the straight line between its two neighbours.

    The ends are left out: to predict them would be to go beyond what was measured. With few
    points this says more than the error of the whole curve, as neighbours are then far apart:
    for a curve of four points it is an upper bound.
    """
    ordered = sorted(points)
    return [
        Residual(load, watts, PowerCurve([*ordered[:number], *ordered[number + 1 :]]).watts(load))
        for number, (load, watts) in enumerate(ordered)
        if 0 < number < len(ordered) - 1
    ]


def validate(curve: PowerCurve, points: Sequence[Point]) -> list[Residual]:
    """Points that the curve was not made from, predicted by it."""
    return [Residual(load, watts, curve.watts(load)) for load, watts in points]


def mean_error(residuals: Sequence[Residual]) -> float:
    """Mean of the relative errors, regardless of sign; at least one residual is needed."""
    return sum(abs(each.relative) for each in residuals) / len(residuals)
