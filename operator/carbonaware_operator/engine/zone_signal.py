"""What is known of one zone's signal, and what follows from it for the planner and for users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.api.schema import Condition
from carbonaware_operator.api.zone import CarbonZoneStatus, CurrentIntensity, History
from carbonaware_operator.grid.errors import SignalError
from carbonaware_operator.grid.fallback import fallback_intensity
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.grid.provider import Cadence
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.quantities.instants import Instant, format_instant
from carbonaware_operator.store.zones import ZoneRecord


@dataclass(slots=True)
class ZoneSignal:
    """The newest value of a zone, how long it can be used, and what went wrong since.

    asked: whether there has been any answer or error yet; before, there is no outlook.
    """

    newest: Point | None = None
    valid_until: Instant | None = None
    error: SignalError | None = None
    asked: bool = False

    def take(self, points: Sequence[Point], cadence: Cadence) -> None:
        """The source has answered; `points` are in order of time."""
        self.asked, self.error = True, None
        if points and (self.newest is None or points[-1].start >= self.newest.start):
            self.newest = points[-1]
            self.valid_until = points[-1].end + timedelta(seconds=cadence.stale)

    def fail(self, error: SignalError) -> None:
        """The source could not be asked, or gave no usable answer."""
        self.asked, self.error = True, error

    def current(self, now: Instant) -> Point | None:
        """The value that can be used now."""
        return self.newest if self.valid_until and now < self.valid_until else None

    def outlook(self, record: ZoneRecord, now: Instant) -> Outlook:
        """The zone as the planner sees it."""
        fallback = fallback_intensity(record.spec)
        return Outlook(
            record.name, self._signal(now), Fallback(fallback.intensity, fallback.source)
        )

    def _signal(self, now: Instant) -> Signal | Missing:
        point = self.current(now)
        if point is None or self.valid_until is None:
            return self._missing()
        estimated = point.kind is PointKind.ESTIMATE
        return Signal(point.intensity, point.source, point.start, self.valid_until, estimated)

    def _missing(self) -> Missing:
        if self.error is not None:
            return Missing(self.error.reason, str(self.error))
        if self.newest is None:
            return Missing(SignalReason.STALE, "the source has no value for now")
        end = format_instant(self.newest.end)
        return Missing(SignalReason.STALE, f"the source has no value after {end}")


def zone_status(
    signal: ZoneSignal,
    record: ZoneRecord,
    previous: CarbonZoneStatus,
    history: History | None,
    now: Instant,
) -> CarbonZoneStatus:
    """What users see of the zone; equal to `previous` when nothing of it has changed."""
    return CarbonZoneStatus(
        observed_generation=record.generation,
        current=_current(signal.current(now)),
        history=history,
        conditions=[
            _condition(type_, verdict, record.generation, previous, now)
            for type_, verdict in (
                ("Ready", _ready(signal)),
                ("Fresh", _fresh(signal, record, now)),
            )
        ],
    )


@dataclass(frozen=True, slots=True)
class _Verdict:
    holds: bool
    reason: SignalReason
    message: str


def _ready(signal: ZoneSignal) -> _Verdict:
    if signal.error is not None:
        return _Verdict(False, signal.error.reason, str(signal.error))
    return _Verdict(True, SignalReason.CURRENT, "the source answers")


def _fresh(signal: ZoneSignal, record: ZoneRecord, now: Instant) -> _Verdict:
    outlook = signal.outlook(record, now)
    if isinstance(outlook.current, Signal):
        return _Verdict(True, SignalReason.CURRENT, "the intensity is current")
    fallback = outlook.fallback
    return _Verdict(
        False,
        outlook.current.reason,
        f"{outlook.current.detail}; until then jobs may be decided on with the fallback,"
        f" {fallback.intensity / 1000:g} gCO2e/kWh, from {fallback.source}",
    )


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


def _current(point: Point | None) -> CurrentIntensity | None:
    if point is None:
        return None
    return CurrentIntensity(
        milligrams_per_kwh=point.intensity,
        signal="Average",
        emission_factors=point.factors,
        source=point.source,
        observed_time=format_instant(point.start),
        estimated=point.kind is PointKind.ESTIMATE,
    )
