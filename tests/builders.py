"""Builders: objects for tests that hide everything a test does not speak of."""

from datetime import UTC, datetime, timedelta
from typing import Any

from carbonaware_operator.api.daily import Day
from carbonaware_operator.api.job import (
    Strategy,
    WhenDeadlineReached,
    WhenSignalMissing,
    Window,
)
from carbonaware_operator.api.reasons import (
    Annotation,
    HoldReason,
    Label,
    ReleaseReason,
    SignalReason,
)
from carbonaware_operator.planning.observed import Cause, Ending, Observed, Workload
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.planning.resolve import Defaults, Resolved, ResolvedSchedule
from carbonaware_operator.planning.situation import Blocked, Job
from carbonaware_operator.planning.windows import ALWAYS, Windows, windows_of
from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant, format_instant
from carbonaware_operator.store.jobs import JobRecord, JobStore

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
"""A Monday; every builder's object was created at it."""


def hours(count: float) -> timedelta:
    """A number of hours."""
    return timedelta(hours=count)


NEXT_NOON = NOON + hours(24)


def minutes(count: float) -> timedelta:
    """A number of minutes."""
    return timedelta(minutes=count)


def a_window(start: str, end: str, time_zone: str | None = None, *days: str) -> Window:
    """A window of a job's schedule; on every day unless days are named."""
    chosen = [Day(day) for day in days] or None
    return Window(start=start, end=end, time_zone=time_zone, days=chosen)


def some_windows(*windows: Window) -> Windows:
    """Windows as the planner has them."""
    return windows_of(windows)


def a_schedule(
    *,
    strategy: Strategy = Strategy.THRESHOLD,
    max_grams: int | None = None,
    preferred_grams: int | None = None,
    earliest_start: Instant | None = None,
    deadline: Instant = NEXT_NOON,
    windows: Windows = ALWAYS,
    expected_duration: timedelta | None = None,
    when_signal_missing: WhenSignalMissing = WhenSignalMissing.USE_FALLBACK,
    when_deadline_reached: WhenDeadlineReached = WhenDeadlineReached.START,
) -> ResolvedSchedule:
    """A schedule that lets the job start at any time of the next day, whatever the grid."""
    return ResolvedSchedule(
        strategy=strategy,
        max_intensity=_milligrams(max_grams),
        preferred_intensity=_milligrams(preferred_grams),
        expected_duration=expected_duration,
        earliest_start=earliest_start,
        deadline=deadline,
        windows=windows,
        when_signal_missing=when_signal_missing,
        when_deadline_reached=when_deadline_reached,
    )


def _milligrams(grams: int | None) -> MilligramsPerKWh | None:
    return None if grams is None else milligrams_per_kwh(grams)


def a_held_job(
    *,
    created: Instant = NOON,
    generation: int = 1,
    suspend: bool = False,
    zone_name: str | None = "de",
    applied: tuple[Defaults, ...] = (),
    release_requested: bool = False,
    blocked: Blocked | None = None,
    child: Observed | None = None,
    noted: Workload | None = None,
    **schedule: Any,
) -> Job:
    """A job that waits in zone de; what a_schedule() takes may be given as well."""
    return Job(
        created=created,
        generation=generation,
        suspend=suspend,
        resolved=Resolved(zone_name, a_schedule(**schedule), applied),
        release_requested=release_requested,
        blocked=blocked,
        child=child,
        noted=noted,
    )


def a_refusal(
    reason: HoldReason = HoldReason.QUOTA_EXCEEDED,
    message: str = "the quota is full",
    *,
    retry: Instant | None = None,
    final: bool = False,
    since: Instant = NOON,
) -> Blocked:
    """That the API server refused the workload; asked again when somebody says so."""
    return Blocked(reason, message, retry, final, since)


def an_outlook(
    now: float | None = 300, *, zone: str = "de", fallback: float = 473, source: str = "Static"
) -> Outlook:
    """A zone's outlook; `now` in gCO2e/kWh, None when there is no fresh signal."""
    current: Signal | Missing
    if now is None:
        current = Missing(SignalReason.STALE, "the last value is two hours old")
    else:
        current = Signal(milligrams_per_kwh(now), source, NOON, NOON + hours(1))
    return Outlook(zone, current, Fallback(milligrams_per_kwh(fallback), "world mean"))


def a_child(
    *,
    name: str = "train",
    uid: str = "child-uid",
    resource_version: str = "10",
    created: Instant = NOON,
    suspended_by: Cause | None = None,
    suspended_since: Instant | None = None,
    gate: str | None = None,
    stopped: bool = False,
    ready: bool = True,
    ending: Ending | None = None,
    release_reason: str = ReleaseReason.INTENSITY_ACCEPTABLE,
    release_basis: str = "",
    handled_request: str | None = None,
    left_out: tuple[str, ...] = (),
) -> Observed:
    """A child Job that runs."""
    return Observed(
        workload=Workload("batch/v1", "Job", name, uid),
        resource_version=resource_version,
        created=created,
        suspended_by=suspended_by,
        suspended_since=suspended_since,
        gate=gate,
        stopped=stopped,
        ready=ready,
        ending=ending,
        owner_uids=frozenset({uid}),
        release_reason=release_reason,
        release_basis=release_basis,
        handled_request=handled_request,
        left_out=left_out,
    )


def a_job_body(
    name: str = "train",
    *,
    uid: str | None = None,
    namespace: str = "ml",
    resource_version: int = 1,
    generation: int = 1,
    created: Instant = NOON,
    zone: str | None = "de",
    template: dict[str, Any] | None = None,
    schedule: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    deleting: bool = False,
    **spec: Any,
) -> dict[str, Any]:
    """A CarbonAwareJob as the API server returns it; other keywords are fields of its spec."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": uid or f"uid-{name}",
        "resourceVersion": str(resource_version),
        "generation": generation,
        "creationTimestamp": format_instant(created),
        "annotations": annotations or {},
    }
    if deleting:
        metadata["deletionTimestamp"] = format_instant(created)
    body: dict[str, Any] = {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": metadata,
        "spec": {"jobTemplate": template or {"spec": a_job_spec()}, **spec},
    }
    if zone:
        body["spec"]["zoneName"] = zone
    if schedule:
        body["spec"]["schedule"] = schedule
    if status:
        body["status"] = status
    return body


def a_job_spec(**fields: Any) -> dict[str, Any]:
    """The spec of a batch/v1 Job of one container."""
    container = {"name": "main", "image": "local/busybox:1"}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {"template": {"spec": pod}, **fields}


def a_child_body(
    job: dict[str, Any],
    *,
    uid: str = "child-uid",
    resource_version: int = 10,
    created: Instant = NOON,
    suspend: bool | None = None,
    status: dict[str, Any] | None = None,
    reason: str = ReleaseReason.INTENSITY_ACCEPTABLE,
    **metadata: Any,
) -> dict[str, Any]:
    """The child Job of a CarbonAwareJob body as the API server returns it."""
    parent = job["metadata"]
    owner = {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "name": parent["name"],
        "uid": parent["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    body: dict[str, Any] = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": parent["name"],
            "namespace": parent["namespace"],
            "uid": uid,
            "resourceVersion": str(resource_version),
            "creationTimestamp": format_instant(created),
            "labels": {Label.JOB.value: parent["name"], Label.JOB_UID.value: parent["uid"]},
            "annotations": {Annotation.RELEASE_REASON.value: str(reason)},
            "ownerReferences": [owner],
            **metadata,
        },
        "spec": a_job_spec(),
        "status": status or {},
    }
    if suspend is not None:
        body["spec"]["suspend"] = suspend
    return body


def a_record(name: str = "train", **fields: Any) -> JobRecord:
    """The record of a_job_body()."""
    return JobStore().apply(a_job_body(name, **fields))


def a_zone_body(
    name: str = "de",
    *,
    uid: str = "zone-uid",
    resource_version: int = 1,
    generation: int = 1,
    grams: int = 300,
) -> dict[str, Any]:
    """A CarbonZone of one value for ever, as the API server returns it."""
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {
            "name": name,
            "uid": uid,
            "resourceVersion": str(resource_version),
            "generation": generation,
            "creationTimestamp": format_instant(NOON),
        },
        "spec": {"source": {"type": "Static", "static": {"gramsPerKWh": grams}}},
    }
