"""Energy-Charts of Fraunhofer ISE: quarter hours of one country, and day-ahead prices; no key.

Source: https://api.energy-charts.info. Data under CC BY 4.0.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.endpoint import Endpoint
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.grid.readings import UNSHAPED, Expected, Reading, grams_of
from carbonaware_operator.quantities.instants import FIRST_YEAR, LAST_YEAR, Instant, from_unix

DEFAULT_URL = "https://api.energy-charts.info"
_QUARTER_SECONDS = 900
_AHEAD = timedelta(days=2)  # what is forecast; days are those of the country besides


class EnergyCharts:
    """One country. Values that are not known yet are those that were forecast, as estimates.

    What was and what is expected are in one answer, which is kept: more than one question in a
    quarter of an hour is answered with 429.
    """

    cadence = Cadence(poll=_QUARTER_SECONDS, stale=3600, revised=24 * 3600, rest=_QUARTER_SECONDS)
    factors: EmissionFactors | None = None

    def __init__(
        self,
        *,
        country: str,
        url: str = DEFAULT_URL,
        egress: Egress,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet; monotonic: a clock, seconds since some start."""
        self.source = f"EnergyCharts/{country}"
        self._country, self._monotonic = country, monotonic
        self._endpoint = Endpoint(
            url,
            member="energyCharts",
            subject=f"country {country!r}",
            egress=egress,
            persistent=False,
        )
        self._rows: list[_Row] = []
        self._rows_until = -math.inf

    def readings(self, start: Instant, end: Instant) -> list[Reading]:
        """Quarter hours of the days of [start, end]. Raises SignalError."""
        rows = self._ask(start, end)
        return [r for row in rows if row.start <= end and (r := row.reading()) is not None]

    def expected(self, now: Instant) -> Expected | None:
        """The rest of what is forecast, for today and where it is there for tomorrow."""
        rows = self._rows if self._monotonic() < self._rows_until else self._ask(now, now)
        return Expected(
            now,
            [
                Reading(row.start, row.end, row.forecast, PointKind.FORECAST)
                for row in rows
                if row.end > now and row.forecast is not None
            ],
        )

    def access(self) -> Access:
        """There is no key; questions are limited by address."""
        return Access((), ("at most one question in 15 minutes for a country",))

    def _ask(self, first: Instant, last: Instant) -> list["_Row"]:
        answer = self._endpoint.ask(
            "/co2eq",
            {
                "country": self._country,
                "start": f"{first:%Y-%m-%d}",
                "end": f"{last + _AHEAD:%Y-%m-%d}",
            },
        )
        try:
            self._rows = list(_rows(answer))
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "the answer must have `unix_seconds`, `co2eq` and `co2eq_forecast` of the same"
                " length, with values of 0 to 5000 or null"
            ) from error
        self._rows_until = self._monotonic() + _QUARTER_SECONDS
        return self._rows


class _Row(NamedTuple):
    start: Instant
    end: Instant
    actual: float | None
    forecast: float | None

    def reading(self) -> Reading | None:
        """The actual value, else the forecast one as an estimate, else nothing."""
        if self.actual is not None:
            return Reading(self.start, self.end, self.actual)
        if self.forecast is not None:
            return Reading(self.start, self.end, self.forecast, PointKind.ESTIMATE)
        return None


def _rows(answer: Any) -> Iterator[_Row]:
    starts, actual = answer["unix_seconds"], answer["co2eq"]
    forecast = answer.get("co2eq_forecast") or [None] * len(actual)
    for (start, end), was, expected in zip(spans(starts), actual, forecast, strict=True):
        yield _Row(start, end, _grams(was), _grams(expected))


def _grams(value: Any) -> float | None:
    return None if value is None else grams_of(value)


def spans(unix_seconds: Sequence[Any]) -> list[tuple[Instant, Instant]]:
    """The intervals that begin at these instants, each as long as the shortest step.

    Raises TypeError, ValueError: they are no ascending whole seconds.
    """
    if not all(type(second) is int for second in unix_seconds):
        raise TypeError("must be whole seconds")
    steps = [after - before for before, after in pairwise(unix_seconds)]
    step = timedelta(seconds=min([*steps, 86_400]) if steps else _QUARTER_SECONDS)
    if step <= timedelta(0):
        raise ValueError("must ascend")
    starts = [from_unix(second) for second in unix_seconds]
    if not all(FIRST_YEAR <= start.year <= LAST_YEAR for start in starts):
        raise ValueError("must be instants of this age")
    return [(start, start + step) for start in starts]
