"""A power curve: straight lines between the loads at which power was measured."""

from bisect import bisect_right
from collections.abc import Sequence


class PowerCurve:
    """Power by load.

    points: (load, watts) pairs, at least two; load is the busy share of all CPUs, 0 to 1, and
    rises from point to point.
    """

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self.points = tuple(sorted(points))
        self._loads = [load for load, _ in self.points]

    def watts(self, load: float) -> float:
        """Power at a load; what lies outside 0 to 1 counts as the nearer end.

        The first and the last line go on beyond their points: no machine is measured at a load
        of exactly 0 or 1.
        """
        load = min(1.0, max(0.0, load))
        above = min(max(bisect_right(self._loads, load), 1), len(self._loads) - 1)
        (low, low_watts), (high, high_watts) = self.points[above - 1 : above + 1]
        slope = (high_watts - low_watts) / (high - low)
        return max(0.0, low_watts + (load - low) * slope)
