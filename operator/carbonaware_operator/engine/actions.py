"""Actions: carrying out what was decided on a job, and telling of it in its status and by events.

Each concerns one job. What the API server says to it goes to the caller as an exception.
"""

import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.api.reasons import ConditionType, EndReason
from carbonaware_operator.cluster.events import Recorder, event_reason, transitions
from carbonaware_operator.cluster.jobs import JobWriter
from carbonaware_operator.cluster.kube import ApiError, Object
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.planning.decision import Decision, Fail, Hold, Release, Resume, Suspend
from carbonaware_operator.planning.observed import Cause, Observed
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.store.jobs import JobRecord, JobStore, Unkept
from carbonaware_operator.telemetry.metrics import OperatorMetrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """A decision on one job and the progress that follows from it."""

    decision: Decision
    progress: Progress


class Actions:
    """Acts on the cluster, and takes what it answers into the store."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        writer: JobWriter,
        recorder: Recorder,
        metrics: OperatorMetrics,
        clock: Clock,
    ) -> None:
        self._jobs, self._writer, self._recorder = jobs, writer, recorder
        self._metrics, self._clock = metrics, clock

    async def release(self, record: JobRecord, release: Release) -> None:
        """Create the child Job; its status is told by the next step."""
        self._jobs.apply_child(await self._written("jobs", self._writer.release(record, release)))
        record.blocked = None

    async def check(self, record: JobRecord) -> None:
        """Ask once whether the API server would accept the child Job."""
        await self._writer.check(record)
        record.workload_checked = True
        blocked = record.blocked
        if blocked and blocked.retry and blocked.retry <= self._clock.now():
            record.blocked = None  # what was refused before is accepted now

    async def expire(self, record: JobRecord) -> None:
        """Delete a job at the end of its time to live."""
        await self._writer.delete(record)

    async def carry_out(self, record: JobRecord, step: Step) -> None:
        """Do what was decided, unless that is a release, and write what follows from it."""
        match step.decision:
            case Suspend(cause) if record.child:
                await self._suspend(record, record.child, cause)
                return
            case Resume() if record.child:
                await self._patched(self._writer.resume(record, record.child))
                return
            case Hold() if record.child is None and not record.workload_checked:
                await self.check(record)
            case Fail(EndReason.WORKLOAD_DELETED) if await self._found_again(record):
                return
        if record.calls_for_write(step.progress):
            await self._write(record, step.progress)

    async def stop(self, record: JobRecord) -> None:
        """Suspend the child Job of a job that has ended, which nothing else would ever stop."""
        if record.child:
            log.warning(
                "a job that has ended runs, its child Job is suspended",
                extra={"namespace": record.namespace, "job_name": record.name},
            )
            await self._suspend(record, record.child, Cause.ENDED)

    async def _suspend(self, record: JobRecord, child: Observed, cause: Cause) -> None:
        patch = self._writer.suspend(record, child, cause, self._clock.now())
        await self._patched(patch)

    async def _found_again(self, record: JobRecord) -> bool:
        """Whether the child Job that seems to be gone is there, and only the store had lost it."""
        found = await self._writer.find_child(record)
        if found is None or found["metadata"]["uid"] not in record.owner_uids:
            return False
        self._jobs.apply_child(found)
        return True

    async def _patched(self, patch: Coroutine[Any, Any, Object]) -> None:
        self._jobs.apply_child(await self._written("jobs", patch))

    async def _write(self, record: JobRecord, progress: Progress) -> None:
        before = record.progress
        body = await self._status_written(record, progress)
        shown = self._jobs.apply(body)
        if shown is None:
            return  # deleted meanwhile
        given_back = shown.resource_version == body["metadata"]["resourceVersion"]
        if given_back and shown.progress != progress:
            # To write it again would change nothing, at the speed of the API server.
            shown.unkept = Unkept(progress, shown.progress)
            log.warning(
                "the API server keeps another status than was written",
                extra={"namespace": record.namespace, "job_name": record.name},
            )
        self._count_release(record.namespace, before, progress)
        for condition in transitions(before, progress):
            log.info(
                "job " + event_reason(condition)[0].lower(),
                extra={
                    "namespace": record.namespace,
                    "job_name": record.name,
                    "reason": str(condition.reason),
                },
            )
            await self._recorder.record(record, condition, self._clock.now())

    async def _status_written(self, record: JobRecord, progress: Progress) -> Object:
        """Write a status; the smallest truth where the API server refuses the whole."""
        try:
            return await self._written("carbonawarejobs", self._writer.write(record, progress))
        except ApiError as error:
            if error.status != 422:
                raise
            log.warning(
                "status refused, the smallest truth is written instead",
                extra={
                    "namespace": record.namespace,
                    "job_name": record.name,
                    "error": error.message,
                },
            )
        self._metrics.writes.labels("carbonawarejobs", "reduced").inc()
        return await self._written("carbonawarejobs", self._writer.write_least(record, progress))

    def _count_release(self, namespace: str, before: Progress, progress: Progress) -> None:
        released = progress.condition(ConditionType.RELEASED)
        if before.released or not released or progress.held_seconds is None:
            return
        # One that is suspended as soon as it starts says so, and not why it was let start.
        reason = released.reason if released.status else "Unknown"
        self._metrics.released(namespace, progress.zone_name or "", reason, progress.held_seconds)

    async def _written(self, kind: str, write: Coroutine[Any, Any, Object]) -> Object:
        """Count and time one write."""
        with self._metrics.write_seconds.labels(kind).time():
            try:
                body = await write
            except Exception:
                self._metrics.writes.labels(kind, "error").inc()
                raise
        self._metrics.writes.labels(kind, "ok").inc()
        return body
