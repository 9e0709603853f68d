"""What decide() can answer."""

from dataclasses import dataclass

from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason
from carbonaware_operator.quantities.instants import Instant


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep waiting.

    until: when the job is planned to start, as far as that is known.
    review: the next instant at which the passing of time alone may change the decision.
    """

    reason: HoldReason
    message: str
    until: Instant | None = None
    review: Instant | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Start now."""

    reason: ReleaseReason


@dataclass(frozen=True, slots=True)
class Suspend:
    """Stop the running child Job; it can be resumed."""


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
