"""Energy is shown in the unit that suits its size."""

import pytest

from carbonaware_operator.quantities.energy import (
    MICROJOULES_PER_JOULE,
    MICROJOULES_PER_KILOWATT_HOUR,
    Microjoules,
    format_energy,
)


class TestFormatEnergy:
    @pytest.mark.parametrize(
        ("microjoules", "expected"),
        [
            (0, "0.00 J"),
            (42 * MICROJOULES_PER_JOULE, "42.0 J"),
            (3600 * MICROJOULES_PER_JOULE, "1.00 Wh"),
            (MICROJOULES_PER_KILOWATT_HOUR // 4, "250 Wh"),
            (MICROJOULES_PER_KILOWATT_HOUR * 9 // 5, "1.80 kWh"),
            (MICROJOULES_PER_KILOWATT_HOUR * 123_456, "123456 kWh"),
        ],
    )
    def test_keeps_three_digits(self, microjoules, expected):
        """Joules below a watt-hour, watt-hours below a kilowatt-hour, then kilowatt-hours."""
        assert expected == format_energy(Microjoules(microjoules))

    @pytest.mark.parametrize(
        ("microjoules", "expected"),
        [
            (9_999_000, "10.0 J"),
            (99_990_000, "100 J"),
        ],
    )
    def test_drops_a_decimal_where_rounding_adds_a_digit(self, microjoules, expected):
        """A value that rounds up to 10 or 100 is written like one of that size."""
        assert expected == format_energy(Microjoules(microjoules))
