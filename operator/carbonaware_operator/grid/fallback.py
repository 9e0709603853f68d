"""The intensity to decide with when a zone has no signal, and where it is from."""

from dataclasses import dataclass

from carbonaware_operator.api.zone import CarbonZoneSpec
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh

WORLD_2024_GRAMS_PER_KWH = 473
"""Mean of the world's electricity in 2024, lifecycle. Source: Ember, by way of co2.js (472.94)."""


@dataclass(frozen=True, slots=True)
class FallbackIntensity:
    """A yearly mean at best; `source` names its origin and year."""

    intensity: MilligramsPerKWh
    source: str


def fallback_intensity(spec: CarbonZoneSpec) -> FallbackIntensity:
    """What the zone says, else the mean of the world."""
    if spec.fallback_grams_per_kwh is not None:
        intensity = milligrams_per_kwh(spec.fallback_grams_per_kwh)
        return FallbackIntensity(intensity, "spec.fallbackGramsPerKWh")
    return FallbackIntensity(
        milligrams_per_kwh(WORLD_2024_GRAMS_PER_KWH), "world mean of 2024 (Ember)"
    )
