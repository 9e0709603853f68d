"""Whose workload an object is: by its controlling owner and its name, never by a label."""

import hashlib
from typing import Any

from carbonaware_operator.api.schema import API_VERSION

KIND = "CarbonAwareJob"
_EARLIER_LENGTH = 41


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


def earlier_name(name: str, uid: str) -> str:
    """The name that the first version gave to a child; those that it started may still run."""
    digest = hashlib.sha256(uid.encode()).hexdigest()[:10]
    return f"{name.replace('.', '-')[:_EARLIER_LENGTH]}-{digest}"


def has_an_earlier_name(body: dict[str, Any]) -> bool:
    """Whether a workload of ours bears the name that the first version gave."""
    name, owners = body["metadata"]["name"], body["metadata"].get("ownerReferences") or []
    return any(name == earlier_name(owner["name"], owner["uid"]) for owner in owners)


def parent_uid(body: dict[str, Any]) -> str | None:
    """Uid of the CarbonAwareJob that an object was created for; None when it is nobody's.

    Labels are not believed, anyone sets those; nor is an owner alone: only one object can have its
    CarbonAwareJob's name, so that no second one can pass for it.
    """
    for owner in body["metadata"].get("ownerReferences") or []:
        if owner.get("controller") and (owner["apiVersion"], owner["kind"]) == (API_VERSION, KIND):
            names = owner["name"], earlier_name(owner["name"], owner["uid"])
            return str(owner["uid"]) if body["metadata"]["name"] in names else None
    return None
