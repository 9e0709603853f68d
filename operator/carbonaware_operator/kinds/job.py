"""batch/v1 Jobs: the one that a release creates, and what is read of one that exists."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.api.reasons import Annotation, Label, ReleaseReason
from carbonaware_operator.api.workloads import BATCH_JOB, WorkloadResource
from carbonaware_operator.kinds.parent import owner_reference
from carbonaware_operator.kinds.workload import Object
from carbonaware_operator.planning.observed import Cause, Ending, Observed, Workload
from carbonaware_operator.quantities.instants import parse_instant


@dataclass(frozen=True, slots=True)
class BatchJob:
    """The kind batch/v1 Job."""

    resource: WorkloadResource = BATCH_JOB

    def build(self, parent: Object, reason: ReleaseReason, handled_request: str | None) -> Object:
        """The Job to create for a CarbonAwareJob object, running, owned by it."""
        metadata, template = parent["metadata"], deepcopy(parent["spec"]["jobTemplate"])
        given = template.get("metadata") or {}
        labels = {Label.JOB.value: metadata["name"], Label.JOB_UID.value: metadata["uid"]}
        annotations = {Annotation.RELEASE_REASON.value: reason.value}
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
            suspended_by=Cause.USER if body["spec"].get("suspend") else None,
            stopped="Suspended" in conditions and not _pods_left(status),
            ending=_ending(conditions, status),
            owner_uids=frozenset({metadata["uid"]}),
            release_reason=annotations.get(Annotation.RELEASE_REASON.value, ""),
            handled_request=annotations.get(Annotation.HANDLED_RELEASE_REQUEST.value),
        )

    def suspend_patch(self, seen: Observed, cause: Cause) -> Object:
        """Suspend; cause: whose wish it is."""
        return _patch(seen, suspend=True)

    def resume_patch(self, seen: Observed) -> Object:
        """Let it run again."""
        return _patch(seen, suspend=False)


def _patch(seen: Observed, *, suspend: bool) -> Object:
    """Uid and resourceVersion are preconditions: a Job that has changed is looked at anew."""
    return {
        "metadata": {"uid": seen.uid, "resourceVersion": seen.resource_version},
        "spec": {"suspend": suspend},
    }


def _spec(spec: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    # `suspend` is the CarbonAwareJob's own; a TTL would delete the Job before it is accounted for.
    kept = {k: v for k, v in spec.items() if k not in ("suspend", "ttlSecondsAfterFinished")}
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


def _pods_left(status: dict[str, Any]) -> bool:
    return bool(status.get("active") or status.get("terminating"))


def _ending(conditions: dict[str, Any], status: dict[str, Any]) -> Ending | None:
    if "Complete" in conditions:
        time = status.get("completionTime") or conditions["Complete"]["lastTransitionTime"]
        return Ending(parse_instant(time), True, "the child Job completed")
    if "Failed" in conditions:
        failed = conditions["Failed"]
        message = failed.get("message") or failed.get("reason") or "the child Job failed"
        return Ending(parse_instant(failed["lastTransitionTime"]), False, message)
    return None
