"""Progress <-> the planner's fields of a CarbonAwareJob's status."""

import sys
from enum import StrEnum
from typing import Any, TypeVar

from carbonaware_operator.api.job import (
    AppliedDefaults,
    CarbonAwareJobStatus,
    Strategy,
    WhenDeadlineReached,
    WhenSignalMissing,
    WorkloadReference,
)
from carbonaware_operator.api.reasons import ConditionType
from carbonaware_operator.api.schema import Condition as ApiCondition
from carbonaware_operator.planning.observed import Cause, Workload
from carbonaware_operator.planning.progress import Condition, Progress, in_order
from carbonaware_operator.planning.resolve import Defaults, Source, shared
from carbonaware_operator.quantities.durations import format_duration, parse_duration
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant

Word = TypeVar("Word", bound=StrEnum)


def progress_of(status: CarbonAwareJobStatus) -> Progress:
    """Read back what an earlier operator, or this one, wrote."""
    workload = status.workload
    return Progress(
        state=status.state,
        reason=sys.intern(status.reason or ""),
        generation=status.observed_generation,
        zone_name=sys.intern(status.zone_name) if status.zone_name else None,
        deadline=_parsed(status.deadline),
        applied=shared(tuple(filter(None, map(_defaults_of, status.applied_defaults or [])))),
        conditions=in_order(_condition_of(c) for c in status.conditions or [] if _is_ours(c)),
        planned_start=_parsed(status.plan.start_time) if status.plan else None,
        latest_start=_parsed(status.plan.latest_start_time) if status.plan else None,
        workload=_workload_of(workload) if workload else None,
        handled_request=status.handled_release_request,
        baseline_start=_parsed(status.baseline_start_time),
        stalled=_parsed(status.stalled_time),
        shifts=tuple((parse_instant(s.from_time), s.seconds) for s in status.shifts or []),
        suspended=_parsed(status.suspended_time),
        suspended_by=_cause(status.suspended_by),
        suspended_seconds=status.suspended_seconds,
        released=_parsed(status.released_time),
        finished=_parsed(status.finished_time),
        held_seconds=status.held_seconds,
        run_seconds=status.run_seconds,
    )


def status_of(progress: Progress) -> dict[str, Any]:
    """The complete set of status fields that the planner owns, for server-side apply."""
    fields = {
        "state": progress.state,
        "reason": progress.reason or None,
        "observedGeneration": progress.generation,
        "zoneName": progress.zone_name,
        "deadline": _formatted(progress.deadline),
        "appliedDefaults": [applied_document(defaults) for defaults in progress.applied] or None,
        "conditions": [_api_condition(c) for c in progress.conditions],
        "plan": _plan(progress),
        "workload": _workload(progress.workload),
        "handledReleaseRequest": progress.handled_request,
        "baselineStartTime": _formatted(progress.baseline_start),
        "stalledTime": _formatted(progress.stalled),
        "shifts": [{"fromTime": _formatted(t), "seconds": n} for t, n in progress.shifts] or None,
        "suspendedTime": _formatted(progress.suspended),
        "suspendedBy": progress.suspended_by,
        "suspendedSeconds": progress.suspended_seconds,
        "releasedTime": _formatted(progress.released),
        "finishedTime": _formatted(progress.finished),
        "heldSeconds": progress.held_seconds,
        "runSeconds": progress.run_seconds,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _is_ours(condition: ApiCondition) -> bool:
    return condition.type in set(ConditionType)


def _defaults_of(applied: AppliedDefaults) -> Defaults | None:
    """What was filled in; what only a newer operator knows is left out."""
    if applied.source not in set(Source):
        return None
    return Defaults(
        source=Source(applied.source),
        zone_name=applied.zone_name,
        strategy=_known(Strategy, applied.strategy),
        max_delay=parse_duration(applied.max_delay) if applied.max_delay else None,
        when_signal_missing=_known(WhenSignalMissing, applied.when_signal_missing),
        when_deadline_reached=_known(WhenDeadlineReached, applied.when_deadline_reached),
    )


def _known(words: type[Word], text: str | None) -> Word | None:
    return words(text) if text in set(words) else None


def applied_document(defaults: Defaults) -> dict[str, str]:
    """What one source filled in, as the API has it."""
    fields = {
        "source": defaults.source,
        "zoneName": defaults.zone_name,
        "strategy": defaults.strategy,
        "maxDelay": format_duration(defaults.max_delay) if defaults.max_delay else None,
        "whenSignalMissing": defaults.when_signal_missing,
        "whenDeadlineReached": defaults.when_deadline_reached,
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


def _condition_of(condition: ApiCondition) -> Condition:
    return Condition(
        type=ConditionType(condition.type),
        status=condition.status == "True",
        reason=sys.intern(condition.reason),
        message=condition.message,
        since=parse_instant(condition.last_transition_time),
        generation=condition.observed_generation or 0,
    )


def _api_condition(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type.value,
        "status": "True" if condition.status else "False",
        "reason": str(condition.reason),
        "message": condition.message,
        "lastTransitionTime": _formatted(condition.since),
        "observedGeneration": condition.generation,
    }


def _workload_of(reference: WorkloadReference) -> Workload:
    return Workload(reference.api_version, reference.kind, reference.name, reference.uid)


def _plan(progress: Progress) -> dict[str, str] | None:
    times = {"startTime": progress.planned_start, "latestStartTime": progress.latest_start}
    return {name: format_instant(time) for name, time in times.items() if time} or None


def _workload(workload: Workload | None) -> dict[str, str] | None:
    if workload is None:
        return None
    return {
        "apiVersion": workload.api_version,
        "kind": workload.kind,
        "name": workload.name,
        "uid": workload.uid,
    }


def _cause(text: str | None) -> Cause | None:
    """A cause that a later version knows is none of ours to lift."""
    if text is None:
        return None
    return Cause(text) if text in set(Cause) else Cause.OTHER


def _parsed(text: str | None) -> Instant | None:
    return parse_instant(text) if text else None


def _formatted(instant: Instant | None) -> str | None:
    return format_instant(instant) if instant else None
