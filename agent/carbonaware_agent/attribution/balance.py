"""A platform's meter against its measured parts: what is left is the rest, and never negative.

The meter and the counters do not read the same instant, so that parts may seem to draw more than
the whole. Such a deficit is owed, and settled against the next intervals.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Balance:
    """What a platform and its parts drew since both were last known together, in microjoules.

    owed_uj: by how much the parts exceeded the platform so far and not yet got back, >= 0.
    broken: something drew energy meanwhile that is not known, so that no rest can be told.
    """

    platform_uj: int = 0
    parts_uj: int = 0
    owed_uj: int = 0
    broken: bool = False

    def settle(self) -> tuple[int, int]:
        """The platform's energy, and the rest of it.

        Over all settlements platform = parts + rest - owed, exactly.
        """
        platform_uj = self.platform_uj
        left_uj = platform_uj - self.parts_uj - self.owed_uj
        self.forget()
        self.owed_uj = max(0, -left_uj)
        return platform_uj, max(0, left_uj)

    def forget(self) -> None:
        """Begin anew from here, with what is owed."""
        self.platform_uj = self.parts_uj = 0
        self.broken = False


@dataclass(slots=True)
class Parts:
    """What the measured domains drew in one tick.

    complete: none of them waits for a reading. broken: the energy of one since its last reading
    is not known.
    """

    energy_uj: int = 0
    complete: bool = True
    broken: bool = False
