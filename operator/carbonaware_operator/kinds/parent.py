"""Whose workload an object is: by its controlling owner and its name, never by a label."""

import hashlib
from typing import Any

from carbonaware_operator.api.schema import API_VERSION

KIND = "CarbonAwareJob"
_NAME_LENGTH = 41  # leaves room for a dash and 10 hex digits, and for the pods' own suffix in 63


def child_name(name: str, uid: str) -> str:
    """The one name that the child Job of a CarbonAwareJob can have."""
    digest = hashlib.sha256(uid.encode()).hexdigest()[:10]
    return f"{name.replace('.', '-')[:_NAME_LENGTH]}-{digest}"


def owner_reference(metadata: dict[str, Any]) -> dict[str, Any]:
    """The reference by which a CarbonAwareJob owns and controls its workload."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def parent_uid(body: dict[str, Any]) -> str | None:
    """Uid of the CarbonAwareJob that an object was created for; None when it is nobody's.

    Labels are not believed, anyone sets those; nor is an owner alone: only one object can have the
    child's name, so that no second one can pass for it.
    """
    for owner in body["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and (owner["apiVersion"], owner["kind"]) == (API_VERSION, KIND):
            mine = body["metadata"]["name"] == child_name(owner["name"], owner["uid"])
            return str(owner["uid"]) if mine else None
    return None
