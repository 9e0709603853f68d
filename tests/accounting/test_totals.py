"""Totals say how much, how sure, and nothing where there is nothing to say."""

from typing import Any

import pytest

from accounting_fakes import HOUR, KILOWATT_HOUR, MIDNIGHT, a_ledger, a_sample, grid, hours
from carbonaware_operator.accounting.ledger import empty_ledger, post
from carbonaware_operator.accounting.pricing import price
from carbonaware_operator.accounting.totals import status_fields, totals_of
from carbonaware_operator.api.job import CarbonAwareJobStatus
from carbonaware_operator.api.ledger import Ledger


def fields_of(ledger: Ledger, *grams: float | None, shift_hours: int = 0) -> dict[str, Any]:
    """The status of a ledger on a grid, compared with so many hours earlier."""
    archive = grid(*grams)
    shifts = ((MIDNIGHT, shift_hours * HOUR),)
    now = MIDNIGHT + hours(12)
    return status_fields(
        price(ledger, intensity=archive.mean, shifts=shifts, pue_milli=1000, now=now)
    )


class TestStatusFields:
    def test_state_energy_emissions_and_savings(self) -> None:
        """1 kWh at 100 g instead of 400 g: 300 g avoided, three quarters."""
        ledger = a_ledger(KILOWATT_HOUR, start=MIDNIGHT + hours(1))

        fields = fields_of(ledger, 400, 100, shift_hours=1)

        ledger_field = fields.pop("ledger")
        assert 2 == ledger_field["revision"]
        assert {
            "energyJoules": 3_600_000,
            "emissionsMilligrams": 100_000,
            "baselineEmissionsMilligrams": 400_000,
            "avoidedEmissionsMilligrams": 300_000,
            "avoidedPercent": 75,
            "pricedPercent": 100,
            "comparedPercent": 100,
            "estimatedPercent": 0,
            "summary": {"energy": "1.00 kWh", "emissions": "100 g", "avoided": "300 g (75 %)"},
        } == fields

    def test_are_negative_when_waiting_made_it_worse(self) -> None:
        """A forecast that was wrong is admitted."""
        fields = fields_of(
            a_ledger(KILOWATT_HOUR, start=MIDNIGHT + hours(1)), 100, 120, shift_hours=1
        )

        assert -20_000 == fields["avoidedEmissionsMilligrams"]
        assert -20 == fields["avoidedPercent"]
        assert "20.0 g more" == fields["summary"]["avoided"]

    def test_call_a_run_that_waited_for_nothing_neither(self) -> None:
        """It was no better and no worse than at once."""
        fields = fields_of(a_ledger(KILOWATT_HOUR, start=MIDNIGHT), 100)

        assert "0 %" == fields["summary"]["avoided"]

    def test_compare_only_what_has_both_sides(self) -> None:
        """Energy without a baseline is left out of the savings, not out of the emissions."""
        ledger = a_ledger(KILOWATT_HOUR, KILOWATT_HOUR, start=MIDNIGHT + hours(1))

        fields = fields_of(ledger, None, 100, 50, shift_hours=1)

        assert (150_000, 100_000, 50_000) == (
            fields["emissionsMilligrams"],
            fields["baselineEmissionsMilligrams"],
            fields["avoidedEmissionsMilligrams"],
        )
        assert (100, 50) == (fields["pricedPercent"], fields["comparedPercent"])

    def test_are_silent_on_what_is_unknown(self) -> None:
        """Unpriced energy has no emissions; it does not have zero emissions."""
        fields = fields_of(a_ledger(KILOWATT_HOUR), None)

        assert {
            "energyJoules": 3_600_000,
            "pricedPercent": 0,
            "comparedPercent": 0,
            "estimatedPercent": 0,
            "summary": {"energy": "1.00 kWh"},
        } == {name: value for name, value in fields.items() if name != "ledger"}

    def test_of_a_job_that_used_nothing_state_no_percentage(self) -> None:
        """A share of nothing is not a number."""
        fields = status_fields(empty_ledger())

        assert {"ledger", "energyJoules", "summary"} == set(fields)

    def test_are_fields_of_the_api(self) -> None:
        """What is written is what the CRD knows, and is read back the same."""
        ledger = a_ledger(KILOWATT_HOUR)

        assert ledger == CarbonAwareJobStatus.model_validate(status_fields(ledger)).ledger


class TestTotals:
    @pytest.mark.parametrize(
        ("sources", "method"),
        [
            (["rapl", "nvml_counter", "hwmon", "nvml_power"], "Measured"),
            (["curve", "shape", "tdp"], "Modelled"),
            (["rapl", "tdp"], "Mixed"),
            (["something new"], "Modelled"),
            ([], None),
        ],
        ids=["sensors", "models", "both", "unknown: not claimed to be measured", "no energy"],
    )
    def test_name_how_energy_is_known(self, sources: list[str], method: str | None) -> None:
        """Measured means that every series came from a sensor."""
        samples = [a_sample(1, source=source) for source in sources]

        assert method == totals_of(post(empty_ledger(), samples, period_seconds=HOUR)).method

    def test_never_flatter(self) -> None:
        """99.9 % priced is not 100 %, and a trace of estimates is not 0 %."""
        ledger = a_ledger(999, 1)
        first, second = ledger.hours
        ledger = ledger.model_copy(
            update={
                "hours": [
                    first.model_copy(update={"milligrams_per_kwh": 1}),
                    second,
                ]
            }
        )
        estimated = ledger.model_copy(
            update={
                "hours": [
                    first,
                    second.model_copy(update={"milligrams_per_kwh": 1, "estimated": True}),
                ]
            }
        )

        assert 99 == totals_of(ledger).priced_percent
        assert 1 == totals_of(estimated).estimated_percent
