"""What a ledger amounts to, and the status fields that say so."""

from dataclasses import dataclass
from typing import Any

from carbonaware_operator.accounting.sums import sums_of
from carbonaware_operator.api.job import CarbonAwareJobStatus, Summary
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.quantities.emissions import MicrogramsCO2e, format_emissions
from carbonaware_operator.quantities.energy import (
    MICROJOULES_PER_JOULE,
    Microjoules,
    format_energy,
)

MICROGRAMS_PER_MILLIGRAM = 1000
MEASURED_SOURCES = frozenset({"rapl", "hwmon", "nvml_counter", "nvml_power"})
"""Sensors; whatever else a series may name (curve, shape, tdp) is a model."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a job. None where there is nothing to say: no price, no comparison, no energy.

    emissions: of the priced energy, micrograms CO2e.
    baseline, avoided: of the compared energy, micrograms CO2e; avoided may be negative.
    Percentages never flatter: estimated is rounded up, all others down.
    """

    energy: Microjoules
    emissions: MicrogramsCO2e | None
    baseline: MicrogramsCO2e | None
    avoided: MicrogramsCO2e | None
    avoided_percent: int | None
    priced_percent: int | None
    compared_percent: int | None
    estimated_percent: int | None
    method: str | None


def totals_of(ledger: Ledger) -> Totals:
    """Add up a ledger."""
    sums = sums_of(ledger)
    avoided = sums.baseline - sums.compared_emissions
    compared = sums.compared > 0
    return Totals(
        energy=Microjoules(sums.energy),
        emissions=MicrogramsCO2e(sums.emissions) if sums.priced else None,
        baseline=MicrogramsCO2e(sums.baseline) if compared else None,
        avoided=MicrogramsCO2e(avoided) if compared else None,
        avoided_percent=_percent(avoided, sums.baseline),
        priced_percent=_percent(sums.priced, sums.energy),
        compared_percent=_percent(sums.compared, sums.energy),
        estimated_percent=_percent_up(sums.estimated, sums.energy),
        method=_method(ledger),
    )


def status_fields(ledger: Ledger) -> dict[str, Any]:
    """The complete set of status fields of the manager `carbonaware-ledger`.

    A field that is left out is deleted by the server-side apply: it has no value any more.
    """
    totals = totals_of(ledger)
    status = CarbonAwareJobStatus(
        ledger=ledger,
        energy_joules=totals.energy // MICROJOULES_PER_JOULE,
        emissions_milligrams=_milligrams(totals.emissions),
        baseline_emissions_milligrams=_milligrams(totals.baseline),
        avoided_emissions_milligrams=_milligrams(totals.avoided),
        avoided_percent=totals.avoided_percent,
        priced_percent=totals.priced_percent,
        compared_percent=totals.compared_percent,
        estimated_percent=totals.estimated_percent,
        energy_method=totals.method,
        summary=_summary(totals),
    )
    return status.model_dump(by_alias=True, exclude_none=True)


def _summary(totals: Totals) -> Summary:
    return Summary(
        energy=format_energy(totals.energy),
        emissions=None if totals.emissions is None else format_emissions(totals.emissions),
        avoided=_avoided(totals),
    )


def _avoided(totals: Totals) -> str | None:
    """In grams and, of a saving, as a share; what waiting made worse has a word for it."""
    avoided, percent = totals.avoided, totals.avoided_percent
    if avoided is None or percent is None:
        return None
    if avoided < 0:
        return f"{format_emissions(MicrogramsCO2e(-avoided))} more"
    return f"{format_emissions(avoided)} ({percent} %)" if avoided else "0 %"


def _method(ledger: Ledger) -> str | None:
    measured = {cursor.source in MEASURED_SOURCES for cursor in ledger.sources}
    if not measured:
        return None
    return "Mixed" if len(measured) == 2 else "Measured" if measured == {True} else "Modelled"


def _milligrams(mass: MicrogramsCO2e | None) -> int | None:
    if mass is None:
        return None
    return (mass + MICROGRAMS_PER_MILLIGRAM // 2) // MICROGRAMS_PER_MILLIGRAM


def _percent(part: int, whole: int) -> int | None:
    return 100 * part // whole if whole else None


def _percent_up(part: int, whole: int) -> int | None:
    return -(-100 * part // whole) if whole else None
