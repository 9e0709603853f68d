"""Situation: everything that one decision rests on, and nothing else."""

from dataclasses import dataclass

from carbonaware_operator.api.reasons import HoldReason
from carbonaware_operator.planning.observed import Observed, Workload
from carbonaware_operator.planning.outlook import Outlook
from carbonaware_operator.planning.resolve import Resolved, ResolvedSchedule
from carbonaware_operator.quantities.instants import Instant

LONGEST_TOKEN = 1024
"""As much of a request's token as the status can hold, and so as is told from another one."""


def token_of(annotation: str | None) -> str | None:
    """A request's token as it is compared and kept: what its user wrote may be of any length."""
    return annotation[:LONGEST_TOKEN] if annotation is not None else None


@dataclass(frozen=True, slots=True)
class Blocked:
    """The API server refuses the workload.

    message: constant for the reason; what the API server says may differ each time.
    retry: when to ask again; None: when somebody who knows of a change says so.
    final: it is never asked again.
    since: when it refused.
    """

    reason: HoldReason
    message: str
    retry: Instant | None
    final: bool
    since: Instant

    def asked_again(self, last: Instant) -> Instant | None:
        """When the API server is asked again, at the latest start once, whatever was said."""
        if self.final:
            return None
        if last <= self.since:
            return self.retry
        return min(self.retry, last) if self.retry else last


@dataclass(frozen=True, slots=True)
class Job:
    """Everything about one unfinished job that a decision rests on.

    child: the object that runs it; noted: the one that its status says runs it.
    """

    created: Instant
    generation: int
    suspend: bool
    resolved: Resolved
    release_requested: bool = False
    blocked: Blocked | None = None
    child: Observed | None = None
    noted: Workload | None = None

    @property
    def zone_name(self) -> str | None:
        """The zone whose grid it waits for."""
        return self.resolved.zone_name

    @property
    def schedule(self) -> ResolvedSchedule:
        """When it may start."""
        return self.resolved.schedule


@dataclass(frozen=True, slots=True)
class Situation:
    """A job, the grid and the time; outlook: of the job's zone, None when there is no such zone."""

    job: Job
    outlook: Outlook | None
    now: Instant

    @property
    def schedule(self) -> ResolvedSchedule:
        """When the job may start."""
        return self.job.resolved.schedule

    @property
    def last(self) -> Instant:
        """The latest start."""
        return latest_start(self.job.resolved.schedule, self.now)


def latest_start(schedule: ResolvedSchedule, now: Instant) -> Instant:
    """The latest instant from now on that is inside a window and meets the deadline; else now."""
    last = schedule.last_start
    return now if last is None else max(last, now)
