"""One job as the API server has it, with its child Job, made into what the planner decides on."""

from dataclasses import dataclass, replace

from carbonaware_operator.api.job import CarbonAwareJobStatus
from carbonaware_operator.api.reasons import REFUSALS, ConditionType, HoldReason, Label
from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.pods import startups
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    JOBS,
    ApiError,
    Kind,
    KubeClient,
    Object,
)
from carbonaware_operator.kinds.parent import parent_uid
from carbonaware_operator.kinds.pods import Startup
from carbonaware_operator.kinds.registry import observe
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.planning.resolve import SETTINGS, Defaults, Source
from carbonaware_operator.planning.situation import Blocked
from carbonaware_operator.store.jobs import JobRecord, record_of
from carbonaware_operator.store.status import progress_of
from carbonaware_operator.store.zones import ZoneRecord, zone_record


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A CarbonAwareJob and its child Job.

    pods: how many pods of the child are active, succeeded and failed; empty without child.
    startup: how far they are; None where that does not matter or may not be read.
    """

    record: JobRecord
    status: CarbonAwareJobStatus
    pods: dict[str, int]
    startup: Startup | None = None


async def find_job(kube: KubeClient, namespace: str, name: str) -> FoundJob:
    """Read a job and its child Job.

    Raises CommandError: there is no such job, or it is newer than this program; ApiError.
    """
    body = await _existing(kube, CARBON_AWARE_JOBS, namespace, name)
    if body is None:
        raise no_such_job(namespace, name)
    try:
        status = CarbonAwareJobStatus.model_validate(body.get("status") or {})
        child = await _child(kube, body, status)
        return FoundJob(_record(body, status, child), status, _pods(child))
    except ValueError as error:
        raise unreadable(f"CarbonAwareJob {namespace}/{name}") from error


async def _child(kube: KubeClient, body: Object, status: CarbonAwareJobStatus) -> Object | None:
    """The child Job; another Job of its name is none of this job's."""
    metadata = body["metadata"]
    name = status.workload.name if status.workload else metadata["name"]
    found = await _existing(kube, JOBS, metadata["namespace"], name)
    return found if found and parent_uid(found) == metadata["uid"] else None


async def find_with_pods(kube: KubeClient, namespace: str, name: str) -> FoundJob:
    """The same, with how far its pods are. Raises CommandError, ApiError."""
    job = await find_job(kube, namespace, name)
    child = job.record.child
    if child is None:
        return job
    mine = f"{Label.JOB_UID}={job.record.uid}"
    found = await startups(kube, namespace, [child.uid], selector=mine)
    return replace(job, startup=found.get(child.uid) if found else None)


def progress_in(body: Object) -> Progress:
    """How far the operator says that a job has come. Raises CommandError."""
    try:
        return progress_of(CarbonAwareJobStatus.model_validate(body.get("status") or {}))
    except ValueError as error:
        metadata = body["metadata"]
        raise unreadable(f"CarbonAwareJob {metadata['namespace']}/{metadata['name']}") from error


async def find_zone(kube: KubeClient, name: str) -> ZoneRecord | None:
    """Read a zone; None when there is none of that name. Raises CommandError, ApiError."""
    body = await _existing(kube, CARBON_ZONES, None, name)
    try:
        return zone_record(body) if body else None
    except ValueError as error:
        raise unreadable(f"CarbonZone {name}") from error


def no_such_job(namespace: str, name: str) -> CommandError:
    """There is no job of that name."""
    where = f"{namespace}/{name}" if namespace else name
    return CommandError(
        f"there is no CarbonAwareJob {where}; `kubectl carbonaware list -A` shows all"
    )


def unreadable(subject: str) -> CommandError:
    """An object does not have the shape that this version of the program knows."""
    return CommandError(f"{subject} is from another version of carbonaware: update this program")


async def _existing(
    kube: KubeClient, kind: Kind, namespace: str | None, name: str
) -> Object | None:
    try:
        return await kube.get(kind, namespace, name)
    except ApiError as error:
        if error.status == 404 and f'"{name}" not found' in error.message:
            return None
        raise


def _record(body: Object, status: CarbonAwareJobStatus, child: Object | None) -> JobRecord:
    # What the operator filled in is in its status. Of its zone that holds for an earlier operator's
    # as well, which did not say what it had filled in.
    zone = Defaults(Source.SETTINGS, zone_name=status.zone_name)
    record = record_of(body, (*progress_of(status).applied, zone, SETTINGS))
    record.child = observe(child) if child else None
    record.blocked = _blocked(record.progress)
    return record


def _blocked(progress: Progress) -> Blocked | None:
    """That the API server refuses the workload is known to the operator alone: it says so here.

    When it asks again is not known here: until then what it says stands.
    """
    released = progress.condition(ConditionType.RELEASED)
    if released is None or released.status:
        return None
    if released.reason not in REFUSALS:
        return None
    return Blocked(
        HoldReason(released.reason), released.message, retry=None, final=True, since=released.since
    )


def _pods(child: Object | None) -> dict[str, int]:
    if child is None:
        return {}
    status = child.get("status") or {}
    return {name: int(status.get(name) or 0) for name in ("active", "succeeded", "failed")}
