"""The sweep: full lists at the start, and a comparison of the store with the cluster now and then.

kopf lists again after a 410 Gone but does not compare: objects that vanished in between stay in
every store that listens to it (300 of 1,000 in a test). The sweep finds them.
"""

from collections.abc import AsyncIterator, Sequence

from carbonaware_operator.api.reasons import Label
from carbonaware_operator.cluster.feed import Inbox
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    Kind,
    KubeClient,
    Object,
    objects_of,
)
from carbonaware_operator.kinds.registry import KINDS
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore


async def fill(kube: KubeClient, inbox: Inbox, namespaces: Sequence[str] = ()) -> None:
    """List everything into the store; afterwards what is not in it does not exist.

    namespaces: where jobs are looked after; empty for everywhere.
    """
    async for body in kube.list(CARBON_ZONES):
        inbox.zone(body, deleted=False)
    # Children before jobs: a job must never be seen without the child that it has.
    async for body in _children(kube, namespaces):
        inbox.child(body, deleted=False)
    async for body in _listed(kube, CARBON_AWARE_JOBS, namespaces):
        inbox.job(body, deleted=False)


async def sweep(
    kube: KubeClient, jobs: JobStore, zones: ZoneStore, namespaces: Sequence[str] = ()
) -> list[str]:
    """Drop what the cluster no longer has; the uids of the jobs that this changed.

    Only what was in the store before the list began may be dropped: newer objects are not in it.
    """
    known_jobs, known_children = set(jobs.records), jobs.child_uids()
    known_zones = {record.uid for record in zones.records.values()}
    alive = {
        body["metadata"]["uid"]
        async for body in _listed(kube, CARBON_AWARE_JOBS, namespaces, only_metadata=True)
    }
    alive_children = {
        body["metadata"]["uid"] async for body in _children(kube, namespaces, only_metadata=True)
    }
    alive_zones = {
        body["metadata"]["uid"] async for body in kube.list(CARBON_ZONES, only_metadata=True)
    }
    gone_zones = known_zones - alive_zones
    for zone in [zone for zone in zones.records.values() if zone.uid in gone_zones]:
        zones.forget(zone.name)
    gone = known_jobs - alive
    for uid in gone:
        jobs.forget(uid)
    bereft = [parent for parent, child in known_children.items() if child not in alive_children]
    for parent in bereft:
        jobs.drop_child(parent)
    return [*gone, *(parent.uid for parent in bereft)]


async def _children(
    kube: KubeClient, namespaces: Sequence[str], *, only_metadata: bool = False
) -> AsyncIterator[Object]:
    """The workloads of all kinds."""
    for kind in KINDS:
        async for body in _listed(
            kube,
            objects_of(kind.resource),
            namespaces,
            selector=Label.JOB_UID.value,
            only_metadata=only_metadata,
        ):
            yield body


async def _listed(
    kube: KubeClient,
    kind: Kind,
    namespaces: Sequence[str],
    *,
    selector: str = "",
    only_metadata: bool = False,
) -> AsyncIterator[Object]:
    """All objects of a kind where jobs are looked after."""
    for namespace in namespaces or (None,):
        async for body in kube.list(
            kind, namespace, selector=selector, only_metadata=only_metadata
        ):
            yield body
