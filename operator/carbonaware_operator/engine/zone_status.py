"""The status of a CarbonZone: what users see of its signals."""

from dataclasses import dataclass

from carbonaware_operator.api.reasons import GuardReason, SignalReason
from carbonaware_operator.api.schema import Condition
from carbonaware_operator.api.sources import SignalKind
from carbonaware_operator.api.tariff import CurrentPrice
from carbonaware_operator.api.zone import (
    CarbonZoneStatus,
    CurrentIntensity,
    FallbackInEffect,
    ForecastIntensity,
    History,
    ZoneSummary,
)
from carbonaware_operator.engine.zone_signal import ZoneSignal
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point, PointKind
from carbonaware_operator.grid.tariff import Price
from carbonaware_operator.planning.outlook import Signal
from carbonaware_operator.quantities.instants import Instant, format_instant
from carbonaware_operator.store.zones import ZoneReading, ZoneRecord

GUARDED = "AdmissionPolicyBound"


def zone_status(
    signal: ZoneSignal,
    record: ZoneRecord,
    previous: CarbonZoneStatus,
    history: History | None,
    now: Instant,
    price: Price | None = None,
    unguarded: str | None = None,
) -> CarbonZoneStatus:
    """What users see of the zone; equal to `previous` when nothing of it has changed.

    unguarded: what lacks for the operator's admission policies, which it says on every zone; None
    while that is unknown.
    """
    reading = signal.reading(record, now)
    return CarbonZoneStatus(
        observed_generation=record.generation,
        summary=_summary(reading),
        current=_average(reading.current),
        marginal=_marginal(reading.marginal),
        forecast=_forecast(reading.forecast),
        forecast_error_percent=reading.forecast.error_percent if reading.forecast else None,
        fallback=_fallback(reading),
        current_price=_price(price),
        history=history,
        conditions=[
            _condition("Ready", _ready(signal), record.generation, previous, now),
            _condition("Fresh", _fresh(signal, record, now), record.generation, previous, now),
            *_guarded(unguarded, record.generation, previous, now),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    holds: bool
    reason: SignalReason | GuardReason
    message: str


def _ready(signal: ZoneSignal) -> _Verdict:
    if signal.error is not None:
        return _Verdict(False, signal.error.reason, str(signal.error))
    for name, other in (("accountingSource", signal.accounting), ("source", signal.marginal)):
        if other.error is not None:
            return _Verdict(False, other.error.reason, f"`{name}`: {other.error}")
    return _Verdict(True, SignalReason.CURRENT, "the source answers")


def _fresh(signal: ZoneSignal, record: ZoneRecord, now: Instant) -> _Verdict:
    outlook = signal.outlook(record, now)
    if isinstance(outlook.current, Signal):
        return _Verdict(True, SignalReason.CURRENT, "the intensity is current")
    fallback = outlook.fallback
    return _Verdict(
        False,
        SignalReason.USING_FALLBACK,
        f"{outlook.current.detail}; until then jobs may be decided on with the fallback,"
        f" {fallback.intensity / 1000:g} gCO2e/kWh, from {fallback.source}",
    )


def _guarded(
    unguarded: str | None, generation: int, previous: CarbonZoneStatus, now: Instant
) -> list[Condition]:
    if unguarded is None:
        return [c for c in previous.conditions or [] if c.type == GUARDED]
    verdict = (
        _Verdict(False, GuardReason.NOT_BOUND, unguarded)
        if unguarded
        else _Verdict(True, GuardReason.BOUND, "the admission policies guard the operator")
    )
    return [_condition(GUARDED, verdict, generation, previous, now)]


def _condition(
    type_: str, verdict: _Verdict, generation: int, previous: CarbonZoneStatus, now: Instant
) -> Condition:
    status = "True" if verdict.holds else "False"
    before = next((c for c in previous.conditions or [] if c.type == type_), None)
    changed = before is None or before.status != status
    return Condition(
        type=type_,
        status=status,
        reason=verdict.reason,
        message=verdict.message,
        last_transition_time=(
            format_instant(now) if before is None or changed else before.last_transition_time
        ),
        observed_generation=generation,
    )


def _summary(reading: ZoneReading) -> ZoneSummary | None:
    """The value that jobs are decided on, to the gram; a tilde marks that it stands in."""
    if reading.current:
        return ZoneSummary(
            intensity=f"{_grams(reading.current.intensity)} g/kWh", source=reading.current.source
        )
    if reading.fallback:
        return ZoneSummary(
            intensity=f"~{_grams(reading.fallback.intensity)} g/kWh",
            source=reading.fallback.source,
        )
    return None


def _grams(milligrams: int) -> int:
    return round(milligrams / 1000)


def _average(point: Point | None) -> CurrentIntensity | None:
    return None if point is None else _current(point, point.intensity, SignalKind.AVERAGE)


def _marginal(point: MarginalPoint | None) -> CurrentIntensity | None:
    if point is None:
        return None
    return _current(point, point.intensity.marginal_milligrams_per_kwh, SignalKind.MARGINAL)


def _current(
    point: Point | MarginalPoint, milligrams_per_kwh: int, kind: SignalKind
) -> CurrentIntensity:
    return CurrentIntensity(
        milligrams_per_kwh=milligrams_per_kwh,
        signal=kind,
        emission_factors=point.factors,
        source=point.source,
        observed_time=format_instant(point.start),
        estimated=point.kind is PointKind.ESTIMATE,
    )


def _forecast(forecast: Forecast | None) -> ForecastIntensity | None:
    if forecast is None:
        return None
    return ForecastIntensity(
        issued_time=format_instant(forecast.issued),
        start_time=format_instant(forecast.start),
        step_seconds=int(forecast.step.total_seconds()),
        milligrams_per_kwh=list(forecast.values),
        source=forecast.source,
    )


def _fallback(reading: ZoneReading) -> FallbackInEffect | None:
    fallback = reading.fallback
    if fallback is None:
        return None
    return FallbackInEffect(
        milligrams_per_kwh=fallback.intensity,
        level=fallback.level,
        source=fallback.source,
        emission_factors=fallback.factors,
        year=fallback.year,
        typical_day=fallback.typical_day,
    )


def _price(price: Price | None) -> CurrentPrice | None:
    if price is None:
        return None
    return CurrentPrice(
        micros_per_kwh=price.micros_per_kwh, currency=price.currency, source=price.source
    )
