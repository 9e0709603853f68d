"""Pricing: grams and their baseline follow from energy, archive and shifts alone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting_fakes import (
    KILOWATT_HOUR,
    MIDNIGHT,
    Archive,
    a_ledger,
    grid,
    hours,
)
from carbonaware_operator.accounting.pricing import MOST_OPEN_PERIODS, Shift, price
from carbonaware_operator.accounting.sums import sums_of
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.grid.archive import PeriodIntensity
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant

AT_ONCE = ((MIDNIGHT, 0),)
NOON = MIDNIGHT + hours(12)


def priced(
    ledger: Ledger,
    archive: Archive,
    *shifts: Shift,
    now: Instant = NOON,
    pue: int = 1000,
) -> Ledger:
    """A ledger priced half a day in."""
    return price(ledger, intensity=archive.mean, shifts=shifts, pue_milli=pue, now=now)


class TestPrice:
    def test_takes_the_mean_of_each_period(self) -> None:
        """1 kWh in an hour of 300 g/kWh and 1 kWh in one of 100 g/kWh are 400 g."""
        ledger = priced(a_ledger(KILOWATT_HOUR, KILOWATT_HOUR), grid(300, 100))

        assert 400_000_000 == sums_of(ledger).emissions

    def test_multiplies_by_the_usage_effectiveness_captured_at_first(self) -> None:
        """A PUE that changes later changes nothing that was priced before."""
        first = priced(a_ledger(KILOWATT_HOUR), grid(300), pue=1200)

        again = priced(first, grid(100), pue=2000)

        assert 360_000_000 == sums_of(first).emissions
        assert 120_000_000 == sums_of(again).emissions

    def test_leaves_a_period_without_a_value_unpriced(self) -> None:
        """Unknown is not zero."""
        ledger = priced(a_ledger(5, 7), grid(300, None))

        assert (12, 5) == (sums_of(ledger).energy, sums_of(ledger).priced)

    def test_keeps_a_price_when_the_archive_has_none_any_more(self) -> None:
        """An operator that has just started, its archive not read yet, takes nothing back."""
        before = priced(a_ledger(5), grid(300), *AT_ONCE)

        assert before is priced(before, grid(), *AT_ONCE)

    def test_follows_a_revised_estimate(self) -> None:
        """Within a day the provider may replace an estimate, and the price follows."""
        guess = Archive({MIDNIGHT: PeriodIntensity(MilligramsPerKWh(250_000), estimated=True)})
        before = priced(a_ledger(KILOWATT_HOUR), guess)

        after = priced(before, grid(200))

        assert (KILOWATT_HOUR, 0) == (sums_of(before).estimated, sums_of(after).estimated)
        assert 200_000_000 == sums_of(after).emissions

    def test_changes_nothing_twice(self) -> None:
        """The same archive gives the same ledger, with the same revision: there is no write."""
        before = priced(a_ledger(5, 7), grid(300, 100), *AT_ONCE)

        assert before is priced(before, grid(300, 100), *AT_ONCE)


class TestBaseline:
    def test_is_the_period_that_the_shift_leads_to(self) -> None:
        """Released three hours late, 1 kWh at 100 g is compared with the 400 g of then."""
        ledger = a_ledger(KILOWATT_HOUR, start=MIDNIGHT + hours(3))

        sums = sums_of(priced(ledger, grid(400, 300, 200, 100), (MIDNIGHT, 3 * 3600)))

        assert (100_000_000, 400_000_000) == (sums.emissions, sums.baseline)

    def test_weights_the_two_periods_that_a_shift_lies_across(self) -> None:
        """Fifteen minutes at 400 g and forty-five at 200 g are 250 g."""
        ledger = a_ledger(KILOWATT_HOUR, start=MIDNIGHT + hours(3))

        sums = sums_of(priced(ledger, grid(400, 200, 0, 100), (MIDNIGHT, 8100)))

        assert 250_000_000 == sums.baseline

    def test_takes_the_shift_in_effect_at_the_periods_end(self) -> None:
        """A resumption within a period shifts all of it; one at its end shifts the next."""
        ledger = a_ledger(1, 1, 1, start=MIDNIGHT + hours(6))
        archive = grid(0, 1, 2, 3, 4, 5, 6, 7, 8)
        shifts = (
            (MIDNIGHT + hours(6), 3600),
            (MIDNIGHT + hours(7.5), 2 * 3600),
            (MIDNIGHT + hours(9), 3 * 3600),
        )

        hours_ = priced(ledger, archive, *shifts).hours

        assert [5000, 5000, 6000] == [period.baseline_milligrams_per_kwh for period in hours_]

    def test_is_absent_where_the_archive_has_a_gap(self) -> None:
        """A comparison with half an hour unknown is none."""
        ledger = a_ledger(5, start=MIDNIGHT + hours(2))

        sums = sums_of(priced(ledger, grid(300, None, 100), (MIDNIGHT, 5400)))

        assert (5, 0) == (sums.priced, sums.compared)

    def test_is_absent_without_a_shift(self) -> None:
        """A job that nobody released has nothing to be compared with."""
        assert 0 == sums_of(priced(a_ledger(5), grid(300))).compared

    def test_of_energy_before_the_release_takes_the_first_shift(self) -> None:
        """Clocks of nodes differ; energy that seems too early is still compared."""
        ledger = a_ledger(5, start=MIDNIGHT + hours(1))

        sums = sums_of(priced(ledger, grid(300, 100), (MIDNIGHT + hours(4), 3600)))

        assert 5 == sums.compared

    def test_on_an_estimate_makes_the_period_estimated(self) -> None:
        """A saving is as sure as the less sure of its two sides."""
        archive = grid(300, 100)
        archive.means[MIDNIGHT] = PeriodIntensity(MilligramsPerKWh(300_000), estimated=True)

        ledger = priced(a_ledger(5, start=MIDNIGHT + hours(1)), archive, (MIDNIGHT, 3600))

        assert 5 == sums_of(ledger).estimated


class TestFreezing:
    @pytest.mark.parametrize(("after_end", "open_periods"), [(24, 0), (23.99, 1)])
    def test_is_24_hours_after_the_end_of_a_period(
        self, after_end: float, open_periods: int
    ) -> None:
        """A period is open for a day, and then its sums are all that is left of it."""
        now = MIDNIGHT + hours(1 + after_end)

        ledger = priced(a_ledger(KILOWATT_HOUR), grid(300), *AT_ONCE, now=now)

        assert open_periods == len(ledger.hours)
        assert (KILOWATT_HOUR, 300_000_000) == (
            sums_of(ledger).energy,
            sums_of(ledger).compared_emissions,
        )

    def test_of_the_oldest_comes_early_when_there_are_too_many(self) -> None:
        """With periods of seconds the CRD's bound comes before the day is over."""
        ledger = a_ledger(*range(1, 701), seconds=1)

        after = priced(ledger, Archive(), now=MIDNIGHT + hours(0.5))

        assert MOST_OPEN_PERIODS == len(after.hours)
        assert sum(range(1, 701)) == sums_of(after).energy
        assert 700 == after.hours[-1].microjoules

    @given(
        energies=st.lists(st.integers(1, 10**13), min_size=1, max_size=60),
        grams=st.lists(st.one_of(st.none(), st.integers(0, 900)), min_size=60, max_size=60),
        looks=st.lists(st.integers(0, 120), max_size=6).map(sorted),
        pue=st.integers(1000, 2000),
    )
    def test_changes_no_total(
        self, energies: list[int], grams: list[int | None], looks: list[int], pue: int
    ) -> None:
        """Looked at seldom or often, frozen early or late: energy and grams are the same."""
        archive, shift = grid(*grams), (MIDNIGHT, 7200)
        often = a_ledger(*energies)
        for look in looks:
            often = priced(often, archive, shift, now=MIDNIGHT + hours(look), pue=pue)

        end = MIDNIGHT + hours(200)
        once = priced(a_ledger(*energies), archive, shift, now=end, pue=pue)

        assert sums_of(once) == sums_of(priced(often, archive, shift, now=end, pue=pue))

    def test_survives_the_api(self) -> None:
        """Frozen sums above what a float can hold are read back to the microjoule."""
        many = a_ledger(*[2**53 + 1] * 3)
        ledger = priced(many, grid(1, 2, 3), *AT_ONCE, now=MIDNIGHT + timedelta(days=9))

        text = ledger.model_dump_json(by_alias=True, exclude_none=True)

        assert 3 * (2**53 + 1) == sums_of(Ledger.model_validate_json(text)).energy
