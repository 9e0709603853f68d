"""`release`, `hold`, `suspend`, `resume`: what a user asks of the operator, and what forbids it."""

from uuid import uuid4

from carbonaware_operator.api.reasons import Annotation
from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.lookup import FoundJob, find_job
from carbonaware_operator.cli.states import standing
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, ApiError, KubeClient, Object
from carbonaware_operator.store.jobs import JobRecord


async def request_release(kube: KubeClient, namespace: str, name: str) -> JobRecord:
    """Ask the operator to start a held job now; the job as it was.

    Raises CommandError: it runs, has ended, or is suspended; ApiError.
    """
    job = await find_job(kube, namespace, name)
    forbidden = _forbids_release(job)
    if forbidden:
        raise CommandError(f"{_title(job.record)} {forbidden}")
    token = f"cli-{uuid4()}"
    change: Object = {"metadata": {"annotations": {Annotation.RELEASE_REQUESTED.value: token}}}
    await _change(kube, job.record, change)
    return job.record


def _forbids_release(job: FoundJob) -> str | None:
    record = job.record
    now_standing = standing(record.progress)
    if record.progress.ended:
        return f"has ended ({now_standing.reason}); create it again to run it again"
    if record.suspend:
        where = f"{record.name} -n {record.namespace}"
        return f"is suspended; clear `suspend` first: kubectl carbonaware resume {where}"
    if _has_started(record):
        return "has already been started; `kubectl carbonaware explain` shows how it is doing"
    return None


async def hold(kube: KubeClient, namespace: str, name: str) -> bool:
    """Keep a job that has not started from starting; false when it already is kept.

    Raises CommandError: it has started, at the latest while this was asked, or has ended; ApiError.
    """
    job = (await find_job(kube, namespace, name)).record
    where = f"{name} -n {namespace}"
    if job.progress.ended:
        raise CommandError(f"{_title(job)} has ended ({standing(job.progress).reason})")
    if _has_started(job):
        raise CommandError(
            f"{_title(job)} has already been started; to stop it and end its pods:"
            f" kubectl carbonaware suspend {where}"
        )
    if job.suspend:
        return False
    await _change(kube, job, {"spec": {"suspend": True}})
    if _has_started((await find_job(kube, namespace, name)).record):
        raise CommandError(
            f"{_title(job)} was started at the same moment and is suspended now; to let it go on:"
            f" kubectl carbonaware resume {where}"
        )
    return True


def _has_started(record: JobRecord) -> bool:
    return bool(record.child or record.progress.workload)


async def set_suspend(kube: KubeClient, namespace: str, name: str, suspend: bool) -> bool:
    """Set or clear a job's `suspend`; false when it already was so.

    Raises CommandError: it has ended; ApiError.
    """
    record = (await find_job(kube, namespace, name)).record
    if record.progress.ended:
        reason = standing(record.progress).reason
        raise CommandError(f"{_title(record)} has ended ({reason}): nothing is left to suspend")
    if record.suspend == suspend:
        return False
    await _change(kube, record, {"spec": {"suspend": suspend}})
    return True


async def _change(kube: KubeClient, record: JobRecord, change: Object) -> None:
    """Merge a change into the very job that was looked at, not one that took its name since."""
    metadata = {**change.get("metadata", {}), "uid": record.uid}
    body = {**change, "metadata": metadata}
    try:
        await kube.merge(CARBON_AWARE_JOBS, record.namespace, record.name, body)
    except ApiError as error:
        if error.status == 409:
            raise CommandError(f"{_title(record)} was replaced meanwhile; try again") from error
        raise


def _title(record: JobRecord) -> str:
    return f"job {record.namespace}/{record.name}"
