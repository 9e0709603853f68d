"""What can be wrong with a signal. Messages say what, where, and what the user can do.

    SignalError
    ├── SignalMisconfigured   the CarbonZone, its Secret or its ConfigMap must be changed
    ├── SignalUnauthorized    the provider refuses the key
    │   └── SignalForbidden   the key is good, but its plan does not include what is asked
    ├── SignalZoneUnknown     the provider does not know the zone
    ├── SignalRateLimited     asked too often
    ├── SignalUnreachable     no answer: network, TLS, time-out, or the provider's own failure
    └── SignalMalformed       an answer, or a recording, that cannot be what it should be

A message ends up in the status of a CarbonZone, so it never holds a key, what a file contains, or
a number that differs from one attempt to the next.
"""

from typing import ClassVar

from carbonaware_operator.api.reasons import SignalReason


class SignalError(Exception):
    """There is no answer from the source of a zone.

    retry_after: seconds for which the provider asks to be left alone, where it says so.
    """

    reason: ClassVar[SignalReason]

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SignalMisconfigured(SignalError):  # noqa: N818 - the state of the signal, as users see it
    """The CarbonZone or what it refers to must be changed."""

    reason = SignalReason.MISCONFIGURED


class SignalUnauthorized(SignalError):  # noqa: N818
    """The provider refuses the key."""

    reason = SignalReason.UNAUTHORIZED


class SignalForbidden(SignalUnauthorized):
    """The provider knows the key, and its plan does not include what is asked."""


class SignalZoneUnknown(SignalError):  # noqa: N818
    """The provider does not know the zone."""

    reason = SignalReason.ZONE_UNKNOWN


class SignalRateLimited(SignalError):  # noqa: N818
    """The provider was asked too often."""

    reason = SignalReason.RATE_LIMITED


class SignalUnreachable(SignalError):  # noqa: N818
    """No answer, or the provider's own failure."""

    reason = SignalReason.UNREACHABLE


class SignalMalformed(SignalError):  # noqa: N818
    """An answer or a recording that cannot be what it should be."""

    reason = SignalReason.MALFORMED
