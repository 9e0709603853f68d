"""`zones`: the intensity of every CarbonZone, how fresh it is, and how many jobs wait for it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.cli.jobs import listed_jobs
from carbonaware_operator.cli.lookup import unreadable
from carbonaware_operator.cli.outlooks import freshness, grams, outlook_of
from carbonaware_operator.cli.output import MISSING
from carbonaware_operator.cli.states import State
from carbonaware_operator.cli.times import span
from carbonaware_operator.cluster.kube import CARBON_ZONES, ApiError, KubeClient
from carbonaware_operator.planning.outlook import Fallback
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.store.zones import ZoneRecord, zone_record

HEADER = ("NAME", "gCO2e/kWh", "SOURCE", "FRESH", "REASON", "AGE", "JOBS HELD")


@dataclass(frozen=True, slots=True)
class ListedZone:
    """A zone and the number of its held jobs, None when the user may not list them all."""

    zone: ZoneRecord
    held: int | None

    @property
    def fresh(self) -> bool:
        """Whether its intensity can be decided on."""
        condition = freshness(self.zone)
        return condition is not None and condition.status == "True"

    @property
    def reason(self) -> str:
        """Why it is fresh or not; empty before the operator has asked the source."""
        condition = freshness(self.zone)
        return condition.reason if condition else ""

    @property
    def fallback(self) -> Fallback:
        """What is decided on while it is not fresh."""
        return outlook_of(self.zone).fallback


async def listed_zones(kube: KubeClient) -> list[ListedZone]:
    """All zones, by name. Raises CommandError, ApiError."""
    try:
        zones = [zone_record(body) async for body in kube.list(CARBON_ZONES)]
    except ValueError as error:
        raise unreadable("a CarbonZone") from error
    held = await _held(kube)
    counted = (ListedZone(z, None if held is None else held[z.name]) for z in zones)
    return sorted(counted, key=lambda listed: listed.zone.name)


async def _held(kube: KubeClient) -> Counter[str] | None:
    """Held jobs by zone; None for users who may list only their own namespaces."""
    try:
        jobs = await listed_jobs(kube, None)
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    waiting = (State.PENDING, State.HELD)
    return Counter(j.zone_name for j in jobs if j.zone_name and j.standing.state in waiting)


def row(listed: ListedZone, now: Instant) -> list[str]:
    """The cells of one zone; the fallback value, marked by a tilde, while nothing is fresh."""
    current = listed.zone.status.current
    return [
        listed.zone.name,
        _intensity(listed),
        current.source if current else listed.zone.spec.source.type.value,
        "yes" if listed.fresh else "no",
        listed.reason or MISSING,
        span(now - parse_instant(current.observed_time)) if current else MISSING,
        "?" if listed.held is None else str(listed.held),
    ]


def _intensity(listed: ListedZone) -> str:
    current = listed.zone.status.current
    if listed.fresh and current:
        return grams(MilligramsPerKWh(current.milligrams_per_kwh))
    return f"~{grams(listed.fallback.intensity)}"


def document(zones: list[ListedZone]) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/cli.md."""
    return {"items": [_item(listed) for listed in zones]}


def _item(listed: ListedZone) -> dict[str, Any]:
    current, condition = listed.zone.status.current, freshness(listed.zone)
    return {
        "name": listed.zone.name,
        "milligramsPerKWh": current.milligrams_per_kwh if current else None,
        "source": current.source if current else None,
        "observedTime": current.observed_time if current else None,
        "estimated": current.estimated if current else None,
        "fresh": listed.fresh,
        "reason": condition.reason if condition else None,
        "message": condition.message if condition else None,
        "fallbackMilligramsPerKWh": listed.fallback.intensity,
        "fallbackSource": listed.fallback.source,
        "jobsHeld": listed.held,
    }
