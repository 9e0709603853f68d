"""The planner: one task that decides on every job whose facts or whose hour have changed.

Woken by changes (feed, signals, its own writes) and by the next boundary of a heap. A pass decides
in memory; what a decision calls for is done by short tasks, one per job at a time, so that a slow
API server delays writes and never a decision. Nothing is acted on unless this replica leads.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_never

from carbonaware_operator.api.reasons import ConditionType, EndReason
from carbonaware_operator.cluster.events import Recorder, event_reason, transitions
from carbonaware_operator.cluster.jobs import JobWriter, RefusedError, StaleJobError
from carbonaware_operator.cluster.kube import ApiError, Object
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.planning.decide import latest_start
from carbonaware_operator.planning.decision import (
    Continue,
    Decision,
    Fail,
    Hold,
    Release,
    Resume,
    Suspend,
)
from carbonaware_operator.planning.job import Blocked
from carbonaware_operator.planning.observed import Cause
from carbonaware_operator.planning.order import release_key
from carbonaware_operator.planning.progress import Moment, Progress, advance
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.boundaries import Boundaries
from carbonaware_operator.store.jobs import JobRecord, JobStore, Unkept
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics

log = logging.getLogger(__name__)

RECORDS_PER_SLICE = 500
"""A pass yields to the event loop after so many records: probes and the lease stay punctual."""

WRITES_IN_FLIGHT = 16
RETRY_FIRST = timedelta(seconds=1)
RETRY_LAST = timedelta(seconds=60)
REFUSAL_RETRY = timedelta(seconds=30)
ACCOUNT_PATIENCE = timedelta(minutes=15)
"""A finished job outlives its time to live for so long at most, while its energy is not settled."""


@dataclass(frozen=True, slots=True)
class Step:
    """A decision on one job and the progress that follows from it."""

    decision: Decision
    progress: Progress


class Planner:
    """Decides and sees to it that decisions are carried out."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        zones: ZoneStore,
        writer: JobWriter,
        recorder: Recorder,
        metrics: OperatorMetrics,
        clock: Clock,
        leading: Callable[[], bool],
    ) -> None:
        self._jobs, self._zones = jobs, zones
        self._writer, self._recorder, self._metrics = writer, recorder, metrics
        self._clock, self._leading = clock, leading
        self._dirty: set[str] = set()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()  # changed while busy
        self._failures: dict[str, int] = {}
        self._boundaries = Boundaries()
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(WRITES_IN_FLIGHT)

    def touch(self, *uids: str) -> None:
        """These jobs may have to be decided on anew."""
        self._dirty.update(uids)
        self._wake.set()

    def zone_changed(self, zone_name: str) -> None:
        """A zone came or went, or is asked elsewhere."""
        self.touch(*self._jobs.in_zone(zone_name))

    def outlook_changed(self, zone_name: str) -> None:
        """The outlook of a zone is another: those whose decision may be as well are looked at."""
        self.touch(*self._jobs.touched_by(zone_name, self._zones.outlooks.get(zone_name)))

    def touch_all(self) -> None:
        """Decide on everything: at the start, and as the safety net of the sweep."""
        self.touch(*self._jobs.records)

    async def run(self) -> None:
        """Plan until cancelled."""
        while True:
            await self._sleep_until_due()
            if not self._leading():
                # Dirty records wait: on gaining the lease everything is touched anyway.
                await self._clock.sleep(0.1)
                continue
            with self._metrics.pass_seconds.time():
                await self.plan_once()
            self._metrics.queue_depth.set(len(self._dirty) + len(self._busy))

    async def drain(self, seconds: float) -> None:
        """Let writes in flight end, for so long at most; cancel the rest."""
        tasks = list(self._busy.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()

    async def plan_once(self) -> None:
        """One pass over what is dirty or due."""
        self._wake.clear()
        now = self._clock.now()
        due = self._dirty | set(self._boundaries.pop_due(now))
        self._dirty = set()
        records = [r for uid in due if (r := self._jobs.records.get(uid)) is not None]
        records.sort(key=lambda r: release_key(r.schedule.deadline, r.created, r.uid))
        for index, record in enumerate(records, start=1):
            self._consider(record, now)
            if index % RECORDS_PER_SLICE == 0:
                await self._clock.sleep(0)

    def step(self, record: JobRecord, now: Instant) -> Step:
        """Decide on one unfinished job and derive its progress."""
        outlook = self._zones.outlooks.get(record.zone_name or "")
        job, child = record.planned(), record.child
        decision = record.decide(outlook, now)
        moment = Moment(now.replace(microsecond=0), record.created, record.generation)
        return Step(decision, advance(record.progress, job, child, decision, outlook, moment))

    async def _sleep_until_due(self) -> None:
        boundary = self._boundaries.next()
        if self._dirty:
            return
        if boundary is None:
            await self._wake.wait()
            return
        seconds = (boundary - self._clock.now()).total_seconds()
        waiting = asyncio.ensure_future(self._wake.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    def _consider(self, record: JobRecord, now: Instant) -> None:
        if record.deleting:
            return
        if record.uid in self._busy:
            self._again.add(record.uid)
            return
        if record.progress.ended:
            self._expire(record, now)
            return
        if record.child is None and self._awaits_first_outlook(record):
            last = latest_start(record.schedule, now)
            if now < last:
                self._boundaries.set(record.uid, last)
                return
        step = self.step(record, now)
        if isinstance(step.decision, Hold):
            self._boundaries.set(record.uid, step.decision.review)
        if self._calls_for_action(record, step):
            self._start(record, self._act(record, step))

    def _awaits_first_outlook(self, record: JobRecord) -> bool:
        """The zone exists and has not been asked yet: soon it has an outlook, if a missing one."""
        zone = record.zone_name
        return zone in self._zones.records and zone not in self._zones.outlooks

    def _calls_for_action(self, record: JobRecord, step: Step) -> bool:
        if record.calls_for_write(step.progress):
            return True
        match step.decision:
            case Release() | Suspend() | Resume() | Fail():
                return True
            case Hold():
                return record.child is None and not record.workload_checked
            case Continue():
                return False
            case _:
                assert_never(step.decision)

    def _expire(self, record: JobRecord, now: Instant) -> None:
        """Delete a finished job at the end of its time to live."""
        if record.ttl is None or record.progress.finished is None:
            return
        due = record.progress.finished + record.ttl
        if not record.accounted_for:
            due = max(due, record.progress.finished + ACCOUNT_PATIENCE)
        if now < due:
            self._boundaries.set(record.uid, due)
        else:
            self._start(record, self._guarded(record, self._writer.delete(record)))

    def _start(self, record: JobRecord, action: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(action)
        self._busy[record.uid] = task
        task.add_done_callback(lambda ended: self._done(record.uid, ended))

    def _done(self, uid: str, task: asyncio.Task[None]) -> None:
        self._busy.pop(uid, None)
        if not task.cancelled() and (error := task.exception()):
            # A defect, or an answer of an odd shape; the sweep's pass over all jobs tries again.
            log.error("action failed", exc_info=error, extra={"job_uid": uid})
        if uid in self._again:
            self._again.discard(uid)
            self.touch(uid)

    async def _act(self, record: JobRecord, step: Step) -> None:
        await self._guarded(record, self._carry_out(record, step))

    async def _guarded(self, record: JobRecord, action: Coroutine[Any, Any, None]) -> None:
        """Run one action in a slot; whatever goes wrong concerns this job alone."""
        async with self._slots:
            if not self._leading():
                action.close()
                self.touch(record.uid)  # decided on anew if this replica leads again
                return
            try:
                await action
            except StaleJobError as stale:
                self._take_in(record, stale.live)
            except RefusedError as refusal:
                self._block(record, refusal)
            except ApiError as error:
                self._retry(record, error)
            else:
                self._failures.pop(record.uid, None)

    async def _carry_out(self, record: JobRecord, step: Step) -> None:
        match step.decision:
            case Release(reason) if record.child is None:
                child = await self._written("jobs", self._writer.release(record, reason))
                self._jobs.apply_child(child)
                self.touch(record.uid)
                return
            case Suspend() if record.child:
                now = self._clock.now()
                patch = self._writer.suspend(record, record.child, Cause.USER, now)
                await self._patched(record, patch)
                return
            case Resume() if record.child:
                await self._patched(record, self._writer.resume(record, record.child))
                return
            case Hold() if record.child is None and not record.workload_checked:
                await self._writer.check(record)
                record.workload_checked = True
            case Fail(EndReason.WORKLOAD_DELETED):
                found = await self._writer.find_child(record)
                if found and found["metadata"]["uid"] in record.owner_uids:
                    self._jobs.apply_child(found)
                    self.touch(record.uid)
                    return
        if record.calls_for_write(step.progress):
            await self._write(record, step.progress)

    async def _patched(self, record: JobRecord, patch: Coroutine[Any, Any, Object]) -> None:
        self._jobs.apply_child(await self._written("jobs", patch))
        self.touch(record.uid)

    async def _write(self, record: JobRecord, progress: Progress) -> None:
        before = record.progress
        body = await self._written("carbonawarejobs", self._writer.write(record, progress))
        shown = self._jobs.apply(body)
        if shown is None:
            return  # deleted meanwhile
        given_back = shown.resource_version == body["metadata"]["resourceVersion"]
        if given_back and shown.progress != progress:
            # To write it again would change nothing, at the speed of the API server.
            shown.unkept = Unkept(progress, shown.progress)
            log.warning(
                "another field manager keeps part of the status; take it back there",
                extra={"namespace": record.namespace, "job_name": record.name},
            )
        self.touch(record.uid)
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

    def _take_in(self, record: JobRecord, live: Object | None) -> None:
        if live is None:
            self._jobs.forget(record.uid)
        else:
            self._jobs.apply(live)
            self.touch(record.uid)

    def _block(self, record: JobRecord, refusal: RefusedError) -> None:
        current = self._jobs.records.get(record.uid)
        if current is None:
            return
        retry = self._clock.now() + REFUSAL_RETRY if refusal.transient else None
        current.blocked = Blocked(refusal.reason, refusal.message, retry)
        current.workload_checked = True
        self.touch(record.uid)

    def _retry(self, record: JobRecord, error: ApiError) -> None:
        """Look again later, later each time; a conflict at once."""
        count = self._failures[record.uid] = self._failures.get(record.uid, 0) + 1
        delay = min(RETRY_FIRST * 2 ** min(count - 1, 10), RETRY_LAST)
        log.warning(
            "request failed, will be tried again",
            extra={
                "namespace": record.namespace,
                "job_name": record.name,
                "error": error.message,
                "seconds": delay.total_seconds(),
            },
        )
        self._boundaries.set(record.uid, self._clock.now() + delay)
        self._wake.set()
