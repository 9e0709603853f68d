"""`zones`: the intensity of every CarbonZone, now and expected, and how many jobs wait for it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from carbonaware_operator.api.reasons import SignalReason, State
from carbonaware_operator.cli.jobs import Wanted, listed_jobs
from carbonaware_operator.cli.lookup import unreadable
from carbonaware_operator.cli.outlooks import (
    Grid,
    fallback_of,
    freshness,
    grid_of,
    not_fresh_reason,
    outlook_of,
)
from carbonaware_operator.cli.output import MISSING
from carbonaware_operator.cluster.kube import CARBON_ZONES, ApiError, KubeClient
from carbonaware_operator.grid.fallback import FallbackIntensity
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, grams
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.quantities.spans import span
from carbonaware_operator.store.zones import ZoneRecord, zone_record

HEADER = ("NAME", "gCO2e/kWh", "NEXT 24 H", "SOURCE", "FRESH", "REASON", "AGE", "JOBS HELD")
WIDE_HEADER = ("FORECAST ERROR", "FALLBACK", "PRICE/kWh")

_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN_HOUR = "·"


@dataclass(frozen=True, slots=True)
class ListedZone:
    """A zone and the number of its held jobs, None when the user may not list them all."""

    zone: ZoneRecord
    held: int | None
    now: Instant

    @property
    def fresh(self) -> bool:
        """Whether its intensity can be decided on."""
        condition = freshness(self.zone)
        return condition is not None and condition.status == "True"

    @property
    def reason(self) -> str:
        """Why it is fresh or not; empty before the operator has asked the source."""
        return not_fresh_reason(self.zone) or (SignalReason.CURRENT if self.fresh else "")

    @property
    def fallback(self) -> FallbackIntensity:
        """What is decided on while it is not fresh."""
        return fallback_of(self.zone, self.now)

    @property
    def expected(self) -> list[MilligramsPerKWh | None]:
        """What is forecast of now and each of the 23 hours after it; None where nothing is."""
        forecast = self.zone.forecast
        hours = (self.now + timedelta(hours=hour) for hour in range(24))
        return [forecast.at(hour) if forecast else None for hour in hours]


async def listed_zones(kube: KubeClient, now: Instant) -> list[ListedZone]:
    """All zones, by name. Raises CommandError, ApiError."""
    try:
        zones = [zone_record(body) async for body in kube.list(CARBON_ZONES)]
    except ValueError as error:
        raise unreadable("a CarbonZone") from error
    held = await _held(kube, now)
    counted = (ListedZone(z, None if held is None else held[z.name], now) for z in zones)
    return sorted(counted, key=lambda listed: listed.zone.name)


async def grids(kube: KubeClient, now: Instant) -> dict[str, Grid]:
    """What energy is priced with now, by zone; empty for users who may not read zones."""
    try:
        zones = [zone_record(body) async for body in kube.list(CARBON_ZONES)]
    except ValueError as error:
        raise unreadable("a CarbonZone") from error
    except ApiError as error:
        if error.status == 403:
            return {}
        raise
    return {zone.name: grid_of(outlook_of(zone, now), zone.spec.pue_milli) for zone in zones}


async def _held(kube: KubeClient, now: Instant) -> Counter[str] | None:
    """Held jobs by zone; None for users who may list only their own namespaces."""
    try:
        jobs = await listed_jobs(kube, Wanted(namespace=None), now)
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    return Counter(j.zone_name for j in jobs if j.zone_name and j.standing.state is State.HELD)


def row(listed: ListedZone, *, wide: bool = False) -> list[str]:
    """The cells of one zone; the fallback value, marked by a tilde, while nothing is fresh.

    wide: end with the cells of `WIDE_HEADER`.
    """
    current = listed.zone.status.current
    cells = [
        listed.zone.name,
        _intensity(listed),
        sparkline(listed.expected),
        current.source if current else listed.zone.spec.source.type.value,
        "yes" if listed.fresh else "no",
        listed.reason or MISSING,
        span(listed.now - parse_instant(current.observed_time)) if current else MISSING,
        "?" if listed.held is None else str(listed.held),
    ]
    return cells + _wide(listed) if wide else cells


def _wide(listed: ListedZone) -> list[str]:
    status = listed.zone.status
    error, price = status.forecast_error_percent, status.current_price
    return [
        MISSING if error is None else f"{error} %",
        f"{grams(listed.fallback.intensity)} ({listed.fallback.level.value})",
        f"{price.micros_per_kwh / 1e6:.4f} {price.currency}" if price else MISSING,
    ]


def _intensity(listed: ListedZone) -> str:
    current = listed.zone.status.current
    if listed.fresh and current:
        return grams(MilligramsPerKWh(current.milligrams_per_kwh))
    return f"~{grams(listed.fallback.intensity)}"


def sparkline(values: Sequence[MilligramsPerKWh | None]) -> str:
    """A bar for each value, the lowest and the highest of them at the ends of the scale."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    low, width = min(known), max(known) - min(known) or 1
    steps = len(_BARS) - 1
    return "".join(
        _UNKNOWN_HOUR if value is None else _BARS[(value - low) * steps // width]
        for value in values
    )


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
        "fallbackLevel": listed.fallback.level,
        "fallbackSource": listed.fallback.source,
        "fallbackYear": listed.fallback.year,
        "expectedMilligramsPerKWh": listed.expected,
        "jobsHeld": listed.held,
    }
