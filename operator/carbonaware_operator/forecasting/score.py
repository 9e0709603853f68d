"""MAPE: the mean absolute error in percent of what came."""

import numpy as np

from carbonaware_operator.forecasting.series import FloatArray


def mape(forecasts: FloatArray, outcomes: FloatArray) -> float:
    """The score of forecasts against outcomes of the same shape, in percent.

    Hours without an outcome, or with one of zero, do not count; NaN when none is left.
    """
    counted = outcomes > 0  # NaN is not
    if not counted.any():
        return float("nan")
    errors = np.abs(forecasts[counted] - outcomes[counted]) / outcomes[counted]
    return 100.0 * float(errors.mean())
