"""Hourly series: aligned to the hours of UTC, with gaps, and cut so that nothing looks ahead."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from carbonaware_operator.forecasting.prices import DayAheadPrices
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import period_start

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOUR = timedelta(hours=1)
DAY_HOURS = 24

LOG_OFFSET = 1000.0
"""1 gCO2e/kWh, in mg/kWh: keeps the logarithm finite on grids that reach zero."""


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The intensity of one zone, one kind of emission factors.

    start: the first hour, on the hour.
    values: float64[n], mgCO2e/kWh, >= 0; index i is the hour `start` + i; NaN = missing. The first
        and the last are known.
    prices: known beside it, or None.
    """

    start: Instant
    values: FloatArray
    prices: DayAheadPrices | None = None

    @property
    def hours(self) -> int:
        """How many hours it spans, gaps included."""
        return len(self.values)

    @property
    def end(self) -> Instant:
        """The end of its last hour, from which a forecast starts."""
        return self.at(self.hours)

    def at(self, index: int) -> Instant:
        """The start of the hour with this index."""
        return self.start + index * HOUR

    def until(self, hours: int) -> "History":
        """What was known `hours` after the start: the values, and the prices published by then."""
        prices = self.prices and self.prices.known_at(self.at(hours))
        return History(self.start, self.values[:hours], prices)


def hourly(points: Iterable[tuple[Instant, float]]) -> tuple[Instant, FloatArray]:
    """Align points, each the start of a stretch and its value, to hours of UTC.

    Several points in one hour become their mean; NaN and hours without a point are gaps, and gaps
    at both ends are cut off.
    Returns the first hour and float64[n]. Raises ValueError: no point has a value.
    """
    known = [(start, value) for start, value in points if not np.isnan(value)]
    if not known:
        raise ValueError("there must be at least one value")
    first = period_start(min(start for start, _ in known))
    return first, aligned(known, first)


def aligned(points: Iterable[tuple[Instant, float]], start: Instant) -> FloatArray:
    """The same from a given hour on; what is before it is left out. Returns float64[n]."""
    known = [((at - start) // HOUR, v) for at, v in points if at >= start and not np.isnan(v)]
    index = np.array([hour for hour, _ in known], dtype=np.int64)
    counts = np.bincount(index)
    sums = np.bincount(index, weights=np.array([value for _, value in known], dtype=np.float64))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def filled(values: FloatArray) -> FloatArray:
    """A copy without gaps: a missing hour repeats the same hour of the day before.

    Only what was known by then is used, so that filling never looks ahead. Hours before the first
    known one get its value; a series without any value becomes zeros.
    """
    complete = values.copy()
    missing = np.flatnonzero(np.isnan(values))
    if len(missing) == len(values):
        return np.zeros_like(values)
    first = float(values[np.flatnonzero(~np.isnan(values))[0]])
    for i in missing:
        complete[i] = complete[i - DAY_HOURS] if i >= DAY_HOURS else complete[i - 1] if i else first
    return complete


def log_intensity(values: FloatArray) -> FloatArray:
    """The scale in which errors are relative, as MAPE counts them."""
    return np.log(values + LOG_OFFSET)


def intensity(logs: FloatArray) -> FloatArray:
    """Back from `log_intensity`, never below zero."""
    return np.maximum(np.exp(logs) - LOG_OFFSET, 0.0)
