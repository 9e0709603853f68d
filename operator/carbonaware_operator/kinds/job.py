"""batch/v1 Jobs: the one that a release creates, and what is read of one that exists."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.api.reasons import Annotation, Label
from carbonaware_operator.api.workloads import BATCH_JOB, WorkloadResource
from carbonaware_operator.kinds.parent import owner_reference
from carbonaware_operator.kinds.suspension import (
    cause_of,
    gate_of,
    resume_patch,
    suspend_patch,
    suspended_since,
)
from carbonaware_operator.kinds.workload import Object
from carbonaware_operator.planning.decision import Release
from carbonaware_operator.planning.observed import Cause, Ending, Observed, Workload
from carbonaware_operator.quantities.instants import Instant, parse_instant

_LEFT_OUT = ("suspend", "ttlSecondsAfterFinished")
"""The first is the CarbonAwareJob's; a TTL would delete the Job before it is accounted for."""


@dataclass(frozen=True, slots=True)
class BatchJob:
    """The kind batch/v1 Job."""

    resource: WorkloadResource = BATCH_JOB

    def build(self, parent: Object, release: Release, handled_request: str | None) -> Object:
        """The Job to create for a CarbonAwareJob object, running, owned by it."""
        metadata, template = parent["metadata"], deepcopy(parent["spec"]["jobTemplate"])
        given = template.get("metadata") or {}
        labels = {Label.JOB.value: metadata["name"], Label.JOB_UID.value: metadata["uid"]}
        annotations = {
            Annotation.RELEASE_REASON.value: release.reason.value,
            Annotation.RELEASE_BASIS.value: release.basis.value,
        }
        if left_out := _left_out(template["spec"]):
            annotations[Annotation.LEFT_OUT.value] = left_out
        if handled_request:
            annotations[Annotation.HANDLED_RELEASE_REQUEST.value] = handled_request
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "labels": {**(given.get("labels") or {}), **labels},
                "annotations": {**(given.get("annotations") or {}), **annotations},
                "ownerReferences": [owner_reference(metadata)],
            },
            "spec": _spec(template["spec"], labels),
        }

    def observe(self, body: Object) -> Observed:
        """What the planner needs of a Job object."""
        metadata, status = body["metadata"], body.get("status") or {}
        annotations = metadata.get("annotations") or {}
        conditions = {c["type"]: c for c in status.get("conditions") or [] if c["status"] == "True"}
        return Observed(
            workload=Workload(
                self.resource.api_version, self.resource.kind, metadata["name"], metadata["uid"]
            ),
            resource_version=metadata["resourceVersion"],
            created=parse_instant(metadata["creationTimestamp"]),
            suspended_by=cause_of(body),
            suspended_since=suspended_since(body),
            gate=gate_of(body),
            stopped="Suspended" in conditions and _is_empty(status),
            ready=bool(status.get("ready") or status.get("succeeded")),
            ending=_ending(conditions, status),
            owner_uids=frozenset({metadata["uid"]}),
            release_reason=annotations.get(Annotation.RELEASE_REASON.value, ""),
            release_basis=annotations.get(Annotation.RELEASE_BASIS.value, ""),
            handled_request=annotations.get(Annotation.HANDLED_RELEASE_REQUEST.value),
            left_out=_named(annotations.get(Annotation.LEFT_OUT.value, "")),
        )

    def suspend_patch(self, seen: Observed, cause: Cause, now: Instant) -> Object:
        """Suspend; cause: whose wish it is."""
        return suspend_patch(seen, cause, now)

    def resume_patch(self, seen: Observed) -> Object:
        """Let it run again."""
        return resume_patch(seen)


def _spec(spec: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    kept = {field: value for field, value in spec.items() if field not in _LEFT_OUT}
    kept.setdefault("podReplacementPolicy", "Failed")
    if isinstance(kept.get("template"), dict):
        kept["template"] = _labelled(kept["template"], labels)
    return kept


def _labelled(pod: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """A pod template with more labels; a malformed one is left for the API server to refuse."""
    metadata = pod.get("metadata") or {}
    own = (metadata.get("labels") or {}) if isinstance(metadata, dict) else None
    if not isinstance(own, dict):
        return pod
    return {**pod, "metadata": {**metadata, "labels": {**own, **labels}}}


def _left_out(spec: dict[str, Any]) -> str:
    return ",".join(field for field in _LEFT_OUT if spec.get(field))


def _named(noted: str) -> tuple[str, ...]:
    """Fields that an annotation names; anybody may have changed it."""
    given = noted.split(",")
    return tuple(field for field in _LEFT_OUT if field in given)


def _is_empty(status: dict[str, Any]) -> bool:
    """Whether no pod is left; the Job controller says 0, and nothing before it has looked."""
    return not status.get("active") and status.get("terminating") == 0


def _ending(conditions: dict[str, Any], status: dict[str, Any]) -> Ending | None:
    if "Complete" in conditions:
        time = status.get("completionTime") or conditions["Complete"]["lastTransitionTime"]
        return Ending(parse_instant(time), True, "the child Job completed")
    if "Failed" in conditions:
        failed = conditions["Failed"]
        message = failed.get("message") or failed.get("reason") or "the child Job failed"
        return Ending(parse_instant(failed["lastTransitionTime"]), False, message)
    return None
