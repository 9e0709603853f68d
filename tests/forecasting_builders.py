"""Builders of histories for the tests of forecasting: hourly, from 1 January 2024 on."""

from datetime import UTC, datetime

import numpy as np

from carbonaware_operator.forecasting.prices import DayAheadPrices
from carbonaware_operator.forecasting.series import FloatArray, History

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


def a_grid(days: int, *, noise: float = 0.1, seed: int = 1) -> FloatArray:
    """A solar grid around 300 g/kWh whose level wanders from day to day, float64[24 * days]."""
    rng = np.random.default_rng(seed)
    hours = np.arange(24 * days)
    daily = 0.4 * np.cos(2 * np.pi * hours / 24) + 0.1 * np.sin(2 * np.pi * hours / (24 * 365))
    level = np.zeros(days)
    for day in range(1, days):
        level[day] = 0.8 * level[day - 1] + rng.normal(0, noise)
    return 300_000 * np.exp(daily + np.repeat(level, 24) + rng.normal(0, noise / 4, len(hours)))


def a_history(days: int = 200, *, noise: float = 0.1, seed: int = 1) -> History:
    """A history of `a_grid`."""
    return History(NEW_YEAR, a_grid(days, noise=noise, seed=seed))


def with_prices(history: History, prices: FloatArray) -> History:
    """The same history in a market of UTC days."""
    return History(history.start, history.values, DayAheadPrices(history.start, prices, UTC))


def a_swinging_history(days: int) -> History:
    """Days swing around their mean with a period of four: what comes is no mean of what was."""
    level = np.repeat(0.3 * np.sin(np.pi * np.arange(days) / 2 + 0.4), 24)
    return History(NEW_YEAR, a_grid(days, noise=0.01) * np.exp(level))
