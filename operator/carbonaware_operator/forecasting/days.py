"""Days that end at an origin, and their profile: what a usual day from this hour on looks like."""

import numpy as np

from carbonaware_operator.forecasting.series import DAY_HOURS, FloatArray, IntArray

PROFILE_DAYS = 28
"""Days that a profile rests on."""

DECAY = 0.85
"""Weight of a day against the one after it: a profile follows the season within two weeks."""


def days_before(values: FloatArray, origins: IntArray, days: int = PROFILE_DAYS) -> FloatArray:
    """The days before each origin.

    values: float64[n] without gaps; origins: int[k], each at least 24 * `days`.
    Returns float64[k, days, 24]: day 0 ends at the origin, day 1 a day before; index h of a day is
    the hour of day that lies h hours after the origin.
    """
    hours = days * DAY_HOURS
    stretch: FloatArray = values[origins[:, None] - hours + np.arange(hours)]
    return stretch.reshape(len(origins), days, DAY_HOURS)[:, ::-1]


def profile_of(days: FloatArray) -> FloatArray:
    """The weighted mean day, float64[k, 24], of what `days_before` returns."""
    weights = DECAY ** np.arange(days.shape[1])
    mean: FloatArray = np.tensordot(days, weights / weights.sum(), axes=(1, 0))
    return mean
