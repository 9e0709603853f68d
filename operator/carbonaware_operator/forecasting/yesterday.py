"""The same hour of the day before, for every day ahead: what every other model must beat."""

from typing import ClassVar

import numpy as np

from carbonaware_operator.forecasting.model import LIMIT_DAYS, require_hours
from carbonaware_operator.forecasting.series import (
    DAY_HOURS,
    FloatArray,
    History,
    IntArray,
    filled,
)


class Yesterday:
    """Needs one day, and nothing to learn."""

    name: ClassVar[str] = "yesterday"
    min_hours: ClassVar[int] = DAY_HOURS

    def fit(self, history: History) -> "Yesterday":
        """Return itself; raises ForecastTooShort."""
        require_hours(self, history)
        return self

    def predict(self, history: History, origins: IntArray) -> FloatArray:
        """Repeat the last day known at each origin; see `model.Predictor`."""
        values = filled(history.values)
        last_day = values[origins[:, None] - DAY_HOURS + np.arange(DAY_HOURS)]
        return np.tile(last_day, (1, LIMIT_DAYS))
