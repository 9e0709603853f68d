"""Events: one for each transition of a job, so that `kubectl describe` tells its story."""

import hashlib
import logging

from carbonaware_operator.api.reasons import ConditionType
from carbonaware_operator.api.schema import API_VERSION
from carbonaware_operator.cluster.kube import EVENTS, ApiError, KubeClient, Object
from carbonaware_operator.planning.progress import Condition, Progress
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobRecord

log = logging.getLogger(__name__)

CONTROLLER = "carbonaware.io/operator"
_NOTE_BYTES, _INSTANCE_BYTES = 1024, 128  # the API's limits


def transitions(before: Progress, after: Progress) -> list[Condition]:
    """Conditions that tell users something new: Released, Complete, Failed, with another reason."""
    told = (ConditionType.RELEASED, ConditionType.COMPLETE, ConditionType.FAILED)
    return [
        condition
        for condition in after.conditions
        if condition.type in told and _word(condition) != _word(before.condition(condition.type))
    ]


def _word(condition: Condition | None) -> tuple[bool, str] | None:
    return (condition.status, condition.reason) if condition else None


class Recorder:
    """Writes events; one that cannot be written is logged and dropped: nothing depends on it."""

    def __init__(self, kube: KubeClient, instance: str) -> None:
        self._kube = kube
        self._instance = instance

    async def record(self, job: JobRecord, condition: Condition, now: Instant) -> None:
        """Write the event of one transition."""
        body = event_body(job, condition, now, self._instance)
        try:
            await self._kube.create(EVENTS, job.namespace, body)
        except ApiError as error:
            log.warning("event not written", extra={"job": job.name, "error": error.message})


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
            return ("Released" if condition.status else "Held"), "Normal"
