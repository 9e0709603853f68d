"""Energy: integers in microjoules wherever it is added, joules and kWh for people."""

from typing import NewType

Microjoules = NewType("Microjoules", int)

MICROJOULES_PER_JOULE = 1_000_000
JOULES_PER_KILOWATT_HOUR = 3_600_000  # exact, SI
MICROJOULES_PER_KILOWATT_HOUR = MICROJOULES_PER_JOULE * JOULES_PER_KILOWATT_HOUR


def format_energy(energy: Microjoules) -> str:
    """Energy with a unit that suits its size: `42 J`, `3.1 Wh`, `1.8 kWh`."""
    joules = energy / MICROJOULES_PER_JOULE
    if joules < 3600:
        return f"{_three_digits(joules)} J"
    if joules < JOULES_PER_KILOWATT_HOUR:
        return f"{_three_digits(joules / 3600)} Wh"
    return f"{_three_digits(joules / JOULES_PER_KILOWATT_HOUR)} kWh"


def _three_digits(value: float) -> str:
    # The limits are those at which the shorter format rounds up to one more digit.
    return (
        f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
    )
