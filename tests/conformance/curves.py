"""What a machine draws at which load: the curves that the scenarios take as the truth.

They are not taken from the agent's own model, because a truth that is read from the code under
test would follow its mistakes.
"""

from dataclasses import dataclass
from statistics import quantiles

from benchmarks.power_models import Server, servers


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

    def by_utilisation(self, load: float) -> float:
        """What utilisation times power is of the power beyond idle, which is the truth."""
        return load * self.at(load) / (self.at(load) - self.at(0))


# Median of the 147 servers since 2019 in the SPECpower_ssj2008 results.
MEDIAN = Curve(
    "median server since 2019",
    (0.22, 0.35, 0.40, 0.45, 0.51, 0.56, 0.62, 0.69, 0.78, 0.89, 1.00),
)


def _curve(server: Server) -> Curve:
    return Curve(server.name, tuple(watts / server.watts[-1] for watts in server.watts))


SERVERS = tuple(map(_curve, servers()))
_RANKED = sorted(SERVERS, key=lambda curve: curve.by_utilisation(0.1))
# The tenth and the ninetieth percentile: real servers of the table, not a mean of several.
LOW = _RANKED[round(0.1 * (len(_RANKED) - 1))]
HIGH = _RANKED[round(0.9 * (len(_RANKED) - 1))]


def spread(load: float) -> tuple[float, float, float]:
    """Tenth, fiftieth and ninetieth percentile of `by_utilisation` over all servers."""
    tenths = quantiles((curve.by_utilisation(load) for curve in SERVERS), n=10)
    return tenths[0], tenths[4], tenths[8]
