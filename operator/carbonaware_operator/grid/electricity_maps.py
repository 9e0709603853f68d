"""Electricity Maps, API v3: the latest hour, the last 24 hours and the forecast of one zone.

Source: https://docs.electricitymaps.com, carbon-intensity/latest, /history, /forecast and zones.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.endpoint import Endpoint, header_text
from carbonaware_operator.grid.errors import SignalForbidden
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.grid.readings import UNSHAPED, Expected, Reading, grams_of
from carbonaware_operator.quantities.instants import Instant, parse_instant

DEFAULT_URL = "https://api.electricitymaps.com/v3"
_HOUR = timedelta(hours=1)
_HORIZON_HOURS = "72"  # the longest that is offered


class ElectricityMaps:
    """One zone, read with one key."""

    cadence = Cadence(poll=300, stale=3600, revised=24 * 3600)

    def __init__(
        self,
        *,
        zone: str,
        key: str,
        factors: EmissionFactors = EmissionFactors.LIFECYCLE,
        url: str = DEFAULT_URL,
        egress: Egress,
    ) -> None:
        """Raise SignalMisconfigured: the key cannot be a key."""
        self.source = f"ElectricityMaps/{zone}"
        self.factors: EmissionFactors | None = factors
        self._zone, self._type = zone, factors.lower()
        self._endpoint = Endpoint(
            url,
            member="electricityMaps",
            subject=f"zone {zone!r}",
            egress=egress,
            keyed=True,
            headers={"auth-token": header_text(key, "the API key")},
            refusals={
                b"unauthorized for zonekey": (
                    SignalForbidden,
                    f"the API key may not read zone {zone!r}; choose the zone of its plan",
                ),
                b"endpoint not available": (
                    SignalForbidden,
                    "the plan of the API key does not include the latest intensity and its history",
                ),
            },
        )

    def readings(self, start: Instant, end: Instant) -> list[Reading]:
        """History, where `start` lies before the latest hour, and the latest hour.

        Hours are revised for a day, so that the same hour comes again with another value.
        Raises SignalError.
        """
        latest = self._hours([self._ask("latest")])
        if latest and latest[0].start <= min(start, end):
            return latest
        return self._hours(self._list(self._ask("history"), "history")) + latest

    def expected(self, now: Instant) -> Expected | None:
        """The next 72 hours; None where the plan of the key has no forecast."""
        try:
            answer = self._ask("forecast", horizonHours=_HORIZON_HOURS)
        except SignalForbidden:
            return None
        hours = self._hours(self._list(answer, "forecast"), PointKind.FORECAST)
        try:
            issued = parse_instant(answer["updatedAt"]) if "updatedAt" in answer else now
        except UNSHAPED:
            raise self._endpoint.malformed("`updatedAt` must be an instant") from None
        return Expected(issued, hours)

    def access(self) -> Access:
        """The zones that the key may read."""
        zones = self._endpoint.ask("/zones")
        if not isinstance(zones, dict):
            raise self._endpoint.malformed("the answer must be an object")
        if self._zone not in zones:
            readable = ", ".join(sorted(map(str, zones))[:10]) or "none"
            raise SignalForbidden(
                f"the API key may not read zone {self._zone!r}; it may read: {readable}"
            )
        return Access(allowed=(f"zone {self._zone}",))

    def _ask(self, what: str, **more: str) -> dict[str, Any]:
        query = {
            "zone": self._zone,
            "emissionFactorType": self._type,
            "temporalGranularity": "hourly",
            # Otherwise an unknown zone is answered with the zone of the caller's address.
            "shouldUseFallbackCallerLookup": "false",
            **more,
        }
        answer = self._endpoint.ask(f"/carbon-intensity/{what}", query)
        if not isinstance(answer, dict):
            raise self._endpoint.malformed("the answer must be an object")
        if answer.get("zone") != self._zone:
            raise self._endpoint.unknown()
        return answer

    def _list(self, answer: dict[str, Any], name: str) -> list[Any]:
        hours = answer.get(name)
        if not isinstance(hours, list):
            raise self._endpoint.malformed(f"`{name}` must be a list")
        return hours

    def _hours(self, items: Iterable[Any], kind: PointKind | None = None) -> list[Reading]:
        """One reading for each hour that has a value; `kind` is theirs where they state none."""
        found = []
        for item in items:
            if not isinstance(item, dict):
                raise self._endpoint.malformed("an hour must be an object")
            if item.get("carbonIntensity") is not None:
                found.append(self._hour(item, kind))
        return found

    def _hour(self, item: dict[str, Any], kind: PointKind | None) -> Reading:
        if item.get("emissionFactorType", self._type) not in (self._type, None):
            raise self._endpoint.malformed("the emission factors must be those that were asked for")
        try:
            begin = parse_instant(item["datetime"])
            grams = grams_of(item["carbonIntensity"])
        except UNSHAPED as error:
            raise self._endpoint.malformed(
                "an hour must have a `datetime` with its offset, and a `carbonIntensity` of 0 to"
                " 5000"
            ) from error
        stated = PointKind.ESTIMATE if item.get("isEstimated") else PointKind.ACTUAL
        return Reading(begin, begin + _HOUR, grams, kind or stated)
