"""Child Jobs: reading a batch/v1 Job, and building the one that a release creates."""

import hashlib
from copy import deepcopy
from typing import Any

from carbonaware_operator.api.reasons import Annotation, Label, ReleaseReason
from carbonaware_operator.api.schema import API_VERSION
from carbonaware_operator.planning.job import Child, Ending
from carbonaware_operator.quantities.instants import parse_instant

KIND = "CarbonAwareJob"
_NAME_LENGTH = 41  # leaves room for a dash and 10 hex digits, and for the pods' own suffix in 63


def child_name(name: str, uid: str) -> str:
    """The one name that the child Job of a CarbonAwareJob can have."""
    digest = hashlib.sha256(uid.encode()).hexdigest()[:10]
    return f"{name.replace('.', '-')[:_NAME_LENGTH]}-{digest}"


def child_body(
    parent: dict[str, Any], reason: ReleaseReason, handled_request: str | None
) -> dict[str, Any]:
    """The batch/v1 Job to create for a CarbonAwareJob object, running, owned by it."""
    metadata, template = parent["metadata"], deepcopy(parent["spec"]["jobTemplate"])
    given = template.get("metadata") or {}
    labels = {Label.JOB.value: metadata["name"], Label.JOB_UID.value: metadata["uid"]}
    annotations = {Annotation.RELEASE_REASON.value: reason.value}
    if handled_request:
        annotations[Annotation.HANDLED_RELEASE_REQUEST.value] = handled_request
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": child_name(metadata["name"], metadata["uid"]),
            "namespace": metadata["namespace"],
            "labels": {**(given.get("labels") or {}), **labels},
            "annotations": {**(given.get("annotations") or {}), **annotations},
            "ownerReferences": [_owner_reference(metadata)],
        },
        "spec": _child_spec(template["spec"], labels),
    }


def _child_spec(spec: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
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


def _owner_reference(metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def parent_uid(body: dict[str, Any]) -> str | None:
    """Uid of the CarbonAwareJob that a Job was created for; None when it is nobody's child.

    Labels are not believed, anyone sets those; nor is an owner alone: only one Job can have the
    child's name, so that no second one can pass for it.
    """
    for owner in body["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and (owner["apiVersion"], owner["kind"]) == (API_VERSION, KIND):
            mine = body["metadata"]["name"] == child_name(owner["name"], owner["uid"])
            return str(owner["uid"]) if mine else None
    return None


def child_of(body: dict[str, Any]) -> Child:
    """What the planner needs of a batch/v1 Job object."""
    metadata, status = body["metadata"], body.get("status") or {}
    annotations = metadata.get("annotations") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or [] if c["status"] == "True"}
    return Child(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=parse_instant(metadata["creationTimestamp"]),
        suspend=bool(body["spec"].get("suspend")),
        drained="Suspended" in conditions and not _pods_left(status),
        ending=_ending(conditions, status),
        release_reason=annotations.get(Annotation.RELEASE_REASON.value, ""),
        handled_request=annotations.get(Annotation.HANDLED_RELEASE_REQUEST.value),
    )


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
