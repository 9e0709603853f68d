"""What decide() can answer."""

from dataclasses import dataclass
from enum import StrEnum

from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason
from carbonaware_operator.planning.observed import Cause
from carbonaware_operator.quantities.instants import Instant


class Basis(StrEnum):
    """On what a job was started."""

    SIGNAL = "Signal"
    FALLBACK = "Fallback"
    DEADLINE = "Deadline"
    USER = "User"
    SCHEDULE = "Schedule"


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep waiting.

    message: the same words for as long as the decision stands, whatever else changes meanwhile.
    until: when the job is planned to start, as far as that is known.
    review: the next instant at which the passing of time alone may change the decision.
    """

    reason: HoldReason
    message: str
    until: Instant | None = None
    review: Instant | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Start now.

    basis: what the reason rests on; a fallback is never given out for the grid itself.
    """

    reason: ReleaseReason
    basis: Basis


@dataclass(frozen=True, slots=True)
class Suspend:
    """Stop the running child Job; it can be resumed. cause: whose wish it is."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class Resume:
    """Let the suspended child Job run again."""


@dataclass(frozen=True, slots=True)
class Fail:
    """End the job as failed."""

    reason: EndReason
    message: str


@dataclass(frozen=True, slots=True)
class Continue:
    """Nothing to do: the child Job is as it should be."""


Decision = Hold | Release | Suspend | Resume | Fail | Continue
