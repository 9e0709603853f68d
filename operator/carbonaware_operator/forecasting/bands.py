"""Prediction bands from past errors: no assumption on how errors are distributed."""

import numpy as np

from carbonaware_operator.forecasting.model import LIMIT_HOURS
from carbonaware_operator.forecasting.series import FloatArray, intensity, log_intensity

COVERAGE = 0.8
"""Share of outcomes that shall lie in the band."""

MIN_ORIGINS = 7
"""Fewer past forecasts say nothing of how wrong the next one may be."""

_UNTRIED = np.log(1.5)
"""Without past forecasts: wider than the band of any of the six grids of docs/forecasting.md."""

_NEAR_HOURS = 6
"""Errors of this many hours to either side count with those of an hour ahead."""


def band(values: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The lower and the upper end of the band around a forecast.

    values: float64[h], mgCO2e/kWh, h <= LIMIT_HOURS; index 0 is as far ahead as index 0 of errors.
    errors: float64[k, LIMIT_HOURS], log outcome less log forecast of k past origins; NaN = unknown.
    Returns float64[h] each, around the forecast itself.
    """
    low, high = _quantiles(errors)
    logs, ahead = log_intensity(values), slice(0, len(values))
    lower = intensity(logs + np.minimum(low[ahead], 0.0))
    upper = intensity(logs + np.maximum(high[ahead], 0.0))
    return np.minimum(lower, values), np.maximum(upper, values)


def _quantiles(errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quantiles of the errors, float64[LIMIT_HOURS] each."""
    if len(errors) < MIN_ORIGINS:
        return np.full(LIMIT_HOURS, -_UNTRIED), np.full(LIMIT_HOURS, _UNTRIED)
    beside = (1.0 - COVERAGE) / 2
    ends = np.empty((2, LIMIT_HOURS))
    for ahead in range(LIMIT_HOURS):
        near = errors[:, max(0, ahead - _NEAR_HOURS) : ahead + _NEAR_HOURS + 1]
        known = near[~np.isnan(near)]
        # A stretch without outcomes is taken to be as uncertain as the one before it.
        ends[:, ahead] = (
            np.quantile(known, (beside, 1.0 - beside))
            if len(known)
            else ends[:, ahead - 1]
            if ahead
            else (-_UNTRIED, _UNTRIED)
        )
    return ends[0], ends[1]
