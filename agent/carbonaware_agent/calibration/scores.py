"""How far predicted power is off: the figures by which a power model is judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median


@dataclass(frozen=True, slots=True)
class Residuals:
    """Predicted less measured power, in watts: the extremes and the middle."""

    lowest: float
    middle: float
    highest: float


@dataclass(frozen=True, slots=True)
class Score:
    """r_squared: share of the variance that is explained; below 0, the mean would do better.

    error_ratio: mean absolute relative error. error_watts: mean absolute error.
    """

    r_squared: float
    error_ratio: float
    error_watts: float
    residuals: Residuals


def score(measured: Sequence[float], predicted: Sequence[float]) -> Score:
    """Judge predictions by measured power, which must be above 0; at least one of each."""
    residuals = [guess - watts for watts, guess in zip(measured, predicted, strict=True)]
    mean = fmean(measured)
    variance = sum((watts - mean) ** 2 for watts in measured)
    unexplained = sum(residual**2 for residual in residuals)
    return Score(
        r_squared=1 - unexplained / variance if variance else float("nan"),
        error_ratio=fmean(abs(r) / w for r, w in zip(residuals, measured, strict=True)),
        error_watts=fmean(map(abs, residuals)),
        residuals=Residuals(min(residuals), median(residuals), max(residuals)),
    )
