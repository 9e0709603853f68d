"""The ConfigMap that kubernetes-carbon-intensity-exporter writes: a day ahead, every 12 hours.

Source: https://github.com/Azure/kubernetes-carbon-intensity-exporter. The ConfigMap is immutable,
and deleted and created again: at that moment a read finds nothing, and the value read before is
used on. What is past of its forecast was never corrected, so it is an estimate.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.carbon_aware_sdk import minutes_reading
from carbonaware_operator.grid.errors import SignalMalformed, SignalZoneUnknown
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.provider import Access, Cadence
from carbonaware_operator.grid.readings import UNSHAPED, Expected, Reading
from carbonaware_operator.quantities.instants import Instant, parse_instant

DEFAULT_NAMESPACE, DEFAULT_NAME = "kube-system", "carbon-intensity"
_MAX_SOURCE = 253  # of the status of a zone
DATA_KEY, ISSUED_KEY = "data", "forecastDateTime"
_GO_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)? ([+-]\d\d)(\d\d)( [A-Z]+)?")


class ExporterConfigMap:
    """What the ConfigMap held when it was read."""

    cadence = Cadence(poll=300, stale=1800)

    def __init__(
        self,
        *,
        texts: Mapping[str, str],
        namespace: str = DEFAULT_NAMESPACE,
        name: str = DEFAULT_NAME,
        location: str | None = None,
        factors: EmissionFactors | None = None,
    ) -> None:
        """Raise SignalError: `texts`, the values of the ConfigMap by key, are not as they must."""
        self._what = f"ConfigMap {namespace}/{name}"
        self.source = f"ConfigMap/{namespace}/{location or name}"[:_MAX_SOURCE]
        self.factors = factors
        self._location = location
        try:
            self._values = self._read(json.loads(texts[DATA_KEY]))
            self._issued = _issued(texts)
        except (*UNSHAPED, RecursionError):
            raise SignalMalformed(
                f"{self._what}: `data` must be a list with a `location`, a `timestamp`, a"
                " `duration` in minutes and a `value` of 0 to 5000"
            ) from None

    def readings(self, start: Instant, end: Instant) -> list[Reading]:
        """What was forecast of [start, end]; never raises."""
        return [reading for reading in self._values if reading.start <= end]

    def expected(self, now: Instant) -> Expected | None:
        """What is left of the forecast."""
        ahead = [r._replace(kind=PointKind.FORECAST) for r in self._values if r.end > now]
        return Expected(self._issued or now, ahead) if ahead else None

    def access(self) -> Access:
        """Whoever may read the ConfigMap may read all of it."""
        return Access(())

    def _read(self, items: Any) -> list[Reading]:
        if not isinstance(items, list):
            raise TypeError("must be a list")
        locations = {item["location"] for item in items}
        if len(locations) > 1 or (self._location and locations - {self._location}):
            raise SignalZoneUnknown(
                f"{self._what} must hold values of one location, the one that"
                " `configMap.location` names if it is set"
            )
        return [minutes_reading(item, PointKind.ESTIMATE) for item in items]


def _issued(texts: Mapping[str, str]) -> Instant | None:
    """When the forecast was made, as Go prints it: 2023-03-31 00:00:00.12 +0000 UTC."""
    text = texts.get(ISSUED_KEY)
    if text is None:
        return None
    if (match := _GO_TIME.fullmatch(text)) is None:
        return parse_instant(text)
    day, clock, fraction, hours, minutes, _ = match.groups()
    return parse_instant(
        datetime.fromisoformat(f"{day}T{clock}{fraction or ''}{hours}:{minutes}").isoformat()
    )
