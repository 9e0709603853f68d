"""The Web API of the Green Software Foundation's Carbon Aware SDK, which stands before others.

Source: https://github.com/Green-Software-Foundation/carbon-aware-sdk, src/CarbonAware.WebApi.
"""

from datetime import timedelta
from itertools import pairwise
from typing import Any

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.endpoint import Endpoint
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.grid.readings import UNSHAPED, Expected, Reading, grams_of
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant

_LOOK_BACK = timedelta(hours=2)  # what it answers lags behind by its provider's delay
_LONE = timedelta(minutes=5)  # the shortest step of any provider behind it
_LONGEST = timedelta(days=1)


class CarbonAwareSDK:
    """One location."""

    cadence = Cadence(poll=300, stale=3600, revised=3600)

    def __init__(
        self, *, location: str, url: str, egress: Egress, factors: EmissionFactors | None = None
    ) -> None:
        self.source = f"CarbonAwareSDK/{location}"
        self.factors = factors
        self._location = location
        self._endpoint = Endpoint(
            url, member="carbonAwareSDK", subject=f"location {location!r}", egress=egress
        )

    def readings(self, start: Instant, end: Instant) -> list[Reading]:
        """The ratings of [start, end], each up to the next. Raises SignalError."""
        query = {
            "location": self._location,
            "time": format_instant(min(start, end - _LOOK_BACK)),
            "toTime": format_instant(end),
        }
        answer = self._endpoint.ask("/emissions/bylocation", query)
        try:
            return _ratings(answer or [])
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "the answer must be a list with a `time` and a `rating` of 0 to 5000, all of one"
                " location"
            ) from error

    def expected(self, now: Instant) -> Expected | None:
        """The provider's current forecast; None where it has none."""
        answer = self._endpoint.ask("/emissions/forecasts/current", {"location": self._location})
        try:
            return _forecast(answer) if answer else None
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "a forecast must have `generatedAt`, and `forecastData` with a `timestamp`, a"
                " `duration` in minutes and a `value` of 0 to 5000"
            ) from error

    def access(self) -> Access:
        """The limits are those of the provider behind it."""
        return Access(())


def _ratings(answer: Any) -> list[Reading]:
    if not isinstance(answer, list):
        raise TypeError("must be a list")
    if len({item["location"] for item in answer}) > 1:
        raise ValueError("must be of one location")
    rows = sorted((parse_instant(i["time"]), grams_of(i["rating"])) for i in answer)
    steps = [after[0] - before[0] for before, after in pairwise(rows)]
    positive = [step for step in steps if step > timedelta(0)]
    step = min([*positive, _LONGEST]) if positive else _LONE
    return [Reading(begin, begin + step, grams) for begin, grams in rows]


def _forecast(answer: Any) -> Expected:
    if not isinstance(answer, list):
        raise TypeError("must be a list")
    (forecast,) = answer
    readings = [minutes_reading(item, PointKind.FORECAST) for item in forecast["forecastData"]]
    return Expected(parse_instant(forecast["generatedAt"]), readings)


def minutes_reading(item: Any, kind: PointKind) -> Reading:
    """A reading from `timestamp`, `duration` in minutes and `value`; raises one of UNSHAPED."""
    minutes = item["duration"]
    if isinstance(minutes, bool) or not isinstance(minutes, int):
        raise TypeError("duration must be a whole number of minutes")
    length = timedelta(minutes=minutes)
    if not timedelta(0) < length <= _LONGEST:
        raise ValueError("duration must be from a minute to a day")
    begin = parse_instant(item["timestamp"])
    return Reading(begin, begin + length, grams_of(item["value"]), kind)
