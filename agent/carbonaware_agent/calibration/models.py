"""Power models that can be fitted to measured loads and powers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.model import share_of_maximum

Predictor = Callable[[float], float]
# Where `carbonaware-agent calibrate` bends its curve.
_BENDS = (0.1, 0.5, 0.8)


class UnfittableError(Exception):
    """The rows do not determine the model's coefficients."""


@dataclass(frozen=True, slots=True)
class PowerRow:
    """Measured power at a load of 0 to 1."""

    load: float
    watts: float


Fit = Callable[[Sequence[PowerRow]], Predictor]


def fits(design_watts: float | None) -> Mapping[str, Fit]:
    """Each model by name, as a function that fits it to rows.

    design_watts: thermal design power of all sockets; without it the models that need it are
    left out. A fit raises UnfittableError.
    """
    models: dict[str, Fit] = {
        "curve": _curve,
        "quadratic": _polynomial(2),
        "linear": _polynomial(1),
        "shape": _shape,
    }
    if design_watts is not None:
        watts = design_watts
        models["tdp"] = lambda _: lambda load: watts * share_of_maximum(load)
        models["tdp-line"] = lambda _: lambda load: watts * load
    return models


def _shape(rows: Sequence[PowerRow]) -> Predictor:
    maximum_watts = max(row.watts for row in rows)
    return lambda load: maximum_watts * share_of_maximum(load)


def _curve(rows: Sequence[PowerRow]) -> Predictor:
    """Straight lines that bend where `calibrate` measures, as far as the rows reach."""
    loads = [row.load for row in rows]
    lowest, highest = min(loads), max(loads)
    knots = [lowest, *(bend for bend in _BENDS if lowest < bend < highest), highest]
    watts = _solve([_hats(knots, load) for load in loads], rows)
    return PowerCurve(list(zip(knots, watts, strict=True))).watts


def _hats(knots: Sequence[float], load: float) -> list[float]:
    """How much of the power at each knot a load has: of the two around it, none of the others."""
    above = next(number for number, knot in enumerate(knots) if knot >= load) or 1
    low, high = knots[above - 1 : above + 1]
    share = (load - low) / (high - low)
    hats = [0.0] * len(knots)
    hats[above - 1], hats[above] = 1 - share, share
    return hats


def _polynomial(degree: int) -> Fit:
    def fit(rows: Sequence[PowerRow]) -> Predictor:
        powers = [[row.load**power for power in range(degree + 1)] for row in rows]
        coefficients = _solve(powers, rows)
        return lambda load: sum(c * load**power for power, c in enumerate(coefficients))

    return fit


def _solve(features: Sequence[Sequence[float]], rows: Sequence[PowerRow]) -> list[float]:
    """Coefficients of the features by least squares."""
    # Imported here because only this command needs its 16 MB.
    import numpy as np

    watts = np.array([row.watts for row in rows])
    coefficients, _, rank, _ = np.linalg.lstsq(np.array(features), watts, rcond=None)
    if rank < len(features[0]):
        raise UnfittableError("there are too few loads to determine it")
    return [float(coefficient) for coefficient in coefficients]
