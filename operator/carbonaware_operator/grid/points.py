"""Points: what a provider knows of a stretch of time, in one type for each kind of signal.

Archives, emissions and limits take `Point`, which is an average. `MarginalPoint` is not one, so
that a marginal value is kept out of them by its type.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.quantities.emissions import (
    MarginalIntensity,
    MilligramsPerKWh,
    marginal_intensity,
    milligrams_per_kwh,
)
from carbonaware_operator.quantities.instants import Instant

MAX_GRAMS_PER_KWH = 5000
"""Bound of every intensity in the API; a grid of lignite plants alone is below 1500."""

IntensityT = TypeVar("IntensityT", MilligramsPerKWh, MarginalIntensity)


class PointKind(StrEnum):
    """How final a value is."""

    ACTUAL = "actual"
    ESTIMATE = "estimate"
    FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Stretch(Generic[IntensityT]):
    """The mean intensity of [start, end).

    source: who says so; factors: which emissions are counted, None where that is not known.
    """

    start: Instant
    end: Instant
    intensity: IntensityT
    kind: PointKind
    source: str
    factors: EmissionFactors | None


class Point(Stretch[MilligramsPerKWh]):
    """The mean average intensity of a stretch of time."""

    __slots__ = ()


class MarginalPoint(Stretch[MarginalIntensity]):
    """The mean marginal intensity of a stretch of time."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """Average intensities that are expected; value i is the mean of [start + i x step, + step).

    issued: when it was made; source: who says so.
    error_percent: mean absolute percentage error of such forecasts in the last weeks, where known.
    """

    issued: Instant
    start: Instant
    step: timedelta
    values: tuple[MilligramsPerKWh, ...]
    source: str
    error_percent: int | None = None

    @property
    def end(self) -> Instant:
        """The end of the last value."""
        return self.start + len(self.values) * self.step

    def at(self, instant: Instant) -> MilligramsPerKWh | None:
        """The value of an instant; None outside the forecast."""
        index = (instant - self.start) // self.step
        return self.values[index] if 0 <= index < len(self.values) else None


def intensity_of(grams: object) -> MilligramsPerKWh:
    """Average intensity from a provider's value in gCO2e/kWh.

    Raises ValueError: it is no finite number from 0 to `MAX_GRAMS_PER_KWH`. The value itself is
    not in the message.
    """
    return milligrams_per_kwh(_number(grams))


def marginal_intensity_of(grams: object) -> MarginalIntensity:
    """Marginal intensity from a provider's value in gCO2e/kWh; raises as `intensity_of` does."""
    return marginal_intensity(_number(grams))


def _number(grams: object) -> float:
    if isinstance(grams, bool) or not isinstance(grams, int | float):
        raise ValueError("intensity must be a number")
    if not (math.isfinite(grams) and 0 <= grams <= MAX_GRAMS_PER_KWH):
        raise ValueError(f"intensity must be from 0 to {MAX_GRAMS_PER_KWH} gCO2e/kWh")
    return grams
