"""The pods of one Job, looked at once: nothing watches pods, of which there are too many."""

from itertools import islice

from carbonaware_operator.api.reasons import Label
from carbonaware_operator.cluster.kube import PODS, Kind, KubeClient, Object
from carbonaware_operator.kinds.pods import Startup, startup_of
from carbonaware_operator.store.jobs import JobRecord

CORE_EVENTS = Kind("v1", "events")
_MOST = 10
"""So many pods tell why none is ready; a Job may have thousands."""


async def look(kube: KubeClient, record: JobRecord) -> Startup:
    """How far the pods of a started job are, or how they failed. Raises ApiError."""
    uids = record.owner_uids
    mine = f"{Label.JOB_UID}={record.uid}"
    listed = await kube.first(
        PODS, record.namespace, _MOST, selector=mine, fields="status.phase!=Succeeded"
    )
    pods = [pod for pod in listed if _owner(pod) in uids]
    refusals = [] if pods or record.progress.ended else await _refusals(kube, record)
    return startup_of(pods, refusals)


async def _refusals(kube: KubeClient, record: JobRecord) -> list[Object]:
    """Why the Job controller could not create pods."""
    found: list[Object] = []
    for uid in islice(record.owner_uids, 1):
        about = f"involvedObject.uid={uid},reason=FailedCreate"
        found += await kube.first(CORE_EVENTS, record.namespace, _MOST, fields=about)
    return found


def _owner(pod: Object) -> str:
    """Anybody can set a label; the controlling owner is the API server's word."""
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")
