"""The choice between models: each is tried on the last weeks, the best of them forecasts.

A trial lets a model forecast the last eight weeks, once a day at the hour at which the history
ends, fitted every two weeks to what was known then. Its errors make the score and the bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from carbonaware_operator.forecasting.bands import MIN_ORIGINS, band
from carbonaware_operator.forecasting.errors import ForecastTooLong, ForecastTooShort
from carbonaware_operator.forecasting.model import LIMIT_HOURS, Forecast, Model, Predictor
from carbonaware_operator.forecasting.ridge import Ridge
from carbonaware_operator.forecasting.score import mape
from carbonaware_operator.forecasting.series import (
    DAY_HOURS,
    HOUR,
    FloatArray,
    History,
    log_intensity,
)
from carbonaware_operator.forecasting.smoothing import Smoothing
from carbonaware_operator.forecasting.yesterday import Yesterday
from carbonaware_operator.quantities.instants import Instant

MODELS: MappingProxyType[str, tuple[Model, ...]] = MappingProxyType(
    {
        "auto": (Yesterday(), Smoothing(), Ridge()),
        "smoothing": (Smoothing(),),
        "ridge": (Ridge(),),
        "yesterday": (Yesterday(),),
    }
)
"""What may be chosen from, by name. In `auto` they stand in the order of the history they need."""

TRIAL_DAYS = 56
_REFIT_DAYS = 14

_SIMPLER_BY = 1.1
"""By how much a model must beat the next one of its list, which learns more, to be preferred.

In a trial that one knows weeks less than it does now, and eight weeks are noisy. On ten grids with
250 days of history it takes the MAPE of `auto` from 19.5 to 19.0; ridge alone reaches 18.8."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """How a model did in the last weeks.

    errors: float64[k, LIMIT_HOURS], log outcome less log forecast; NaN = outcome unknown.
    mape: of all of them, in percent; NaN when no outcome is known.
    """

    model: Model
    errors: FloatArray
    mape: float


@dataclass(frozen=True, slots=True, eq=False)
class Forecaster:
    """The chosen model, fitted to all of the history."""

    history: History
    trial: Trial
    predictor: Predictor

    @property
    def model(self) -> str:
        """The name of the chosen model."""
        return self.trial.model.name

    @property
    def mape(self) -> float:
        """The rolling score of the chosen model, in percent; NaN before it could be tried."""
        return self.trial.mape

    def forecast(self, origin: Instant, horizon: int) -> Forecast:
        """Forecast `horizon` hours from an origin at, or some hours after, the end of the history.

        Raises ForecastTooLong: that is more than LIMIT_HOURS after the end of the history.
        ValueError: the origin is no full hour, or before that end.
        """
        late, rest = divmod(origin - self.history.end, HOUR)
        if rest or late < 0 or horizon < 1:
            raise ValueError("a forecast must start on an hour, at the end of its history or later")
        if late + horizon > LIMIT_HOURS:
            raise ForecastTooLong(asked=late + horizon, limit=LIMIT_HOURS)
        all_values = self.predictor.predict(self.history, np.array([self.history.hours]))[0]
        lower, upper = band(all_values, self.trial.errors)
        asked = slice(late, late + horizon)
        return Forecast(origin, HOUR, all_values[asked], lower[asked], upper[asked], self.model)


def fit(history: History, models: Sequence[Model] = MODELS["auto"]) -> Forecaster:
    """Fit the model with the best rolling score; simpler ones must be better by a tenth.

    models: in the order of how much they learn. One that could not be tried for a week is taken
        only when none could.
    Raises ForecastTooShort: the history is too short for every model.
    """
    possible = [model for model in models if model.min_hours <= history.hours]
    if not possible:
        needed = min(models, key=lambda model: model.min_hours)
        raise ForecastTooShort(needed.name, needed=needed.min_hours, known=history.hours)
    trials = [tried(model, history) for model in possible]
    best = _best(trials)
    return Forecaster(history, best, best.model.fit(history))


def _best(trials: Sequence[Trial]) -> Trial:
    scored = [t for t in trials if len(t.errors) >= MIN_ORIGINS and not np.isnan(t.mape)]
    best = scored[0] if scored else trials[0]
    for trial in scored[1:]:
        if trial.mape < best.mape * _SIMPLER_BY:
            best = trial
    return best


def tried(model: Model, history: History) -> Trial:
    """Try a model on the last weeks, as many as its needs leave, up to TRIAL_DAYS."""
    days = min(TRIAL_DAYS, (history.hours - model.min_hours) // DAY_HOURS)
    if days == 0:
        return Trial(model, np.empty((0, LIMIT_HOURS)), float("nan"))
    origins = history.hours - DAY_HOURS * np.arange(days, 0, -1)
    fortnights = [origins[first : first + _REFIT_DAYS] for first in range(0, days, _REFIT_DAYS)]
    forecasts = np.concatenate(
        [model.fit(history.until(int(some[0]))).predict(history, some) for some in fortnights]
    )
    outcomes = _outcomes(history)[origins[:, None] + np.arange(LIMIT_HOURS)]
    errors = log_intensity(outcomes) - log_intensity(forecasts)
    return Trial(model, errors, mape(forecasts, outcomes))


def _outcomes(history: History) -> FloatArray:
    """The values, and NaN for the hours to come that forecasts of the last days reach into."""
    return np.concatenate([history.values, np.full(LIMIT_HOURS, np.nan)])
