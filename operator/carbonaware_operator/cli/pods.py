"""The pods of started jobs, read with the user's own rights; without them the pods are unknown."""

from collections import defaultdict
from collections.abc import Sequence

from carbonaware_operator.api.reasons import Label
from carbonaware_operator.cluster.kube import PODS, ApiError, Kind, KubeClient, Object
from carbonaware_operator.kinds.pods import Startup, startup_of

EVENTS = Kind("v1", "events")  # the built-in role `view` may read these, not events.k8s.io
_REFUSALS = "involvedObject.kind=Job,reason=FailedCreate"
_UNFINISHED = "status.phase!=Succeeded"


async def startups(
    kube: KubeClient,
    namespace: str | None,
    jobs: Sequence[str],
    *,
    selector: str = Label.JOB_UID.value,
) -> dict[str, Startup] | None:
    """By uid of each child Job, how far its pods are; None when the user may not read pods.

    One list of pods for all of them, and one of events when some have no pod at all.
    """
    if not jobs:
        return {}
    try:
        listed = kube.list(PODS, namespace, selector=selector, fields=_UNFINISHED)
        pods = _by_owner([pod async for pod in listed])
    except ApiError as error:
        if error.status == 403:
            return None
        raise
    without = [uid for uid in jobs if uid not in pods]
    refusals = await _refusals(kube, namespace) if without else {}
    return {uid: startup_of(pods.get(uid, []), refusals.get(uid, [])) for uid in jobs}


def _by_owner(pods: Sequence[Object]) -> dict[str, list[Object]]:
    """Pods by the uid of their controlling owner: anybody can set the label."""
    owned: defaultdict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        for owner in pod["metadata"].get("ownerReferences") or []:
            if owner.get("controller"):
                owned[owner["uid"]].append(pod)
    return dict(owned)


async def _refusals(kube: KubeClient, namespace: str | None) -> dict[str, list[Object]]:
    found: defaultdict[str, list[Object]] = defaultdict(list)
    try:
        async for event in kube.list(EVENTS, namespace, fields=_REFUSALS):
            found[event["involvedObject"].get("uid", "")].append(event)
    except ApiError as error:
        if error.status != 403:
            raise
    return dict(found)
