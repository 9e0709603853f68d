"""Ridge regression: one for each hour ahead, on what is known at the origin, in logarithms.

Trained on the origins at the same hour of day, one a day, so that hour ahead and hour of day are
one thing and no column needs to say which. All hours ahead share the columns, hence one solve.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from carbonaware_operator.forecasting.features import FIRST_ORIGIN, features, price_unit
from carbonaware_operator.forecasting.model import LIMIT_HOURS, require_hours
from carbonaware_operator.forecasting.series import (
    DAY_HOURS,
    FloatArray,
    History,
    IntArray,
    filled,
    intensity,
    log_intensity,
)

_PENALTY = 60.0
"""25 to 200 differ by less than 0.1 points of MAPE."""

_MAPE_SHIFT = 0.7
"""Which share of the error's variance a forecast is moved down by.

MAPE counts an error in proportion to what came, so that its best forecast lies below the median,
for log-normal errors by their whole variance. What is measured here is the variance within the
training, and 0.4 to 1 do equally well."""

_BEYOND_KNOWN = math.log(2.0)
"""A forecast stays within half the lowest and twice the highest value of the training."""

_TINY = 1e-6  # keeps a column that never changes from becoming noise


class Ridge:
    """Needs 175 days: from six months of history on it can be fitted and scored for a week."""

    name: ClassVar[str] = "ridge"
    min_hours: ClassVar[int] = 175 * DAY_HOURS

    def fit(self, history: History) -> "FittedRidge":
        """Learn from all days of a history; raises ForecastTooShort."""
        require_hours(self, history)
        last = history.hours - LIMIT_HOURS
        origins = np.arange(last, FIRST_ORIGIN - 1, -DAY_HOURS)[::-1]
        unit = price_unit(history)
        known = features(history, origins, unit)
        targets = origins[:, None] + np.arange(LIMIT_HOURS)
        logs = log_intensity(filled(history.values))
        # A day whose outcome was missing taught its filling only.
        trust = 1.0 - np.isnan(history.values)[targets].mean(axis=1)
        columns = _Scale.of(known.columns, known.weights, trust)
        return _solved(columns, known.columns, logs[targets] - known.usual, trust, unit, logs)


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """Brings columns to zero mean and to their weight; float64[p] each."""

    mean: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, columns: FloatArray, weights: FloatArray, trust: FloatArray) -> "_Scale":
        mean = np.average(columns, axis=0, weights=trust)
        variance = np.average((columns - mean) ** 2, axis=0, weights=trust)
        return cls(mean, (np.sqrt(variance) + _TINY) / weights)

    def __call__(self, columns: FloatArray) -> FloatArray:
        return (columns - self.mean) / self.spread


@dataclass(frozen=True, slots=True, eq=False)
class FittedRidge:
    """Coefficients float64[p, LIMIT_HOURS] of scaled columns, and what is added to their sum."""

    scale: _Scale
    coefficients: FloatArray
    constant: FloatArray
    price_unit: float | None
    lowest: float
    highest: float

    def predict(self, history: History, origins: IntArray) -> FloatArray:
        """Forecast from what is known at each origin; see `model.Predictor`."""
        known = features(history, origins, self.price_unit)
        above = self.scale(known.columns) @ self.coefficients + self.constant
        return intensity(np.clip(known.usual + above, self.lowest, self.highest))


def _solved(
    scale: _Scale,
    columns: FloatArray,
    above: FloatArray,
    trust: FloatArray,
    unit: float | None,
    logs: FloatArray,
) -> FittedRidge:
    """Solve (X'WX + penalty) B = X'WY."""
    scaled = scale(columns)
    mean: FloatArray = np.average(above, axis=0, weights=trust)
    weighted = scaled * trust[:, None]
    gram = weighted.T @ scaled + _PENALTY * np.eye(scaled.shape[1])
    coefficients = np.asarray(np.linalg.solve(gram, weighted.T @ (above - mean)), np.float64)
    errors = above - mean - scaled @ coefficients
    variance: FloatArray = np.average(errors**2, axis=0, weights=trust)
    constant: FloatArray = mean - _MAPE_SHIFT * variance
    return FittedRidge(
        scale,
        coefficients,
        constant,
        unit,
        float(logs.min() - _BEYOND_KNOWN),
        float(logs.max() + _BEYOND_KNOWN),
    )
