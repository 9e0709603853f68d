"""What the planner knows of a zone: its intensity now, or why it has none and what to use then."""

from dataclasses import dataclass

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant


@dataclass(frozen=True, slots=True)
class Signal:
    """An average grid intensity in effect now."""

    intensity: MilligramsPerKWh
    source: str
    observed: Instant
    valid_until: Instant
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no usable signal; `detail` says what to change."""

    reason: SignalReason
    detail: str


@dataclass(frozen=True, slots=True)
class Fallback:
    """The intensity to decide with when the signal is missing, and where it is from."""

    intensity: MilligramsPerKWh
    source: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """One zone as the planner sees it."""

    zone: str
    current: Signal | Missing
    fallback: Fallback

    @property
    def in_effect(self) -> MilligramsPerKWh:
        """The current intensity, or the one that stands in for it."""
        current = self.current
        return current.intensity if isinstance(current, Signal) else self.fallback.intensity
