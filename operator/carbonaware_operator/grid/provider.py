"""The port behind which every source of grid intensity stands."""

from dataclasses import dataclass
from typing import Protocol

from carbonaware_operator.api.zone import EmissionFactors
from carbonaware_operator.grid.points import Point
from carbonaware_operator.quantities.instants import Instant


@dataclass(frozen=True, slots=True)
class Cadence:
    """How a source is to be asked; all in seconds.

    poll: how often it is worth asking.
    stale: how long the newest value stays usable after the end of its interval. Above zero, or
    a value would be missing for the moment that it takes to ask for the next one.
    revised: how far back values may still change.
    """

    poll: float
    stale: float
    revised: float = 0.0


class Provider(Protocol):
    """A source of average intensity for one zone."""

    @property
    def source(self) -> str:
        """Who says so: values of different sources are never mixed in one archive."""
        ...

    @property
    def factors(self) -> EmissionFactors | None:
        """Which emissions are counted; None where that is not known."""
        ...

    @property
    def cadence(self) -> Cadence:
        """How to ask."""
        ...

    def points(self, start: Instant, end: Instant) -> list[Point]:
        """What is known of [start, end], in order of time; no interval begins after `end`.

        Blocks: called in a worker thread. Raises SignalError.
        """
        ...
