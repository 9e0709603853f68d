"""Points: what a provider knows of a stretch of time. All are average signals."""

import math
from dataclasses import dataclass
from enum import StrEnum

from carbonaware_operator.api.zone import EmissionFactors
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant

MAX_GRAMS_PER_KWH = 5000
"""Bound of every intensity in the API; a grid of lignite plants alone is below 1500."""


class PointKind(StrEnum):
    """How final a value is."""

    ACTUAL = "actual"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Point:
    """The mean average intensity of [start, end).

    source: who says so; factors: which emissions are counted, None where that is not known.
    """

    start: Instant
    end: Instant
    intensity: MilligramsPerKWh
    kind: PointKind
    source: str
    factors: EmissionFactors | None


def intensity_of(grams: object) -> MilligramsPerKWh:
    """Intensity from a provider's value in gCO2e/kWh.

    Raises ValueError: it is no finite number from 0 to `MAX_GRAMS_PER_KWH`. The value itself is
    not in the message.
    """
    if isinstance(grams, bool) or not isinstance(grams, int | float):
        raise ValueError("intensity must be a number")
    if not (math.isfinite(grams) and 0 <= grams <= MAX_GRAMS_PER_KWH):
        raise ValueError(f"intensity must be from 0 to {MAX_GRAMS_PER_KWH} gCO2e/kWh")
    return milligrams_per_kwh(grams)
