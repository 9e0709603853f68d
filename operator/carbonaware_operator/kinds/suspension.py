"""Whose suspension keeps a workload from running: only one's own is ever lifted.

`spec.suspend` is one switch for all: for us, for a queue such as Kueue's, for people. The cause of
our suspension stands on the object, written by the same patch; and the API server keeps for each
field who wrote it last, which is what an annotation that somebody's suspension finds left over
cannot say.
"""

from typing import Any

from carbonaware_operator.api.reasons import Annotation
from carbonaware_operator.api.schema import PLANNER_MANAGER
from carbonaware_operator.kinds.parent import has_an_earlier_name
from carbonaware_operator.planning.observed import Cause, Observed
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant

Object = dict[str, Any]

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_FIELD = "f:suspend"


def cause_of(body: Object) -> Cause | None:
    """Whose suspension an object is under; None when it is to run."""
    if not body["spec"].get("suspend"):
        return None
    if has_an_earlier_name(body):
        return Cause.USER  # the first version noted no cause, and every suspension was its user's
    noted = _annotations(body).get(Annotation.SUSPENDED_BY.value)
    if noted in set(Cause) and _last_written_by(body) <= {PLANNER_MANAGER}:
        return Cause(noted)
    return Cause.OTHER


def suspended_since(body: Object) -> Instant | None:
    """When we suspended an object that we have not resumed since, whoever else did meanwhile."""
    noted = _annotations(body).get(Annotation.SUSPENDED_TIME.value)
    try:
        return parse_instant(noted) if noted else None
    except ValueError:  # anybody may have changed it
        return None


def gate_of(body: Object) -> str | None:
    """The queue that decides when an object runs; None without one."""
    queue = (body["metadata"].get("labels") or {}).get(QUEUE_LABEL)
    return str(queue) if queue else None


def suspend_patch(seen: Observed, cause: Cause, now: Instant) -> Object:
    """Suspend an object that is still as it was seen, and say whose wish that is."""
    return _patch(seen, suspend=True, cause=cause.value, time=format_instant(now))


def resume_patch(seen: Observed) -> Object:
    """Lift our own suspension of an object that is still as it was seen."""
    return _patch(seen, suspend=False, cause=None, time=None)


def _patch(seen: Observed, *, suspend: bool, cause: str | None, time: str | None) -> Object:
    # Uid and resourceVersion are preconditions: an object that has changed is looked at anew.
    metadata = {"uid": seen.uid, "resourceVersion": seen.resource_version}
    noted = {Annotation.SUSPENDED_BY.value: cause, Annotation.SUSPENDED_TIME.value: time}
    return {"metadata": {**metadata, "annotations": noted}, "spec": {"suspend": suspend}}


def _annotations(body: Object) -> dict[str, str]:
    return body["metadata"].get("annotations") or {}


def _last_written_by(body: Object) -> set[str]:
    """The field managers that hold `spec.suspend`; of a client's defaults nobody may."""
    return {
        entry.get("manager", "")
        for entry in body["metadata"].get("managedFields") or []
        if _FIELD in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
