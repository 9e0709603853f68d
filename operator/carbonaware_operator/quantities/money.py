"""Money: prices of energy as integers, millionths of a currency unit."""

from typing import NewType

MicrosPerKWh = NewType("MicrosPerKWh", int)
"""Price of energy, millionths of a currency unit per kWh; negative when takers are paid."""


def micros_per_kwh(per_megawatt_hour: float) -> MicrosPerKWh:
    """Price from currency units per MWh, as markets quote it, rounded to the millionth per kWh."""
    return MicrosPerKWh(round(per_megawatt_hour * 1000))
