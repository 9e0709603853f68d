"""The ports behind which every source of grid intensity stands, one for each kind of signal."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point
from carbonaware_operator.quantities.instants import Instant


@dataclass(frozen=True, slots=True)
class Cadence:
    """How a source is to be asked; all in seconds.

    poll: how often it is worth asking.
    stale: how long the newest value stays usable after the end of its interval. Above zero, or
    a value would be missing for the moment that it takes to ask for the next one.
    revised: how far back values may still change.
    rest: how long to leave the source alone at least, also after a question that failed.
    """

    poll: float
    stale: float
    revised: float = 0.0
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Access:
    """What a source says of the access it grants, for `kubectl carbonaware zones check`.

    allowed: what may be read, each a short phrase such as `intensity now` or `forecast, 72 h`;
    limits: what the plan leaves out or how often it may be asked, each with what to change.
    """

    allowed: tuple[str, ...]
    limits: tuple[str, ...] = ()


class Source(Protocol):
    """What a source of either kind tells of itself."""

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


class Provider(Source, Protocol):
    """A source of average intensity for one zone."""

    def points(self, start: Instant, end: Instant) -> list[Point]:
        """What is known of [start, end], in order of time; no interval begins after `end`.

        Blocks: called in a worker thread. Raises SignalError.
        """
        ...


class MarginalProvider(Source, Protocol):
    """A source of marginal intensity for one zone; it can stand for no `Provider`."""

    def points(self, start: Instant, end: Instant) -> list[MarginalPoint]:
        """As of `Provider.points`."""
        ...


@runtime_checkable
class Forecasts(Protocol):
    """A provider that also says what it expects; not every one does."""

    def forecast(self, now: Instant) -> Forecast | None:
        """What the source itself expects from now on; None where the key's plan has no forecast.

        Blocks: called in a worker thread. Raises SignalError.
        """
        ...


class Checks(Protocol):
    """A provider of either kind that can find out what its key may do."""

    def check(self) -> Access:
        """What may be read with this key, found out by asking.

        Blocks. Raises SignalError; its message says what to change.
        """
        ...
