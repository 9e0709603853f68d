"""The port of all models: fit to a history, then predict from any of its hours."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from carbonaware_operator.forecasting.errors import ForecastTooShort
from carbonaware_operator.forecasting.series import DAY_HOURS, FloatArray, History, IntArray
from carbonaware_operator.quantities.instants import Instant

LIMIT_HOURS = 120
"""How far models predict: 96 hours, and a day more for sources that are late."""

LIMIT_DAYS = LIMIT_HOURS // DAY_HOURS


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What the intensity will be from `start` on.

    values, lower, upper: float64[h], mgCO2e/kWh, >= 0; index 0 is the hour at `start`. Between
        lower and upper lie `bands.COVERAGE` of the outcomes, going by past errors.
    model: the name of the model that made it.
    """

    start: Instant
    step: timedelta
    values: FloatArray
    lower: FloatArray
    upper: FloatArray
    model: str


class Predictor(Protocol):
    """A fitted model."""

    def predict(self, history: History, origins: IntArray) -> FloatArray:
        """Point forecasts from several origins.

        history: the one that was fitted, or a longer one.
        origins: int[k], indices into the history at the hour of day at which the fitted one ended.
            Of each, only what was known at its hour is used.
        Returns float64[k, LIMIT_HOURS], mgCO2e/kWh.
        """
        ...


class Model(Protocol):
    """A way to forecast; min_hours: what it needs to be fitted."""

    @property
    def name(self) -> str:
        """As users choose it."""
        ...

    @property
    def min_hours(self) -> int:
        """The shortest history that it can be fitted to."""
        ...

    def fit(self, history: History) -> Predictor:
        """Learn from a history; raises ForecastTooShort."""
        ...


def require_hours(model: Model, history: History) -> None:
    """Raise ForecastTooShort when a history is too short for a model."""
    if history.hours < model.min_hours:
        raise ForecastTooShort(model.name, needed=model.min_hours, known=history.hours)
