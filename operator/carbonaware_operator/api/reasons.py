"""Condition types, reasons and event reasons: words that users script against, so they are API."""

from enum import StrEnum


class State(StrEnum):
    """How far a CarbonAwareJob has come: `status.state`, the word that is shown everywhere."""

    HELD = "Held"
    STARTING = "Starting"
    RUNNING = "Running"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


class ConditionType(StrEnum):
    """Types of `status.conditions` of a CarbonAwareJob."""

    RELEASED = "Released"
    COMPLETE = "Complete"
    FAILED = "Failed"


class HoldReason(StrEnum):
    """Why `Released` is False: one at a time, the binding constraint."""

    SUSPENDED_BY_USER = "SuspendedByUser"
    SUSPENDED_BY_OTHER = "SuspendedByOther"
    BEFORE_EARLIEST_START = "BeforeEarliestStart"
    OUTSIDE_WINDOW = "OutsideWindow"
    ABOVE_MAX_INTENSITY = "AboveMaxIntensity"
    SIGNAL_MISSING = "SignalMissing"
    INVALID_WORKLOAD = "InvalidWorkload"
    NAME_TAKEN = "NameTaken"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NO_ZONE = "NoZone"
    UNREADABLE = "Unreadable"


REFUSALS = frozenset(
    {
        HoldReason.INVALID_WORKLOAD,
        HoldReason.NAME_TAKEN,
        HoldReason.QUOTA_EXCEEDED,
        HoldReason.UNREADABLE,
    }
)
"""Reasons why no child Job can be, whatever the grid; only API server and operator know them."""


TO_MEND = frozenset(
    {
        HoldReason.INVALID_WORKLOAD,
        HoldReason.NAME_TAKEN,
        HoldReason.NO_ZONE,
        HoldReason.UNREADABLE,
    }
)
"""Reasons that stay until somebody changes something."""


class ReleaseReason(StrEnum):
    """Why `Released` is True."""

    INTENSITY_PREFERRED = "IntensityPreferred"
    INTENSITY_ACCEPTABLE = "IntensityAcceptable"
    DEADLINE_REACHED = "DeadlineReached"
    SIGNAL_MISSING = "SignalMissing"
    IMMEDIATE = "Immediate"
    RELEASED_BY_USER = "ReleasedByUser"


class EndReason(StrEnum):
    """Why `Complete` or `Failed` is True."""

    SUCCEEDED = "Succeeded"
    WORKLOAD_FAILED = "WorkloadFailed"
    DEADLINE_MISSED = "DeadlineMissed"
    WORKLOAD_DELETED = "WorkloadDeleted"


class SignalReason(StrEnum):
    """Reasons of `Ready` and `Fresh` of a zone."""

    CURRENT = "Current"
    STALE = "Stale"
    UNAUTHORIZED = "Unauthorized"
    RATE_LIMITED = "RateLimited"
    ZONE_UNKNOWN = "ZoneUnknown"
    UNREACHABLE = "Unreachable"
    MALFORMED = "Malformed"
    MISCONFIGURED = "Misconfigured"
    USING_FALLBACK = "UsingFallback"
    NO_ZONE = "NoZone"


class GuardReason(StrEnum):
    """Reasons of `AdmissionPolicyBound` of a zone."""

    BOUND = "Bound"
    NOT_BOUND = "NotBound"


class Annotation(StrEnum):
    """Annotations that are read or written."""

    RELEASE_REQUESTED = "carbonaware.io/release-requested"
    RELEASE_REASON = "carbonaware.io/release-reason"
    RELEASE_BASIS = "carbonaware.io/release-basis"
    HANDLED_RELEASE_REQUEST = "carbonaware.io/handled-release-request"
    LEFT_OUT = "carbonaware.io/left-out"
    SUSPENDED_BY = "carbonaware.io/suspended-by"
    SUSPENDED_TIME = "carbonaware.io/suspended-time"


SETTLE_FINALIZER = "carbonaware.io/settle"
"""Keeps a job, and its ledger, until its energy is settled against a budget."""


class Label(StrEnum):
    """Labels of a child Job and its pods."""

    JOB = "carbonaware.io/job"
    JOB_UID = "carbonaware.io/job-uid"
