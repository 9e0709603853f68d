"""Events: one for each transition of a job, so that `kubectl describe` tells its story.

What somebody must mend is a Warning. That a held job waits for something else now is no event: its
condition says so, and an opening window would cost a second write for each job.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches

from carbonaware_operator.api.reasons import TO_MEND, ConditionType, HoldReason
from carbonaware_operator.api.schema import API_VERSION
from carbonaware_operator.cluster.kube import EVENTS, ApiError, KubeClient, Object
from carbonaware_operator.planning.progress import Condition, Progress
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobRecord

log = logging.getLogger(__name__)

CONTROLLER = "carbonaware.io/operator"
_NOTE_BYTES, _INSTANCE_BYTES = 1024, 128  # the API's limits


def transitions(before: Progress, after: Progress) -> list[Condition]:
    """Conditions that tell users something new, each once."""
    ended = [
        after.condition(kind)
        for kind in (ConditionType.COMPLETE, ConditionType.FAILED)
        if before.condition(kind) is None
    ]
    if news := [condition for condition in ended if condition is not None]:
        return news  # that it is not released any more either goes without saying
    old, new = before.condition(ConditionType.RELEASED), after.condition(ConditionType.RELEASED)
    if new is None or after.ended:
        return []
    if old is None or old.status != new.status:
        return [new]
    another = old.reason != new.reason and (new.status or new.reason in TO_MEND)
    return [new] if another else []


class Recorder:
    """Writes events; one that cannot be written is logged and dropped: nothing depends on it."""

    def __init__(
        self, kube: KubeClient, instance: str, zone_names: Callable[[], Iterable[str]] = tuple
    ) -> None:
        """zone_names: which zones there are, for whoever mistyped one."""
        self._kube = kube
        self._instance = instance
        self._zone_names = zone_names

    async def record(self, job: JobRecord, condition: Condition, now: Instant) -> None:
        """Write the event of one transition."""
        if condition.reason == HoldReason.NO_ZONE:
            condition = replace(condition, message=condition.message + self._similar(job))
        await self._write(job, event_body(job, condition, now, self._instance))

    async def _write(self, job: JobRecord, body: Object) -> None:
        try:
            await self._kube.create(EVENTS, job.namespace, body)
        except ApiError as error:
            log.warning("event not written", extra={"job": job.name, "error": error.message})

    async def record_pods(self, job: JobRecord, reason: str, message: str, now: Instant) -> None:
        """Write the event that the pods of a job say what is wrong."""
        about = Condition(ConditionType.FAILED, True, reason, message, now, job.generation)
        body = event_body(job, about, now, self._instance)
        if not job.progress.ended:
            body |= {"reason": "Starting", "action": "Starting"}
        await self._write(job, body)

    def _similar(self, job: JobRecord) -> str:
        names = get_close_matches(job.zone_name or "", self._zone_names())
        return f"; did you mean {' or '.join(names)}?" if names else ""


def event_body(job: JobRecord, condition: Condition, now: Instant, instance: str) -> Object:
    """An events.k8s.io/v1 Event about a job; its name is derived from the transition."""
    key = f"{job.uid}/{condition.type}/{condition.reason}/{job.resource_version}"
    action, kind = event_reason(condition)
    note = f"{condition.reason}: {condition.message}"
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{job.name}.{hashlib.sha256(key.encode()).hexdigest()[:16]}",
            "namespace": job.namespace,
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": _cut(instance, _INSTANCE_BYTES),
        "type": kind,
        "reason": action,
        "action": action,
        "note": _cut(note, _NOTE_BYTES),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": "CarbonAwareJob",
            "namespace": job.namespace,
            "name": job.name,
            "uid": job.uid,
            "resourceVersion": job.resource_version,
        },
    }


def _cut(text: str, limit: int) -> str:
    """The longest beginning of a text that has so many bytes at most."""
    return text.encode()[:limit].decode(errors="ignore")


def event_reason(condition: Condition) -> tuple[str, str]:
    """The event's reason (Held, Released, Completed, Failed) and type (Normal, Warning)."""
    match condition.type:
        case ConditionType.COMPLETE:
            return "Completed", "Normal"
        case ConditionType.FAILED:
            return "Failed", "Warning"
        case _:
            kind = "Warning" if condition.reason in TO_MEND else "Normal"
            return ("Released" if condition.status else "Held"), kind
