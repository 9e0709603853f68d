"""The planner: decides on every job whose facts or whose hour have changed, and has it carried out.

Two tasks, which live as long as this replica leads. One takes keys from the work queue, decides in
memory, and puts each job where its next action is: among the releases, among the writes, or
nowhere. The other takes jobs from there, in the order of release, and has as many acted on at once
as slots are. What is to be done is decided anew then: grid, spec and clock may have changed since.
A slow API server therefore delays writes and never a decision, and nothing is kept but uids.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import SystemRandom
from typing import NamedTuple

from carbonaware_operator.api.reasons import HoldReason, ReleaseReason
from carbonaware_operator.cluster.events import Recorder
from carbonaware_operator.cluster.jobs import JobWriter, RefusedError, StaleJobError
from carbonaware_operator.cluster.kube import ApiError, Object
from carbonaware_operator.engine.actions import Actions, Step
from carbonaware_operator.engine.clock import Clock, woken
from carbonaware_operator.engine.workqueue import ERRORS, Backoff, WorkQueue
from carbonaware_operator.planning.decision import Continue, Hold, Release
from carbonaware_operator.planning.observed import Workload
from carbonaware_operator.planning.progress import Progress, acknowledged, advance
from carbonaware_operator.planning.release_queue import Candidate, ReleaseQueue
from carbonaware_operator.planning.rules import decide
from carbonaware_operator.planning.situation import Blocked, latest_start
from carbonaware_operator.planning.state import stated
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobRecord, JobStore
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.metrics import OperatorMetrics

log = logging.getLogger(__name__)

SLICE_SECONDS = 0.01
"""Deciding yields to the event loop after so long: probes and the lease stay punctual."""

SLOTS = 64
WRITES_EACH = 8
"""One turn in so many is a write's while releases wait, so that no status waits for ever."""

REFUSALS = Backoff(60.0, 600.0)
CONFLICTS = Backoff(0.1, 10.0)
ACCOUNT_PATIENCE = timedelta(minutes=15)
"""A finished job outlives its time to live for so long at most, while its energy is not settled."""

_INSISTENT = (ReleaseReason.DEADLINE_REACHED, ReleaseReason.RELEASED_BY_USER)
_RANDOM = SystemRandom()


class Namespace(NamedTuple):
    """The key under which a full namespace is looked at again."""

    name: str


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
        releases_per_second: float = 0.0,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        """Wire the planner.

        releases_per_second: 0 for no limit; jitter: from 0 to 1, spreads attempts after errors.
        """
        self._jobs, self._zones, self._metrics, self._clock = jobs, zones, metrics, clock
        self._actions = Actions(
            jobs=jobs, writer=writer, recorder=recorder, metrics=metrics, clock=clock
        )
        self._releases_per_second, self._jitter = releases_per_second, jitter
        self._unnoted: dict[str, Workload] = {}  # children that no status tells of yet
        self._running = False
        self._begin()

    def _begin(self) -> None:
        self._queue: WorkQueue[str | Namespace] = WorkQueue(self._clock, self._jitter)
        self._releases = ReleaseQueue(self._releases_per_second)
        self._writes: OrderedDict[str, None] = OrderedDict()
        self._awaited_names: dict[tuple[str, str], str] = {}  # (namespace, name) to uid
        self._in_flight: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(SLOTS)
        self._turn, self._turns = asyncio.Event(), 0
        self._deciding = False  # until then nobody knows who goes first
        self._paused_until = 0.0  # on the monotonic clock

    def touch(self, *uids: str) -> None:
        """These jobs may have to be decided on anew; kept only while this replica leads."""
        if self._running:
            for uid in uids:
                self._queue.add(uid)

    def zone_changed(self, zone_name: str) -> None:
        """A zone came or went, or is asked elsewhere."""
        self.touch(*self._jobs.in_zone(zone_name))

    def outlook_changed(self, zone_name: str) -> None:
        """The outlook of a zone is another: those whose decision may be as well are looked at."""
        self.touch(*self._jobs.touched_by(zone_name, self._zones.outlooks.get(zone_name)))

    def touch_all(self) -> None:
        """Decide on everything: at the start, and as the safety net of the sweep."""
        self.touch(*self._jobs.records)

    def room(self, namespace: str) -> None:
        """A child Job has ended or was deleted: a full namespace may have room."""
        if self._releases.is_full(namespace):
            self._queue.add(Namespace(namespace))

    def name_freed(self, namespace: str, name: str) -> None:
        """A Job was deleted: whose name it had may start."""
        if (uid := self._awaited_names.pop((namespace, name), None)) is not None:
            self._let_try([uid])

    def forget(self, uid: str) -> None:
        """A job is gone: nothing of it remains."""
        self._unnoted.pop(uid, None)
        self._writes.pop(uid, None)
        for name in [name for name, waiting in self._awaited_names.items() if waiting == uid]:
            del self._awaited_names[name]
        self._queue.forget(uid)
        self._let_try(self._releases.withdraw(uid))

    def kept(self) -> int:
        """How many entries of any sort are kept of jobs and namespaces."""
        lanes = len(self._unnoted) + len(self._writes) + len(self._awaited_names)
        return lanes + self._releases.kept() + self._queue.kept()

    async def run(self) -> None:
        """Plan until cancelled: what the scope of the lease holds."""
        self._begin()
        self._running = True
        self.touch_all()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._decide())
                tasks.create_task(self._take_turns(tasks))
        finally:
            self._running = False
            self._begin()

    async def drain(self, seconds: float) -> None:
        """Start nothing more, and let what is in flight end, for so long at most."""
        self._running = False
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=seconds)

    def step(self, record: JobRecord, now: Instant) -> Step:
        """Decide on one unfinished job and derive its progress."""
        self._remember_child(record)
        outlook = self._zones.outlooks.get(record.zone_name or "")
        situation = record.situation(outlook, now)
        decision = decide(situation)
        return Step(decision, advance(record.progress, situation, decision))

    def _remember_child(self, record: JobRecord) -> None:
        """A job whose child is gone has run, also if no status could ever be written of it."""
        if record.progress.workload:
            self._unnoted.pop(record.uid, None)
        elif record.child:
            self._unnoted[record.uid] = record.child.workload
        elif (known := self._unnoted.get(record.uid)) is not None:
            record.progress = replace(record.progress, workload=known)

    async def _decide(self) -> None:
        while True:
            await self._take(await self._queue.get())
            self._metrics.queue_depth.set(
                len(self._queue) + len(self._writes) + len(self._releases) + len(self._in_flight)
            )

    async def _take(self, key: str | Namespace) -> None:
        """One pass over all keys that are ready."""
        with self._metrics.pass_seconds.time():
            self._deciding, begun = True, self._clock.monotonic()
            while True:
                self._consider(key)
                self._queue.done(key)
                if not len(self._queue):
                    break
                if self._clock.monotonic() - begun > SLICE_SECONDS:
                    await self._clock.sleep(0)
                    begun = self._clock.monotonic()
                key = await self._queue.get()
        self._deciding = False
        self._turn.set()

    def _consider(self, key: str | Namespace) -> None:
        if isinstance(key, Namespace):
            self._reopen(key)
            return
        record = self._jobs.records.get(key)
        if record is None or record.deleting:
            self.forget(key)
            return
        try:
            self._place(record, self._clock.now())
        except Exception:
            log.exception("job not decided on", extra={"job_uid": key})
            self._queue.add_rate_limited(key)

    def _place(self, record: JobRecord, now: Instant) -> None:
        """Put a job where its next action is, and note when to look at it again."""
        if record.strays:
            self._place_write(record.uid, wanted=True)
            return
        if record.progress.ended:
            due = self._expiry(record)
            self._queue.add_at(record.uid, due if due and due > now else None)
            over = due is not None and due <= now
            untold = record.calls_for_write(_looked_back_on(record))
            self._place_write(record.uid, wanted=over or untold)
            return
        if record.child is None and self._awaits_first_outlook(record):
            last = latest_start(record.schedule, now)
            if now < last:
                self._queue.add_at(record.uid, last)
                return
        step = self.step(record, now)
        held = step.decision if isinstance(step.decision, Hold) else None
        self._queue.add_at(record.uid, held.review if held else None)
        if isinstance(step.decision, Release) and record.child is None:
            self._place_write(record.uid, wanted=False)
            self._offer(record, step.decision, now)
            return
        if not (held and held.reason is HoldReason.QUOTA_EXCEEDED):
            self._withdraw(record)
        if held and record.blocked and record.blocked.retry and record.blocked.retry <= now:
            record.workload_checked = False  # the refusal has lapsed, and time has not come
        self._place_write(record.uid, wanted=self._calls_for_action(record, step))

    async def _conclude(self, record: JobRecord) -> None:
        """Delete an ended job; first tell what is not told yet."""
        told = _looked_back_on(record)
        if record.calls_for_write(told):
            await self._actions.carry_out(record, Step(Continue(), told))
            self._queue.add(record.uid)
        elif (due := self._expiry(record)) is not None and due <= self._clock.now():
            await self._actions.expire(record)

    def _awaits_first_outlook(self, record: JobRecord) -> bool:
        """The zone exists and has not been asked yet: soon it has an outlook, if a missing one."""
        zone = record.zone_name
        return zone in self._zones.records and zone not in self._zones.outlooks

    def _calls_for_action(self, record: JobRecord, step: Step) -> bool:
        if isinstance(step.decision, Hold):
            unchecked = record.child is None and not record.workload_checked
            return unchecked or record.calls_for_write(step.progress)
        return not isinstance(step.decision, Continue) or record.calls_for_write(step.progress)

    def _expiry(self, record: JobRecord) -> Instant | None:
        """When to delete a finished job: at the end of its time to live."""
        if record.ttl is None or record.progress.finished is None:
            return None
        due = record.progress.finished + record.ttl
        if record.accounted_for:
            return due
        return max(due, record.progress.finished + ACCOUNT_PATIENCE)

    def _place_write(self, uid: str, *, wanted: bool) -> None:
        if wanted:
            self._writes[uid] = None
            self._turn.set()
        else:
            self._writes.pop(uid, None)

    def _offer(self, record: JobRecord, decision: Release, now: Instant) -> None:
        if self._releases.offer(_candidate(record), insists=decision.reason in _INSISTENT):
            self._turn.set()
        else:
            self._wait_for_room(record, now)

    def _withdraw(self, record: JobRecord) -> None:
        self._let_try(self._releases.withdraw(record.uid))
        if record.blocked and record.blocked.reason is HoldReason.QUOTA_EXCEEDED:
            record.blocked = None

    def _let_try(self, uids: list[str]) -> None:
        """These jobs need not wait for room in their namespace any longer."""
        for uid in uids:
            if (record := self._jobs.records.get(uid)) is not None:
                record.blocked = None
            self._queue.add(uid)

    def _reopen(self, namespace: Namespace) -> None:
        self._let_try(self._releases.reopened(namespace.name))
        if self._releases.is_full(namespace.name):
            self._queue.add_rate_limited(namespace, REFUSALS)
        else:
            self._queue.forget(namespace)

    def _wait_for_room(self, record: JobRecord, now: Instant) -> None:
        """A job waits for its namespace, but is tried once more at its latest start."""
        last = latest_start(record.schedule, now)
        message = "a ResourceQuota of the namespace has no room for the Job"
        retry = last if now < last else None
        record.blocked = Blocked(HoldReason.QUOTA_EXCEEDED, message, retry, False, since=now)
        self._queue.add(record.uid)

    async def _take_turns(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._slots.acquire()
            uid, admitted = await self._next_turn()
            task = tasks.create_task(self._act(uid, admitted=admitted))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def _next_turn(self) -> tuple[str, bool]:
        """Who is acted on next, and whether it may start; waits until there is one."""
        while True:
            now = self._clock.monotonic()
            if self._running and now >= self._paused_until:
                admitted = self._next_release(now)
                uid = admitted or self._next_write()
                if uid is not None:
                    if self._queue.claim(uid):
                        return uid, admitted is not None
                    continue  # it is acted on, and decided on anew afterwards
            self._turn.clear()
            ready = self._releases.ready_at(now)
            due = max(self._paused_until, ready or 0.0)
            waits = ready is not None or bool(self._writes)
            await woken(self._clock, self._turn, due - now if waits and due > now else None)

    def _next_release(self, now: float) -> str | None:
        self._turns += 1
        if self._deciding:
            return None
        if self._writes and self._turns % WRITES_EACH == 0:
            return None
        return self._releases.pop(now)

    def _next_write(self) -> str | None:
        return self._writes.popitem(last=False)[0] if self._writes else None

    async def _act(self, uid: str, *, admitted: bool) -> None:
        """Do what one job needs now; whatever goes wrong concerns this job alone."""
        try:
            await self._attempt(uid, admitted=admitted)
        except Exception:
            # A defect, or an answer of an odd shape: it must not cost the job its deadline.
            log.exception("action failed", extra={"job_uid": uid})
            self._queue.add_rate_limited(uid)
        finally:
            self._queue.done(uid)
            self._slots.release()

    async def _attempt(self, uid: str, *, admitted: bool) -> None:
        record = self._jobs.records.get(uid)
        if record is None or record.deleting:
            return
        try:
            await self._carry_out(record, admitted=admitted)
        except StaleJobError as stale:
            self._take_in(record, stale.live)
        except ApiError as error:
            self._retry(record, error)

    async def _carry_out(self, record: JobRecord, *, admitted: bool) -> None:
        """Decide anew, and do it."""
        if record.strays:
            await self._actions.stop(record)
            return
        if record.progress.ended:
            await self._conclude(record)
            return
        step = self.step(record, self._clock.now())
        if isinstance(step.decision, Release) and record.child is None:
            if admitted:
                await self._release(record, step.decision)
        else:
            try:
                await self._actions.carry_out(record, step)
            except RefusedError as refusal:
                self._block(record, refusal, checked=True)
            else:
                if not record.blocked:
                    self._queue.succeeded(record.uid)
        self._queue.add(record.uid)  # look at what it led to

    async def _release(self, record: JobRecord, decision: Release) -> None:
        namespace = Namespace(record.namespace)
        try:
            await self._actions.release(record, decision)
        except RefusedError as refusal:
            if refusal.reason is not HoldReason.QUOTA_EXCEEDED:
                self._block(record, refusal, checked=False)
                return
            self._releases.refused(_candidate(record))
            self._queue.add_rate_limited(namespace, REFUSALS)
            if (current := self._jobs.records.get(record.uid)) is not None:
                self._wait_for_room(current, self._clock.now())
            return
        self._queue.succeeded(record.uid)
        self._let_try(self._releases.released(record.uid))
        if self._releases.is_full(record.namespace):
            self._queue.succeeded(namespace)
            self._queue.add_rate_limited(namespace, REFUSALS)
        else:
            self._queue.forget(namespace)

    def _take_in(self, record: JobRecord, live: Object | None) -> None:
        if live is None:
            self._jobs.forget(record.uid)
            self.forget(record.uid)
            return
        self._jobs.apply(live)
        if live["metadata"]["resourceVersion"] == record.resource_version:
            self._queue.add_rate_limited(record.uid, CONFLICTS)  # a conflict, with nothing new
        else:
            self._queue.add(record.uid)

    def _block(self, record: JobRecord, refusal: RefusedError, *, checked: bool) -> None:
        """Hold a job that the API server refuses; the dry run alone says that it is for good.

        checked: whether it was the dry run that was refused.
        """
        current, now = self._jobs.records.get(record.uid), self._clock.now()
        if current is None:
            return
        if refusal.reason is HoldReason.NAME_TAKEN:
            self._awaited_names[record.namespace, record.name] = record.uid
        before, message = current.blocked, refusal.message
        current.workload_checked = checked or before is not None
        if refusal.final:
            current.blocked = Blocked(refusal.reason, message, None, True, since=now)
            return
        if before and before.retry and now < before.retry:
            return  # the dry run after a refused creation had nothing to add
        if before and before.reason is refusal.reason:
            message = before.message  # a webhook's words may differ each time: the first stay
        retry = now + timedelta(seconds=self._queue.add_rate_limited(record.uid, REFUSALS))
        last = latest_start(current.schedule, now)
        retry = min(retry, last) if now < last else retry
        current.blocked = Blocked(refusal.reason, message, retry, False, since=now)

    def _retry(self, record: JobRecord, error: ApiError) -> None:
        """Look again later, later each time; after a conflict almost at once."""
        backoff = CONFLICTS if error.status == 409 else ERRORS
        seconds = self._queue.add_rate_limited(record.uid, backoff, error.retry_after)
        if error.retry_after:  # the API server asks for it, and means every request
            self._paused_until = self._clock.monotonic() + error.retry_after
        log.warning(
            "request failed, will be tried again",
            extra={
                "namespace": record.namespace,
                "job_name": record.name,
                "error": error.message,
                "seconds": round(seconds, 1),
            },
        )


def _looked_back_on(record: JobRecord) -> Progress:
    """The progress of an ended job: of this generation, and with the state it ended in.

    An earlier version did not tell the state; who waits for a condition needs the generation.
    """
    progress = acknowledged(record.progress, record.generation)
    return progress if progress.state else stated(progress, None, Continue())


def _candidate(record: JobRecord) -> Candidate:
    return Candidate(record.schedule.deadline, record.created, record.uid, record.namespace)
