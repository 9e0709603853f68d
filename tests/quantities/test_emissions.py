"""Emissions are integers, rounded once; masses are shown in the unit that suits them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_operator.quantities.emissions import (
    MicrogramsCO2e,
    MilligramsPerKWh,
    NegativeEnergyError,
    format_emissions,
    milligrams_per_kwh,
    operational_emissions,
)
from carbonaware_operator.quantities.energy import MICROJOULES_PER_KILOWATT_HOUR, Microjoules

energies = st.integers(min_value=0, max_value=2**63).map(Microjoules)
intensities = st.integers(min_value=0, max_value=5_000_000).map(MilligramsPerKWh)
pues = st.integers(min_value=1000, max_value=5000)


class TestOperationalEmissions:
    def test_one_kilowatt_hour_emits_the_intensity(self):
        """1 kWh at 300 g/kWh is 300 g."""
        grams = operational_emissions(
            Microjoules(MICROJOULES_PER_KILOWATT_HOUR), milligrams_per_kwh(300)
        )

        assert 300_000_000 == grams

    def test_power_usage_effectiveness_multiplies(self):
        """A data centre of PUE 1.2 draws a fifth more."""
        grams = operational_emissions(
            Microjoules(MICROJOULES_PER_KILOWATT_HOUR), milligrams_per_kwh(300), pue_milli=1200
        )

        assert 360_000_000 == grams

    @given(energies, intensities, pues)
    def test_is_the_exact_product_rounded_half_up(self, energy, intensity, pue):
        """No float is involved: the error is at most half a microgram, however large the energy."""
        exact = Fraction(energy * intensity * pue, MICROJOULES_PER_KILOWATT_HOUR)

        assert int(exact + Fraction(1, 2)) == operational_emissions(energy, intensity, pue)

    def test_refuses_negative_energy(self):
        """A counter that went backwards must be corrected before it is priced."""
        with pytest.raises(NegativeEnergyError, match="at least 0"):
            operational_emissions(Microjoules(-1), milligrams_per_kwh(300))


class TestFormatEmissions:
    @pytest.mark.parametrize(
        ("micrograms", "expected"),
        [
            (0, "0.0 µg"),
            (53, "53.0 µg"),
            (5_200, "5.2 mg"),
            (612_000_000, "612 g"),
            (-1_400_000_000, "-1.4 kg"),
            (2_500_000_000_000, "2.5 t"),
        ],
    )
    def test_picks_the_unit(self, micrograms, expected):
        """Milligrams below a gram, grams below a kilogram, kilograms below a tonne."""
        assert expected == format_emissions(MicrogramsCO2e(micrograms))

    def test_drops_the_decimal_where_rounding_adds_a_digit(self):
        """A value that rounds up to 100 is written like one of that size."""
        assert "100 g" == format_emissions(MicrogramsCO2e(99_970_000))


class TestMilligramsPerKWh:
    def test_rounds_a_providers_float(self):
        """Providers answer with floats; the milligram is kept."""
        assert 123_457 == milligrams_per_kwh(123.4567)
