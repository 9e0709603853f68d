"""Backtests: what forecasts of the past would have been, one a day at 00:00 UTC, and their score.

Each is made from the history cut at its origin, by the very functions that the operator calls.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from carbonaware_operator.forecasting.choice import MODELS, fit
from carbonaware_operator.forecasting.errors import ForecastTooShort
from carbonaware_operator.forecasting.model import Forecast, Model
from carbonaware_operator.forecasting.score import mape
from carbonaware_operator.forecasting.series import DAY_HOURS, FloatArray, History


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """Forecasts of the past, and what came.

    forecasts: k of them, in order of time; outcomes: float64[k, h], mgCO2e/kWh; NaN = missing.
    """

    forecasts: Sequence[Forecast]
    outcomes: FloatArray

    @property
    def mape(self) -> float:
        """Of all hours, in percent."""
        return mape(self._values, self.outcomes)

    @property
    def mape_by_day(self) -> list[float]:
        """Of each day ahead, in percent; the last one may be a part of a day."""
        starts = range(0, self.outcomes.shape[1], DAY_HOURS)
        days = [slice(start, start + DAY_HOURS) for start in starts]
        return [mape(self._values[:, day], self.outcomes[:, day]) for day in days]

    @property
    def coverage(self) -> float:
        """Share of the outcomes that lay within their band; NaN when no outcome is known."""
        lower = np.array([forecast.lower for forecast in self.forecasts])
        upper = np.array([forecast.upper for forecast in self.forecasts])
        known = ~np.isnan(self.outcomes)
        within = (lower <= self.outcomes) & (self.outcomes <= upper)
        return float(within[known].mean()) if known.any() else float("nan")

    @property
    def _values(self) -> FloatArray:
        return np.array([forecast.values for forecast in self.forecasts])


def origins_of(history: History, *, test_hours: int, horizon: int) -> list[int]:
    """Indices of the hours at 00:00 UTC in the last `test_hours`, a whole horizon before the end.

    Raises ForecastTooShort: there is none.
    """
    first, last = max(0, history.hours - test_hours), history.hours - horizon
    to_midnight = (-history.at(first).hour) % DAY_HOURS
    origins = list(range(first + to_midnight, last + 1, DAY_HOURS))
    if not origins:
        needed = horizon + to_midnight
        raise ForecastTooShort("a backtest", needed=needed, known=min(test_hours, history.hours))
    return origins


def backtest(
    history: History,
    models: Sequence[Model] = MODELS["auto"],
    *,
    test_hours: int,
    horizon: int,
    on_origin: Callable[[int, int], None] = lambda done, origins: None,
) -> Backtest:
    """Forecast once a day in the last `test_hours`, each time from all that was known by then.

    on_origin: told how many forecasts of how many are done, after each.
    Raises ForecastTooShort: there is no origin, or what precedes the first is too short.
    ForecastTooLong: the horizon is longer than models reach.
    """
    origins = origins_of(history, test_hours=test_hours, horizon=horizon)
    forecasts = []
    for origin in origins:
        past = history.until(origin)
        forecasts.append(fit(past, models).forecast(past.end, horizon))
        on_origin(len(forecasts), len(origins))
    hours = np.array(origins)[:, None] + np.arange(horizon)
    return Backtest(forecasts, history.values[hours])
