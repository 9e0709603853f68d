"""Greenhouse gas mass and grid intensity, integers: micrograms and milligrams per kWh of CO2e."""

from dataclasses import dataclass
from typing import NewType

from carbonaware_operator.quantities.energy import MICROJOULES_PER_KILOWATT_HOUR, Microjoules

MilligramsPerKWh = NewType("MilligramsPerKWh", int)
"""Average grid intensity, mgCO2e per kWh: what limits, budgets and emissions are made of."""


@dataclass(frozen=True, slots=True)
class MarginalIntensity:
    """What one more kWh would emit, mgCO2e per kWh: to be shown, never to be compared or charged.

    No number: it has no order, no sum and no product, so that it can stand where an average is
    meant neither by assignment nor by arithmetic. Two signals of one hour may point in opposite
    directions.
    """

    marginal_milligrams_per_kwh: int


MicrogramsCO2e = NewType("MicrogramsCO2e", int)

PUE_MILLI_NONE = 1000  # power usage effectiveness 1.0: nothing beside the IT load


class NegativeEnergyError(ValueError):
    """Energy was below zero: a counter went backwards and was not corrected first."""


def milligrams_per_kwh(grams: float) -> MilligramsPerKWh:
    """Average intensity from gCO2e/kWh, rounded to the milligram."""
    return MilligramsPerKWh(round(grams * 1000))


def grams(intensity: MilligramsPerKWh) -> str:
    """Intensity in gCO2e/kWh to the last digit known, so that limits compare as they read."""
    return f"{intensity / 1000:.3f}".rstrip("0").rstrip(".")


def marginal_intensity(grams: float) -> MarginalIntensity:
    """Marginal intensity from gCO2e/kWh, rounded to the milligram."""
    return MarginalIntensity(round(grams * 1000))


def operational_emissions(
    energy: Microjoules, intensity: MilligramsPerKWh, pue_milli: int = PUE_MILLI_NONE
) -> MicrogramsCO2e:
    """Location-based operational emissions of measured energy, rounded half up to a microgram.

    energy: electricity in microjoules, >= 0.
    intensity: average grid intensity over the same interval, mgCO2e/kWh.
    pue_milli: power usage effectiveness x 1000.
    Raises NegativeEnergyError.
    Source: GHG Protocol Scope 2 Guidance, location-based method.
    """
    if energy < 0:
        raise NegativeEnergyError(f"energy must be at least 0 microjoules, not {energy}")
    # mg/kWh x uJ = 1e-3 g x uJ / kWh; in micrograms: x 1000. The PUE in thousandths cancels that.
    scaled = energy * intensity * pue_milli
    return MicrogramsCO2e(
        (scaled + MICROJOULES_PER_KILOWATT_HOUR // 2) // MICROJOULES_PER_KILOWATT_HOUR
    )


_UNITS = ((1e-3, 1e6, "µg"), (1, 1e3, "mg"), (1e3, 1, "g"), (1e6, 1e-3, "kg"))
"""Below so many grams, so many of this unit in a gram."""


def format_emissions(mass: MicrogramsCO2e) -> str:
    """Mass with a unit that suits its size: `53 µg`, `5.2 mg`, `612 g`, `1.4 kg`; also negative."""
    grams = mass / 1e6
    for limit, factor, unit in _UNITS:
        if abs(grams) < limit:
            return f"{_short(grams * factor)} {unit}"
    return f"{_short(grams * 1e-6)} t"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.1f}"
