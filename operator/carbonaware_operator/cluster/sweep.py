"""The sweep: full lists at the start, and a comparison of the store with the cluster now and then.

kopf lists again after a 410 Gone but does not compare: objects that vanished in between stay in
every store that listens to it (300 of 1,000 in a test), and an event that was lost never comes
again. The sweep compares uids and versions, and tells the inbox what a watch would have told it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from carbonaware_operator.api.reasons import Label
from carbonaware_operator.cluster.feed import Inbox
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    ApiError,
    Kind,
    KubeClient,
    Object,
    objects_of,
)
from carbonaware_operator.kinds.registry import KINDS
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore

log = logging.getLogger(__name__)

OBJECTS_PER_SLICE = 20
"""After so many the event loop gets its turn: one with 32 windows takes a third of a millisecond"""


@dataclass(slots=True)
class Swept:
    """How many objects were gone unseen, and how many were new or had changed unseen."""

    dropped: int = 0
    read: int = 0


class _Found(NamedTuple):
    """An object as a list of metadata shows it."""

    version: int
    namespace: str | None
    name: str


async def fill(kube: KubeClient, inbox: Inbox, namespaces: Sequence[str] = ()) -> None:
    """List everything into the store; afterwards what is not in it does not exist.

    namespaces: where jobs are looked after; empty for everywhere.
    """
    async for body in _paced(kube.list(CARBON_ZONES)):
        inbox.zone(body, deleted=False)
    # Children before jobs: a job must never be seen without the child that it has.
    for kind in KINDS:
        children = _listed(kube, objects_of(kind.resource), namespaces, Label.JOB_UID.value)
        async for body in _paced(children):
            inbox.child(body, deleted=False)
    async for body in _paced(_listed(kube, CARBON_AWARE_JOBS, namespaces)):
        inbox.job(body, deleted=False)


async def sweep(
    kube: KubeClient,
    inbox: Inbox,
    jobs: JobStore,
    zones: ZoneStore,
    namespaces: Sequence[str] = (),
) -> Swept:
    """Compare everything with the cluster; each kind by itself, so that one spoils no other."""
    swept, orphans = Swept(), jobs.orphans()
    compare = partial(_compare, kube, swept=swept)
    await compare(CARBON_ZONES, (), "", zones.versions, inbox.zone)
    for kind in KINDS:
        resource = objects_of(kind.resource)
        tell = partial(_tell_of_child, inbox, jobs)
        await compare(resource, namespaces, Label.JOB_UID.value, jobs.child_versions, tell)
    await compare(CARBON_AWARE_JOBS, namespaces, "", jobs.versions, inbox.job)
    jobs.drop_orphans(orphans)
    jobs.graves.age()
    zones.graves.age()
    return swept


def _tell_of_child(inbox: Inbox, jobs: JobStore, body: Object, *, deleted: bool) -> None:
    """Tell of a child, by its name too when it is gone: others may wait for that."""
    known = jobs.last_of_child(body) if deleted else body
    if known is not None:
        inbox.child(known, deleted=deleted)


async def _compare(
    kube: KubeClient,
    kind: Kind,
    namespaces: Sequence[str],
    selector: str,
    versions: Callable[[], Mapping[str, int]],
    tell: Callable[..., None],
    *,
    swept: Swept,
) -> None:
    """Tell the inbox what differs in one kind.

    Only what was known before the list began may be dropped: newer objects are not in the list.
    """
    known = versions()
    try:
        found = await _found(kube, kind, namespaces, selector, known)
        for number, uid in enumerate(known.keys() - found.keys()):
            swept.dropped += 1
            tell({"metadata": {"uid": uid}}, deleted=True)
            await _pause(number)
        for uid, there in found.items():
            if uid not in known or there.version > known[uid]:
                swept.read += await _read(kube, kind, there, tell)
    except ApiError as error:
        log.warning("sweep failed", extra={"kind": kind.plural, "error": error.message})
    except Exception:
        log.exception("sweep failed", extra={"kind": kind.plural})


async def _found(
    kube: KubeClient,
    kind: Kind,
    namespaces: Sequence[str],
    selector: str,
    known: Mapping[str, int],
) -> dict[str, _Found]:
    # A list older than what is known would show as gone what has only just been created.
    newest = str(max(known.values(), default=0) or "")
    found = {}
    for namespace in namespaces or (None,):
        listed = kube.list(
            kind, namespace, selector=selector, only_metadata=True, not_older_than=newest
        )
        async for body in _paced(listed):
            at = body["metadata"]
            found[at["uid"]] = _Found(int(at["resourceVersion"]), at.get("namespace"), at["name"])
    return found


async def _read(kube: KubeClient, kind: Kind, found: _Found, tell: Callable[..., None]) -> int:
    """Read one object, and tell the inbox; what has gone since is gone."""
    try:
        body = await kube.get(kind, found.namespace, found.name)
    except ApiError as error:
        if error.status == 404:
            return 0
        raise
    tell(body, deleted=False)
    return 1


async def _listed(
    kube: KubeClient, kind: Kind, namespaces: Sequence[str], selector: str = ""
) -> AsyncIterator[Object]:
    """All objects of a kind where jobs are looked after."""
    for namespace in namespaces or (None,):
        async for body in kube.list(kind, namespace, selector=selector):
            yield body


async def _paced(bodies: AsyncIterator[Object]) -> AsyncIterator[Object]:
    """The same, with turns for the event loop in between: a page comes all at once."""
    number = 0
    async for body in bodies:
        yield body
        number += 1
        await _pause(number)


async def _pause(number: int) -> None:
    if number % OBJECTS_PER_SLICE == 0:
        await asyncio.sleep(0)
