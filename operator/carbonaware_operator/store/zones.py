"""CarbonZones as the operator knows them, and the outlook that the signals loop made of each."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from carbonaware_operator.api.zone import CarbonZoneSpec, CarbonZoneStatus
from carbonaware_operator.grid.fallback import FallbackIntensity
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point
from carbonaware_operator.grid.tariff import Price
from carbonaware_operator.planning.outlook import Outlook
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.store.graves import Graves


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """One CarbonZone object as last seen."""

    name: str
    uid: str
    generation: int
    created: Instant
    spec: CarbonZoneSpec
    status: CarbonZoneStatus
    resource_version: int = 0

    @property
    def forecast(self) -> Forecast | None:
        """The forecast in its status; None where there is none, or it is of an earlier spec."""
        said = self.status.forecast
        if said is None or self.status.observed_generation != self.generation:
            return None
        return Forecast(
            issued=parse_instant(said.issued_time),
            start=parse_instant(said.start_time),
            step=timedelta(seconds=said.step_seconds),
            values=tuple(MilligramsPerKWh(value) for value in said.milligrams_per_kwh),
            source=said.source,
            error_percent=self.status.forecast_error_percent,
        )


def zone_record(body: dict[str, Any]) -> ZoneRecord:
    """A record from an object of the API; raises pydantic.ValidationError on an unknown shape."""
    metadata = body["metadata"]
    return ZoneRecord(
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        created=parse_instant(metadata["creationTimestamp"]),
        spec=CarbonZoneSpec.model_validate(body["spec"]),
        status=CarbonZoneStatus.model_validate(body.get("status") or {}),
        resource_version=int(metadata.get("resourceVersion", 0)),
    )


@dataclass(frozen=True, slots=True)
class ZoneReading:
    """What is known of a zone's grid now, for those who show it.

    newest: the last average value, however old; current: the same, while it can be used;
    fallback: what stands in while it cannot.
    """

    newest: Point | None
    current: Point | None
    marginal: MarginalPoint | None
    forecast: Forecast | None
    fallback: FallbackIntensity | None


@dataclass(slots=True)
class ZoneStore:
    """All zones by name, and what the signals loop made of them.

    unguarded: what lacks for the admission policies to guard the operator, empty when nothing does;
    None while that is unknown. unreadable: uids of zones whose last change could not be read; what
    was known of them before still holds.
    """

    records: dict[str, ZoneRecord] = field(default_factory=dict)
    outlooks: dict[str, Outlook] = field(default_factory=dict)
    readings: dict[str, ZoneReading] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    unguarded: str | None = None
    unreadable: set[str] = field(default_factory=set)
    graves: Graves = field(default_factory=Graves)

    def knows(self, name: str, uid: str, resource_version: int) -> bool:
        """Whether this is no news: what is known is as new, or the zone was deleted since."""
        known = self.records.get(name)
        return uid in self.graves or bool(known and resource_version <= known.resource_version)

    def apply(self, record: ZoneRecord) -> None:
        """Take in a created or changed zone."""
        self.unreadable.discard(record.uid)
        self.records[record.name] = record

    def versions(self) -> dict[str, int]:
        """The resourceVersion of each zone, by its uid."""
        return {zone.uid: zone.resource_version for zone in self.records.values()}

    def forget(self, uid: str) -> str | None:
        """Take out a deleted zone; its name, None when it was not known.

        A zone that was created again under its name is another one, and stays.
        """
        self.graves.add(uid)
        self.unreadable.discard(uid)
        name = next((zone.name for zone in self.records.values() if zone.uid == uid), None)
        if name is not None:
            self.records.pop(name)
            self.outlooks.pop(name, None)
            self.readings.pop(name, None)
            self.prices.pop(name, None)
        return name

    def set_outlook(self, outlook: Outlook) -> bool:
        """Keep a new outlook; true when it differs from the one before."""
        changed = self.outlooks.get(outlook.zone) != outlook
        self.outlooks[outlook.zone] = outlook
        return changed
