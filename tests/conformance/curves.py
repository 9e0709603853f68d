"""What a machine draws at which load: the curves that the scenarios take as the truth.

Written down here a second time rather than imported, because a truth that is read from the code
under test would follow its mistakes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Curve:
    """Share of maximum power at 0, 10 .. 100 % load, straight between those points."""

    name: str
    points: tuple[float, ...]

    def at(self, load: float) -> float:
        """Power over maximum power at a load of 0 to 1."""
        position = load * (len(self.points) - 1)
        below = min(int(position), len(self.points) - 2)
        return self.points[below] + (position - below) * (
            self.points[below + 1] - self.points[below]
        )


# Median of the 147 servers since 2019 in the SPECpower_ssj2008 results.
MEDIAN = Curve(
    "median server since 2019",
    (0.22, 0.35, 0.40, 0.45, 0.51, 0.56, 0.62, 0.69, 0.78, 0.89, 1.00),
)
# Idle share of the 2004-2010 servers in the same results; straight, because that was their form.
OLD = Curve(
    "server of 2004-2010",
    tuple(round(0.47 + 0.53 * tenth / 10, 3) for tenth in range(11)),
)
# Package power by RAPL at 0.6, 10 .. 89 % load over the highest reading, 50.7 W, from codecarbon's
# cpu_load_profiling/AMD_EPYC_8024P_8C (all cores; MIT). Its last point fell back to 46 W, as the
# chip lowered its clock; a curve must not fall, so the highest reading stands there.
STEEP = Curve(
    "EPYC 8024P by RAPL",
    (0.012, 0.367, 0.582, 0.762, 0.823, 0.852, 0.939, 0.960, 0.972, 0.985, 1.000),
)
