"""Sums over accounting periods, and their frozen form in a ledger.

Grams are rounded once per period; after that everything is added as integers, so a sum does not
depend on which of its periods are frozen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from carbonaware_operator.api.ledger import EnergySum, FrozenTotals, Ledger, LedgerPeriod
from carbonaware_operator.quantities.emissions import (
    PUE_MILLI_NONE,
    MilligramsPerKWh,
    operational_emissions,
)
from carbonaware_operator.quantities.energy import MICROJOULES_PER_JOULE, Microjoules


@dataclass(frozen=True, slots=True)
class Sums:
    """Energy in microjoules and mass in micrograms CO2e, over some periods.

    compared: energy that has both a price and a baseline; only it enters a comparison.
    estimated: energy priced, or compared, by a value that its provider may still revise.
    """

    energy: int = 0
    priced: int = 0
    compared: int = 0
    estimated: int = 0
    emissions: int = 0
    compared_emissions: int = 0
    baseline: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Sums)))


def sums_of(ledger: Ledger) -> Sums:
    """The sums of a whole ledger, frozen and open periods."""
    return added(sums_of_frozen(ledger.frozen), ledger.hours)


def added(sums: Sums, periods: Iterable[LedgerPeriod]) -> Sums:
    """Sums with more periods in them."""
    for period in periods:
        sums += _sums_of_period(period)
    return sums


def freeze(frozen: FrozenTotals | None, periods: Iterable[LedgerPeriod]) -> FrozenTotals | None:
    """Make periods final: their sums stay, and what they were priced with is forgotten."""
    periods = list(periods)
    return frozen_of(added(sums_of_frozen(frozen), periods)) if periods else frozen


def frozen_of(sums: Sums) -> FrozenTotals:
    """Sums as a ledger keeps them."""
    return FrozenTotals(
        energy=_split(sums.energy),
        priced=_split(sums.priced),
        compared=_split(sums.compared),
        estimated=_split(sums.estimated),
        emissions_micrograms=sums.emissions,
        compared_emissions_micrograms=sums.compared_emissions,
        baseline_micrograms=sums.baseline,
    )


def sums_of_frozen(frozen: FrozenTotals | None) -> Sums:
    """Sums read back from a ledger."""
    if frozen is None:
        return Sums()
    return Sums(
        energy=_joined(frozen.energy),
        priced=_joined(frozen.priced),
        compared=_joined(frozen.compared),
        estimated=_joined(frozen.estimated),
        emissions=frozen.emissions_micrograms,
        compared_emissions=frozen.compared_emissions_micrograms,
        baseline=frozen.baseline_micrograms,
    )


def _sums_of_period(period: LedgerPeriod) -> Sums:
    energy, price = period.microjoules, period.milligrams_per_kwh
    if price is None:
        return Sums(energy=energy)
    emissions = _emissions(period, price)
    estimated = energy if period.estimated else 0
    baseline = period.baseline_milligrams_per_kwh
    if baseline is None:
        return Sums(energy=energy, priced=energy, estimated=estimated, emissions=emissions)
    return Sums(
        energy=energy,
        priced=energy,
        compared=energy,
        estimated=estimated,
        emissions=emissions,
        compared_emissions=emissions,
        baseline=_emissions(period, baseline),
    )


def _emissions(period: LedgerPeriod, milligrams_per_kwh: int) -> int:
    pue_milli = period.pue_milli or PUE_MILLI_NONE
    intensity = MilligramsPerKWh(milligrams_per_kwh)
    return operational_emissions(Microjoules(period.microjoules), intensity, pue_milli)


def _split(microjoules: int) -> EnergySum:
    joules, rest = divmod(microjoules, MICROJOULES_PER_JOULE)
    return EnergySum(joules=joules, microjoules=rest)


def _joined(energy: EnergySum) -> int:
    return energy.joules * MICROJOULES_PER_JOULE + energy.microjoules
