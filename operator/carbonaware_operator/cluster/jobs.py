"""Writes that a decision calls for: the child Job, and the planner's part of a job's status."""

from dataclasses import replace

from carbonaware_operator.api.reasons import ConditionType, HoldReason, ReleaseReason
from carbonaware_operator.api.schema import API_VERSION, PLANNER_MANAGER
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    JOBS,
    ApiError,
    KubeClient,
    Object,
    objects_of,
)
from carbonaware_operator.kinds.parent import parent_uid
from carbonaware_operator.kinds.registry import JOB, kind_of
from carbonaware_operator.planning.decision import Basis, Release
from carbonaware_operator.planning.observed import Cause, Observed
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobRecord
from carbonaware_operator.store.status import status_of

_REFUSAL_LENGTH = 1024
_LEAST = "the API server refuses the rest of this status; the operator's log has its words"


class StaleJobError(Exception):
    """The job is not any more what the decision was made on; `live` is what it is, None if gone."""

    def __init__(self, live: Object | None) -> None:
        super().__init__("the job has changed since it was decided on")
        self.live = live


class RefusedError(Exception):
    """The API server refuses the child Job.

    reason: the hold reason that follows; final: the template itself is invalid, and cannot change.
    Every other refusal may pass: a quota, a policy, a webhook or a right is somebody's to change.
    """

    def __init__(self, reason: HoldReason, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.final = final


class JobWriter:
    """Acts on the cluster for one job at a time. Every method may raise ApiError."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube

    async def check(self, record: JobRecord) -> None:
        """Ask the API server, without effect, whether it would accept the child Job.

        Raises RefusedError; StaleJobError when the job is gone.
        """
        live = await self._live(record)
        body = JOB.build(live, Release(ReleaseReason.IMMEDIATE, Basis.SCHEDULE), None)
        try:
            await self._kube.create(JOBS, record.namespace, body, dry_run=True)
        except ApiError as error:
            if _template_is_invalid(error):
                words = f"`jobTemplate` is not a valid Job: {_words(error)}"
                raise RefusedError(
                    HoldReason.INVALID_WORKLOAD,
                    words + "; create the job again, corrected",
                    final=True,
                ) from error
            # A full quota says nothing of the workload: it may have room at the release.
            if error.status not in (403, 409):
                raise _refusal(error) from error

    async def release(self, record: JobRecord, release: Release) -> Object:
        """Create the child Job, or find the one that an interrupted release created.

        Raises StaleJobError when the live job forbids it, RefusedError when the API server does.
        """
        live = await self._live(record)
        if _forbids_release(live) or live["metadata"]["generation"] != record.generation:
            raise StaleJobError(live)
        handled = record.release_request if record.planned().release_requested else None
        body = JOB.build(live, release, handled)
        try:
            return await self._kube.create(JOBS, record.namespace, body)
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return await self._existing(record)
            raise _refusal(error) from error

    async def suspend(
        self, record: JobRecord, child: Observed, cause: Cause, now: Instant
    ) -> Object:
        """Suspend the child Job, if it still is as it was seen (else ApiError 409)."""
        body = kind_of(child.workload).suspend_patch(child, cause, now)
        return await self._patch(record, child, body)

    async def resume(self, record: JobRecord, child: Observed) -> Object:
        """Lift our own suspension of the child Job, under the same precondition."""
        return await self._patch(record, child, kind_of(child.workload).resume_patch(child))

    async def find_child(self, record: JobRecord) -> Object | None:
        """The child Job as the API server has it; None when there is none of this job's."""
        noted = record.progress.workload
        body = await self._named(record.namespace, noted.name if noted else record.name)
        return body if body and parent_uid(body) == record.uid else None

    async def write(self, record: JobRecord, progress: Progress) -> Object:
        """Write the planner's part of the status; raises StaleJobError when the job has changed."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "CarbonAwareJob",
            "metadata": {"name": record.name, "resourceVersion": record.resource_version},
            "status": status_of(progress),
        }
        try:
            return await self._kube.apply(
                CARBON_AWARE_JOBS, record.namespace, body, manager=PLANNER_MANAGER, sub="status"
            )
        except ApiError as error:
            if error.status in (404, 409):
                raise StaleJobError(await self.read(record)) from error
            raise

    async def write_least(self, record: JobRecord, progress: Progress) -> Object:
        """Write the smallest truth: which workload there is, and the one condition that says most.

        For a status that the API server refuses: without it a job would run a second time.
        """
        least = Progress(
            state=progress.state,
            reason=progress.reason,
            generation=progress.generation,
            workload=progress.workload,
            conditions=tuple(replace(c, message=_LEAST) for c in progress.conditions[-1:]),
        )
        return await self.write(record, least)

    async def read(self, record: JobRecord) -> Object | None:
        """The job as the API server has it; None when it is gone."""
        try:
            body = await self._kube.get(CARBON_AWARE_JOBS, record.namespace, record.name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return body if body["metadata"]["uid"] == record.uid else None

    async def delete(self, record: JobRecord) -> None:
        """Delete a job whose time to live is over."""
        try:
            await self._kube.delete(
                CARBON_AWARE_JOBS, record.namespace, record.name, uid=record.uid
            )
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def _patch(self, record: JobRecord, child: Observed, body: Object) -> Object:
        where = objects_of(kind_of(child.workload).resource)
        return await self._kube.merge(
            where, record.namespace, child.name, body, manager=PLANNER_MANAGER
        )

    async def _live(self, record: JobRecord) -> Object:
        live = await self.read(record)
        if live is None:
            raise StaleJobError(None)
        return live

    async def _existing(self, record: JobRecord) -> Object:
        """The child that an earlier, interrupted release created."""
        existing = await self._named(record.namespace, record.name)
        if existing and parent_uid(existing) == record.uid:
            return existing
        message = f"a Job {record.name!r} exists that is not this CarbonAwareJob's: delete it"
        if existing is None or existing["metadata"].get("deletionTimestamp"):
            message = f"an earlier Job {record.name!r} is still being deleted"
        raise RefusedError(HoldReason.NAME_TAKEN, message, final=False)

    async def _named(self, namespace: str, name: str) -> Object | None:
        try:
            return await self._kube.get(JOBS, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def _forbids_release(live: Object) -> bool:
    status = live.get("status") or {}
    return bool(
        live["metadata"].get("deletionTimestamp")
        or live["spec"].get("suspend")
        or status.get("workload")
        or any(_ends(condition) for condition in status.get("conditions") or [])
    )


def _ends(condition: Object) -> bool:
    kind = condition["type"]
    return kind in (ConditionType.COMPLETE, ConditionType.FAILED) and condition["status"] == "True"


def _template_is_invalid(error: ApiError) -> bool:
    """Whether a dry run was refused for what the template says, and not by somebody's policy.

    Validation names the fields that are wrong; a policy or a webhook gives none, whatever its code.
    """
    if error.status == 400:
        return "strict decoding error" in error.message
    fields = error.causes
    named = bool(fields) and all(field.startswith(("spec", "metadata")) for field in fields)
    return error.status == 422 and error.reason == "Invalid" and named


def _refusal(error: ApiError) -> Exception:
    """What a refused creation means for the job."""
    if error.retryable or error.status in (401, 409):
        return error
    if error.status == 403 and "exceeded quota" in error.message:
        return RefusedError(HoldReason.QUOTA_EXCEEDED, _words(error), final=False)
    message = f"the API server refuses the Job: {_words(error)}"
    return RefusedError(HoldReason.INVALID_WORKLOAD, message, final=False)


def _words(error: ApiError) -> str:
    return error.message[:_REFUSAL_LENGTH]  # the API server echoes what it refuses, however long
