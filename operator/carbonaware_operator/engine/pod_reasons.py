"""Why a started job has no ready pod and how a failed one ended, told in its status.

The operator watches no pods. It looks at those of a job that is Starting for a while, later each
time, and once at those of a job that has failed. What they say becomes the job's reason, and an
event of type Warning; the job's own conditions stay the planner's.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from carbonaware_operator.api.reasons import ConditionType, EndReason, State
from carbonaware_operator.cluster.events import Recorder
from carbonaware_operator.cluster.jobs import JobWriter, StaleJobError
from carbonaware_operator.cluster.kube import ApiError, KubeClient
from carbonaware_operator.cluster.pods import look
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.kinds.pods import Startup
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobRecord, JobStore

log = logging.getLogger(__name__)

PERIOD_SECONDS = 5.0
LOOKS_EACH = 20
"""Looks in a period: at a burst of starts the rest waits, and most of them run by then."""
RECORDS_PER_SLICE = 1000
FIRST_LOOK = timedelta(seconds=10)
"""Images are pulled and nodes added in the meantime; both are no news."""
LAST_WAIT = timedelta(minutes=10)
RECENT = timedelta(hours=1)
"""A failure is looked at for so long: after that its pods are mostly gone."""
_REASON_LENGTH, _MESSAGE_LENGTH = 128, 1024


@dataclass(slots=True)
class _Look:
    """When to look at a job's pods next, and how long to wait after that."""

    due: Instant
    wait: timedelta = FIRST_LOOK


class PodReasons:
    """The task that looks; run by who leads."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        kube: KubeClient,
        writer: JobWriter,
        recorder: Recorder,
        clock: Clock,
    ) -> None:
        self._jobs, self._kube = jobs, kube
        self._writer, self._recorder, self._clock = writer, recorder, clock
        self._looks: dict[str, _Look] = {}
        self._seen_failed: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(PERIOD_SECONDS)
            for record in await self._due():
                await self._guarded(record)

    async def _due(self) -> list[JobRecord]:
        now, due, wanted = self._clock.now(), [], set()
        for index, record in enumerate(list(self._jobs.records.values()), start=1):
            if self._concerns(record, now):
                wanted.add(record.uid)
                if self._is_due(record, now):
                    due.append(record)
            if index % RECORDS_PER_SLICE == 0:
                await self._clock.sleep(0)
        self._looks = {uid: known for uid, known in self._looks.items() if uid in wanted}
        self._seen_failed &= wanted
        return due[:LOOKS_EACH]

    def _concerns(self, record: JobRecord, now: Instant) -> bool:
        progress = record.progress
        if progress.state is State.STARTING:
            return not record.deleting
        return _failed(progress) and bool(progress.finished and now - progress.finished < RECENT)

    def _is_due(self, record: JobRecord, now: Instant) -> bool:
        if record.progress.ended:
            told = record.progress.reason != EndReason.WORKLOAD_FAILED
            return not told and record.uid not in self._seen_failed
        begun = record.progress.released or now
        return now >= self._looks.setdefault(record.uid, _Look(begun + FIRST_LOOK)).due

    async def _guarded(self, record: JobRecord) -> None:
        """Whatever goes wrong concerns this job alone, and is tried again at its next look."""
        self._note_look(record)
        try:
            await self._tell(record, await look(self._kube, record))
        except (ApiError, StaleJobError) as error:
            log.info("pods not told of", extra={"job_uid": record.uid, "error": str(error)})
        except Exception:
            log.exception("pods not understood", extra={"job_uid": record.uid})

    def _note_look(self, record: JobRecord) -> None:
        if record.progress.ended:
            self._seen_failed.add(record.uid)
            return
        last = self._looks[record.uid].wait
        wait = min(last * 2, LAST_WAIT)
        self._looks[record.uid] = _Look(self._clock.now() + wait, wait)

    async def _tell(self, record: JobRecord, startup: Startup) -> None:
        progress = record.progress
        if startup.usual or not startup.reason or startup.ready:
            return
        reason = startup.reason[:_REASON_LENGTH]
        if reason == progress.reason:
            return
        message = startup.message[:_MESSAGE_LENGTH]
        told = replace(progress, reason=reason)
        if progress.ended:
            told = _with_message(told, f"{reason}: {message}; {_logs(record)}")
        body = await self._writer.write(record, told)
        self._jobs.apply(body)
        await self._recorder.record_pods(record, reason, message, self._clock.now())


def _failed(progress: Progress) -> bool:
    failed = progress.condition(ConditionType.FAILED)
    return failed is not None and failed.reason == EndReason.WORKLOAD_FAILED


def _with_message(progress: Progress, more: str) -> Progress:
    """The same, its failure told in more words."""
    conditions = (
        replace(c, message=f"{c.message}; {more}") if c.type is ConditionType.FAILED else c
        for c in progress.conditions
    )
    return replace(progress, conditions=tuple(conditions))


def _logs(record: JobRecord) -> str:
    name = record.progress.workload.name if record.progress.workload else record.name
    return f"logs: kubectl logs job/{name} -n {record.namespace}"
