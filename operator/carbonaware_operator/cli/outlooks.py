"""What the cluster shows of a zone, as the outlook that decide() takes."""

from dataclasses import dataclass

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.api.schema import Condition
from carbonaware_operator.api.zone import CurrentIntensity
from carbonaware_operator.grid.fallback import FallbackIntensity, Known, fallback_intensity
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.quantities.emissions import (
    PUE_MILLI_NONE,
    MicrogramsCO2e,
    MilligramsPerKWh,
    operational_emissions,
)
from carbonaware_operator.quantities.energy import MICROJOULES_PER_JOULE, Microjoules
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.store.zones import ZoneRecord


def outlook_of(zone: ZoneRecord, now: Instant) -> Outlook:
    """The outlook that the operator's status of the zone amounts to."""
    fallback = fallback_of(zone, now)
    return Outlook(zone.name, _current(zone), Fallback(fallback.intensity, fallback.origin))


def fallback_of(zone: ZoneRecord, now: Instant) -> FallbackIntensity:
    """What the operator says that stands in; else what would, by what the status holds."""
    said = zone.status.fallback
    if said is None:
        return fallback_intensity(zone.spec, Known(zone.name, zone.forecast), now)
    return FallbackIntensity(
        MilligramsPerKWh(said.milligrams_per_kwh),
        said.level,
        said.source,
        said.year,
        said.emission_factors,
        said.typical_day,
    )


def freshness(zone: ZoneRecord) -> Condition | None:
    """The zone's condition `Fresh`; None before the operator has asked the source."""
    return _condition(zone, "Fresh")


def _condition(zone: ZoneRecord, type_: str) -> Condition | None:
    return next((c for c in zone.status.conditions or [] if c.type == type_), None)


def not_fresh_reason(zone: ZoneRecord) -> SignalReason | None:
    """Why its intensity is not fresh; None when it is, or before the source has been asked.

    What the source answered tells more than that a fallback is used; a source that answers, and
    yet has nothing fresh, is stale.
    """
    fresh, ready = freshness(zone), _condition(zone, "Ready")
    if fresh is None or fresh.status == "True":
        return None
    said = [ready.reason] if ready and ready.status != "True" else []
    known = set(SignalReason) - {SignalReason.USING_FALLBACK}
    return next((SignalReason(r) for r in (*said, fresh.reason) if r in known), SignalReason.STALE)


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid that energy is priced with; fallback: its intensity only stands in."""

    zone: str
    intensity: MilligramsPerKWh
    fallback: bool
    pue_milli: int = PUE_MILLI_NONE

    def emissions(self, joules: float) -> MicrogramsCO2e:
        """What energy emits at the intensity of now."""
        energy = Microjoules(round(joules * MICROJOULES_PER_JOULE))
        return operational_emissions(energy, self.intensity, self.pue_milli)


def grid_of(outlook: Outlook, pue_milli: int | None) -> Grid:
    """The grid of a zone."""
    fallback = not isinstance(outlook.current, Signal)
    return Grid(outlook.zone, outlook.in_effect, fallback, pue_milli or PUE_MILLI_NONE)


def _current(zone: ZoneRecord) -> Signal | Missing:
    fresh = freshness(zone)
    if fresh is None:
        return Missing(SignalReason.STALE, "the operator has not asked its source yet")
    if fresh.status == "True" and zone.status.current:
        return _signal(zone.status.current)
    return Missing(not_fresh_reason(zone) or SignalReason.STALE, fresh.message)


def _signal(current: CurrentIntensity) -> Signal:
    observed = parse_instant(current.observed_time)
    return Signal(
        intensity=MilligramsPerKWh(current.milligrams_per_kwh),
        source=current.source,
        observed=observed,
        # Until when it stays fresh is the operator's to say, by the condition; decide() asks not.
        valid_until=observed,
        estimated=current.estimated,
    )
