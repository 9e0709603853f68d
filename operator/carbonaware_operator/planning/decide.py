"""decide(): whether a job starts now. Pure, so that every decision can be replayed and explained.

The rules come in this order, and the first that speaks wins:

1. the user's `suspend`;
2. a workload that the API server refuses;
3. the user's request to start now;
4. `earliestStart`;
5. the deadline: at the latest start the job starts or fails, whatever the grid;
6. a zone that does not exist;
7. the windows;
8. the strategy Immediate, then a missing signal;
9. `preferredGramsPerKWh` and `maxGramsPerKWh`.

A missing zone stands after the deadline, so that deleting a zone strands no job; a refusal before
the user's request, which would otherwise be tried over and over.
"""

from carbonaware_operator.api.job import Strategy, WhenDeadlineReached, WhenSignalMissing
from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason
from carbonaware_operator.planning.decision import (
    Continue,
    Decision,
    Fail,
    Hold,
    Release,
    Resume,
    Suspend,
)
from carbonaware_operator.planning.job import Job, ResolvedSchedule
from carbonaware_operator.planning.observed import Stage
from carbonaware_operator.planning.outlook import Missing, Outlook
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant, format_instant


def decide(job: Job, outlook: Outlook | None, now: Instant) -> Decision:
    """Decide on one unfinished job.

    outlook: of the job's zone; None when there is no such zone.
    """
    if job.stage is Stage.HELD:
        return _decide_held(job, outlook, now)
    if job.stage is Stage.ENDED:
        return Continue()
    if job.suspend:
        suspended = Hold(HoldReason.SUSPENDED_BY_USER, SUSPENDED_MESSAGE)
        return suspended if job.stage is Stage.SUSPENDED else Suspend()
    return Resume() if job.stage is Stage.SUSPENDED else Continue()


SUSPENDED_MESSAGE = "`suspend` is true; set it to false to let the job go on"


def _decide_held(job: Job, outlook: Outlook | None, now: Instant) -> Decision:
    schedule = job.schedule
    if job.suspend:
        return Hold(HoldReason.SUSPENDED_BY_USER, SUSPENDED_MESSAGE)
    if job.blocked and (job.blocked.retry is None or now < job.blocked.retry):
        blocked = job.blocked
        return Hold(blocked.reason, blocked.message, review=blocked.retry)
    if job.release_requested:
        return Release(ReleaseReason.RELEASED_BY_USER)
    if schedule.earliest_start and now < schedule.earliest_start:
        return _before_earliest_start(schedule.earliest_start)
    last = latest_start(schedule, now)
    if now >= last:
        return _at_deadline(schedule)
    if outlook is None:
        return _no_zone(job.zone_name, schedule, last)
    return _decide_by_grid(schedule, outlook, now, last)


def latest_start(schedule: ResolvedSchedule, now: Instant) -> Instant:
    """The latest instant from now on that is inside a window and meets the deadline; else now."""
    return schedule.windows.last_start(not_before=now, not_after=schedule.deadline) or now


def _before_earliest_start(earliest: Instant) -> Hold:
    return Hold(
        HoldReason.BEFORE_EARLIEST_START,
        f"waits for `earliestStart`, {format_instant(earliest)}",
        until=earliest,
        review=earliest,
    )


def _at_deadline(schedule: ResolvedSchedule) -> Release | Fail:
    if schedule.when_deadline_reached is WhenDeadlineReached.START:
        return Release(ReleaseReason.DEADLINE_REACHED)
    return Fail(
        EndReason.DEADLINE_MISSED,
        f"not started by {format_instant(schedule.deadline)}, the latest start, and"
        " `whenDeadlineReached` is Fail; allow more time or a higher `maxGramsPerKWh`",
    )


def _no_zone(zone_name: str | None, schedule: ResolvedSchedule, last: Instant) -> Hold:
    if zone_name is None:
        message = "no zone: set `zoneName`, or give the operator a default zone"
    else:
        message = f"there is no CarbonZone {zone_name!r}: create it, or change `zoneName`"
    return Hold(HoldReason.NO_ZONE, message, until=_planned(schedule, last), review=last)


def _decide_by_grid(
    schedule: ResolvedSchedule, outlook: Outlook, now: Instant, last: Instant
) -> Decision:
    if not schedule.windows.contains(now):
        opening = schedule.windows.next_opening(now)
        return Hold(
            HoldReason.OUTSIDE_WINDOW,
            f"outside every window; the next one opens at {format_instant(opening)}",
            until=opening,
            review=min(opening, last),
        )
    if schedule.strategy is Strategy.IMMEDIATE:
        return Release(ReleaseReason.IMMEDIATE)
    review = min(last, schedule.windows.closing(now) or last)
    if isinstance(outlook.current, Missing):
        return _without_signal(schedule, outlook, last, review)
    return _by_intensity(schedule, outlook.current.intensity, "grid intensity", last, review)


def _without_signal(
    schedule: ResolvedSchedule, outlook: Outlook, last: Instant, review: Instant
) -> Decision:
    match schedule.when_signal_missing:
        case WhenSignalMissing.START:
            return Release(ReleaseReason.SIGNAL_MISSING)
        case WhenSignalMissing.USE_FALLBACK:
            fallback = f"the fallback intensity of zone {outlook.zone}"
            return _by_intensity(schedule, outlook.fallback.intensity, fallback, last, review)
        case WhenSignalMissing.HOLD:
            return Hold(
                HoldReason.SIGNAL_MISSING,
                f"zone {outlook.zone} has no fresh intensity and `whenSignalMissing` is Hold;"
                + _ends(schedule, last),
                until=_planned(schedule, last),
                review=review,
            )


def _by_intensity(
    schedule: ResolvedSchedule,
    intensity: MilligramsPerKWh,
    subject: str,
    last: Instant,
    review: Instant,
) -> Decision:
    preferred, limit = schedule.preferred_intensity, schedule.max_intensity
    if preferred is not None and intensity <= preferred:
        return Release(ReleaseReason.INTENSITY_PREFERRED)
    if limit is not None and intensity > limit:
        return Hold(
            HoldReason.ABOVE_MAX_INTENSITY,
            f"{subject} is above `maxGramsPerKWh`, {limit // 1000} gCO2e/kWh;"
            + _ends(schedule, last),
            until=_planned(schedule, last),
            review=review,
        )
    return Release(ReleaseReason.INTENSITY_ACCEPTABLE)


def _ends(schedule: ResolvedSchedule, last: Instant) -> str:
    verb = "fails" if schedule.when_deadline_reached is WhenDeadlineReached.FAIL else "starts"
    return f" {verb} at {format_instant(last)} at the latest"


def _planned(schedule: ResolvedSchedule, last: Instant) -> Instant | None:
    return last if schedule.when_deadline_reached is WhenDeadlineReached.START else None
