"""Readings: what an answer says before it is known which kind of signal it is.

A module of a provider turns answers into readings and knows nothing of signals. `Average` and
`Marginal` make typed points of them, and see to what goes wrong with every provider alike: periods
outside of the question, values of the future, any order, the same period twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.errors import SignalError
from carbonaware_operator.grid.points import (
    Forecast,
    MarginalPoint,
    Point,
    PointKind,
    intensity_of,
    marginal_intensity_of,
)
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.quantities.periods import period_start

HORIZON_HOURS = 96
HOUR = timedelta(hours=1)
UNSHAPED = (
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    OverflowError,
    OSError,  # what a platform makes of Unix seconds that are no instant
)
"""What reading an answer of another shape raises; a parser makes SignalMalformed of it."""


class Reading(NamedTuple):
    """The mean intensity of [start, end), gCO2e/kWh, of 0 to 5000."""

    start: Instant
    end: Instant
    grams: float
    kind: PointKind = PointKind.ACTUAL


class Expected(NamedTuple):
    """What a provider expects, and since when it does."""

    issued: Instant
    readings: Sequence[Reading]


class Api(Protocol):
    """One zone of one provider, as its module reads it; all methods block and raise SignalError."""

    @property
    def source(self) -> str:
        """Who says so."""
        ...

    @property
    def factors(self) -> EmissionFactors | None:
        """Which emissions are counted; None where that is not known."""
        ...

    @property
    def cadence(self) -> Cadence:
        """How to ask."""
        ...

    def readings(self, start: Instant, end: Instant) -> Iterable[Reading]:
        """What is known of [start, end]; may hold more, in any order."""
        ...

    def expected(self, now: Instant) -> Expected | None:
        """What the provider expects from now on; None where it tells nobody, or not this key."""
        ...

    def access(self) -> Access:
        """What the key may do as far as the provider says so, and how often it may be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Average:
    """An API whose values are average intensities: a Provider that forecasts and can be checked."""

    api: Api

    @property
    def source(self) -> str:
        """Who says so."""
        return self.api.source

    @property
    def factors(self) -> EmissionFactors | None:
        """Which emissions are counted."""
        return self.api.factors

    @property
    def cadence(self) -> Cadence:
        """How to ask."""
        return self.api.cadence

    def points(self, start: Instant, end: Instant) -> list[Point]:
        """What is known of [start, end], in order; blocks, raises SignalError."""
        return [
            Point(r.start, r.end, intensity_of(r.grams), r.kind, self.source, self.factors)
            for r in overlapping(self.api.readings(start, end), start, end)
        ]

    def forecast(self, now: Instant) -> Forecast | None:
        """Hourly means of what the provider expects; blocks, raises SignalError."""
        expected = self.api.expected(now)
        values = hourly(expected.readings, now) if expected else ()
        if expected is None or not values:
            return None
        return Forecast(expected.issued, period_start(now), HOUR, values, self.source)

    def check(self) -> Access:
        """What may be read, found out by reading it; blocks, raises SignalError."""
        return _checked(self)


@dataclass(frozen=True, slots=True)
class Marginal:
    """An API whose values are marginal intensities: a MarginalProvider that can be checked."""

    api: Api

    @property
    def source(self) -> str:
        """Who says so."""
        return self.api.source

    @property
    def factors(self) -> EmissionFactors | None:
        """Which emissions are counted."""
        return self.api.factors

    @property
    def cadence(self) -> Cadence:
        """How to ask."""
        return self.api.cadence

    def points(self, start: Instant, end: Instant) -> list[MarginalPoint]:
        """What is known of [start, end], in order; blocks, raises SignalError."""
        return [
            MarginalPoint(
                r.start, r.end, marginal_intensity_of(r.grams), r.kind, self.source, self.factors
            )
            for r in overlapping(self.api.readings(start, end), start, end)
        ]

    def check(self) -> Access:
        """What may be read, found out by reading it; blocks, raises SignalError."""
        return _checked(self)


def overlapping(readings: Iterable[Reading], start: Instant, end: Instant) -> list[Reading]:
    """Readings of [start, end] in order of time; of two with the same start, the later given."""
    by_start = {reading.start: reading for reading in readings}
    return [by_start[t] for t in sorted(by_start) if by_start[t].end > start and t <= end]


def hourly(readings: Iterable[Reading], now: Instant) -> tuple[MilligramsPerKWh, ...]:
    """Means of the hours from the one that holds `now` on, up to the first that is not known.

    An hour is known when readings cover half of it; of the first hour any part will do, because a
    forecast begins in it.
    """
    first = period_start(now)
    by_start = {reading.start: reading for reading in readings if reading.end > first}
    sums = [[0.0, 0.0] for _ in range(HORIZON_HOURS)]
    for reading in by_start.values():
        _lay(reading, first, sums)
    means: list[MilligramsPerKWh] = []
    for known, total in sums:
        if known <= 0 or (means and known < HOUR.total_seconds() / 2):
            break
        means.append(intensity_of(total / known))
    return tuple(means)


def grams_of(value: Any) -> float:
    """A provider's value in gCO2e/kWh; raises ValueError as `intensity_of` does."""
    intensity_of(value)
    return float(value)


def number_of(text: Any) -> float:
    """A number that a provider writes as a string; raises TypeError, ValueError."""
    if not isinstance(text, str):
        raise TypeError("must be a string")
    return float(text)


def _lay(reading: Reading, first: Instant, sums: list[list[float]]) -> None:
    """Add a reading to the seconds known of each hour, and to their weighted sum."""
    begin, last = max(reading.start, first), first + HORIZON_HOURS * HOUR
    while begin < min(reading.end, last):
        index = (begin - first) // HOUR
        end = min(reading.end, first + (index + 1) * HOUR)
        seconds = (end - begin).total_seconds()
        sums[index][0] += seconds
        sums[index][1] += seconds * reading.grams
        begin = end


def _checked(provider: Average | Marginal) -> Access:
    """Ask for what the operator would ask for."""
    stated, now = provider.api.access(), datetime.now(UTC)
    allowed = ["intensity now"] if provider.points(now, now) else []
    limits = [] if allowed else ["the source has no value for now; it may come later"]
    if provider.points(now - 24 * HOUR, now - HOUR):
        allowed.append("history, 24 h")
    try:
        expected = provider.api.expected(now)
    except SignalError as error:
        limits.append(f"no forecast: {error}")
    else:
        hours = len(hourly(expected.readings, now)) if expected else 0
        allowed += [f"forecast, {hours} h"] if hours else []
        limits += [] if hours else ["no forecast of the source itself"]
    return Access((*allowed, *stated.allowed), (*limits, *stated.limits))
