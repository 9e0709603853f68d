"""Carbon Intensity API of Great Britain: half hours, national or of one region; no key.

Source: https://carbon-intensity.github.io/api-definitions. Data under CC BY 4.0.
"""

from datetime import timedelta
from typing import Any

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.endpoint import Endpoint
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.grid.readings import UNSHAPED, Expected, Reading, grams_of
from carbonaware_operator.quantities.instants import Instant, parse_instant

DEFAULT_URL = "https://api.carbonintensity.org.uk"
_HALF_HOUR = timedelta(minutes=30)
_LONGEST = timedelta(days=14)  # of one question
_LONGEST_PERIOD = timedelta(days=1)


class UKCarbonIntensity:
    """Great Britain as a whole, or one region of it.

    What was is `actual` for the nation. Of regions, and of half hours that are not settled yet,
    only the operator's own forecast is there: it stands in as an estimate.
    """

    cadence = Cadence(poll=900, stale=3600, revised=24 * 3600)
    factors: EmissionFactors | None = EmissionFactors.DIRECT

    def __init__(
        self,
        *,
        region_id: int | None = None,
        postcode: str | None = None,
        url: str = DEFAULT_URL,
        egress: Egress,
    ) -> None:
        """Without a region and without a postcode it is the nation."""
        if region_id is not None:
            place, self._place = f"region {region_id}", f"/regionid/{region_id}"
        elif postcode is not None:
            place, self._place = f"postcode {postcode}", f"/postcode/{postcode}"
        else:
            place, self._place = "GB", ""
        self.source = f"UKCarbonIntensity/{place.replace(' ', '/')}"
        self._region_id = region_id
        self._endpoint = Endpoint(url, member="ukCarbonIntensity", subject=place, egress=egress)

    def readings(self, start: Instant, end: Instant) -> list[Reading]:
        """Half hours up to the one that holds `end`, at most 14 days. Raises SignalError."""
        last = end + _HALF_HOUR  # the period of `end` must be over for it to be answered
        first = max(start, last - _LONGEST)
        periods = self._ask(f"{_stamp(first)}/{_stamp(last)}")
        return [r for p in periods if (r := self._reading(p, PointKind.ESTIMATE)) is not None]

    def expected(self, now: Instant) -> Expected | None:
        """The next 48 hours."""
        periods = self._ask(f"{_stamp(now)}/fw48h")
        readings = [self._reading(period, PointKind.FORECAST) for period in periods]
        return Expected(now, [reading for reading in readings if reading is not None])

    def access(self) -> Access:
        """There is no key and no published limit."""
        return Access(())

    def _ask(self, what: str) -> list[Any]:
        regional = "/regional" if self._place else ""
        answer = self._endpoint.ask(f"{regional}/intensity/{what}{self._place}")
        try:
            found = answer["data"]
            if self._place:
                found = self._of_the_region(found)
        except UNSHAPED as error:
            raise self._endpoint.malformed("the answer must have `data`") from error
        if not isinstance(found, list):
            raise self._endpoint.malformed("`data` must be a list of periods")
        return found

    def _of_the_region(self, found: Any) -> Any:
        """The periods of the one region of an answer; some answers wrap it in a list."""
        region = found[0] if isinstance(found, list) else found
        if self._region_id is not None and region["regionid"] != self._region_id:
            raise self._endpoint.unknown()
        return region["data"]

    def _reading(self, period: Any, otherwise: PointKind) -> Reading | None:
        """A period as it was, or `otherwise` as it is forecast; None without either."""
        try:
            begin, end = parse_instant(period["from"]), parse_instant(period["to"])
            actual = period["intensity"].get("actual")
            value = period["intensity"].get("forecast") if actual is None else actual
            if not timedelta(0) < end - begin <= _LONGEST_PERIOD:
                raise ValueError("a period must end after it begins, within a day")
            if value is None:
                return None
            return Reading(
                begin, end, grams_of(value), otherwise if actual is None else PointKind.ACTUAL
            )
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "a period must have `from`, `to` and an `intensity` of 0 to 5000"
            ) from error


def _stamp(instant: Instant) -> str:
    return instant.strftime("%Y-%m-%dT%H:%MZ")
