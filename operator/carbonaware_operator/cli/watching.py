"""Following what changes in the cluster: one object through its states, or kinds for any change."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from carbonaware_operator.cluster.kube import ApiError, Kind, KubeClient, Object

PAUSE_SECONDS = 1.0
"""Between two tries while the API server does not answer, and between two reads without watches."""

GONE = 410


async def states(
    kube: KubeClient, kind: Kind, namespace: str, name: str
) -> AsyncIterator[tuple[Object, bool]]:
    """Each state of an object, and whether it is its last: it was deleted. Nothing without it.

    Lists and then watches from there, again whenever the watch ends: no state is missed while the
    API server answers. Raises ApiError for what trying again does not mend.
    """
    fields, last = f"metadata.name={name}", None
    while True:
        try:
            page = await kube.request("GET", kind.path(namespace), query={"fieldSelector": fields})
            found, version = page.get("items") or [], page["metadata"]["resourceVersion"]
            uid = found[0]["metadata"]["uid"] if found else None
            if uid is None or (last and last["metadata"]["uid"] != uid):
                if last:
                    yield last, True
                return
            last = found[0]
            yield last, False
            async for change, body in kube.watch(kind, namespace, version, fields=fields):
                last = body
                yield last, change == "DELETED"
                if change == "DELETED":
                    return
        except ApiError as error:
            if last is None or not (error.retryable or error.status == GONE):
                raise
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def changes(
    kube: KubeClient, kinds: Sequence[Kind], namespace: str | None
) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever an object of these kinds has changed, and at the beginning.

    Who may not watch a kind is told once a second, and so reads as often.
    """
    changed = asyncio.Event()
    tasks = [asyncio.create_task(_tell(kube, kind, namespace, changed)) for kind in kinds]
    try:
        yield changed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell(
    kube: KubeClient, kind: Kind, namespace: str | None, changed: asyncio.Event
) -> None:
    while True:
        try:
            version = await kube.version(kind, namespace)
            changed.set()
            async for _ in kube.watch(kind, namespace, version):
                changed.set()
        except ApiError:
            # What is wrong, who reads will meet too: here it only means not to be told.
            await asyncio.sleep(PAUSE_SECONDS)
            changed.set()
