"""What the cluster shows of a zone, as the outlook that decide() takes."""

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.api.schema import Condition
from carbonaware_operator.api.zone import CurrentIntensity
from carbonaware_operator.grid.fallback import fallback_intensity
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import parse_instant
from carbonaware_operator.store.zones import ZoneRecord


def outlook_of(zone: ZoneRecord) -> Outlook:
    """The outlook that the operator's status of the zone amounts to."""
    fallback = fallback_intensity(zone.spec)
    return Outlook(zone.name, _current(zone), Fallback(fallback.intensity, fallback.source))


def freshness(zone: ZoneRecord) -> Condition | None:
    """The zone's condition `Fresh`; None before the operator has asked the source."""
    return next((c for c in zone.status.conditions or [] if c.type == "Fresh"), None)


def intensity_in_effect(outlook: Outlook) -> MilligramsPerKWh:
    """The current intensity, or the one that stands in for it."""
    current = outlook.current
    return current.intensity if isinstance(current, Signal) else outlook.fallback.intensity


def grams(intensity: MilligramsPerKWh) -> str:
    """Intensity in gCO2e/kWh to the last digit known, so that limits compare as they read."""
    return f"{intensity / 1000:.3f}".rstrip("0").rstrip(".")


def _current(zone: ZoneRecord) -> Signal | Missing:
    fresh = freshness(zone)
    if fresh is None:
        return Missing(SignalReason.STALE, "the operator has not asked its source yet")
    if fresh.status == "True" and zone.status.current:
        return _signal(zone.status.current)
    known = fresh.reason in set(SignalReason)
    reason = SignalReason(fresh.reason) if known else SignalReason.STALE
    return Missing(reason, fresh.message)


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
