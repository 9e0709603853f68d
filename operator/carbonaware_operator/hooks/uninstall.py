"""Makes an uninstall hang on nothing: `python -m carbonaware_operator.hooks.uninstall`.

It ends the operator and takes the Lease in its place, so that none acts any more; then it takes our
finalizer off every job and removes the release's zones, the archives of the grid and the Lease. An
operator that is dead already is waited for as long as its Lease lasts.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.api.reasons import SETTLE_FINALIZER
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    MERGE_PATCH,
    ApiError,
    Kind,
    KubeClient,
    Object,
)
from carbonaware_operator.cluster.lease import Elector
from carbonaware_operator.cluster.zones import ARCHIVES
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.hooks.session import POLL_SECONDS, HookError, run

SECONDS = 150.0
TAKEOVER_SECONDS = 60.0
AT_ONCE = 16
"""Changes at a time: one by one, thousands would wait for nothing but the way to the server."""
MOST_NAMED = 5
KINDS_WITH_FINALIZER = (CARBON_AWARE_JOBS,)


@dataclass(frozen=True, slots=True)
class Installation:
    """What is uninstalled.

    namespace, operator: where the operator is, and the name of its Deployment and of its Lease.
    release: the zones with this instance label go with it.
    job_namespaces: where its jobs are; empty for everywhere.
    """

    namespace: str
    operator: str
    release: str
    job_namespaces: tuple[str, ...] = ()


async def clean_up(kube: KubeClient, clock: Clock, installation: Installation) -> str:
    """Leave nothing behind that an uninstall or a user would wait for; the last word.

    Raises ApiError: the API server refuses.
    """
    await _done(_scale_to_zero(kube, installation))
    async with _lease_held(kube, installation, clock):
        freed = await free_jobs(kube, clock, installation.job_namespaces)
        zones = await _remove(kube, CARBON_ZONES, None, _of_release(installation.release))
        archives = await _remove(kube, CONFIG_MAPS, installation.namespace, ARCHIVES)
    return f"took the finalizer off {freed} objects, removed {zones} zones and {archives} archives"


async def free_jobs(kube: KubeClient, clock: Clock, namespaces: Sequence[str] = ()) -> int:
    """Take our finalizer off whatever carries it, many at a time; how many objects did.

    Raises HookError: the API server lets some objects not be changed; all others were.
    """
    freed: set[str] = set()
    refused: dict[str, str] = {}
    while held := [f async for f in _held(kube, namespaces) if f[1]["uid"] not in refused]:
        before = len(freed) + len(refused)
        waiting = iter(held)
        await asyncio.gather(*(_free_each(kube, waiting, freed, refused) for _ in range(AT_ONCE)))
        if len(freed) + len(refused) == before:
            await clock.sleep(POLL_SECONDS)
    if refused:
        said = "; ".join(list(refused.values())[:MOST_NAMED])
        raise HookError(f"{len(refused)} objects keep the finalizer {SETTLE_FINALIZER}: {said}")
    return len(freed)


async def _free_each(
    kube: KubeClient,
    waiting: Iterator[tuple[Kind, Object]],
    freed: set[str],
    refused: dict[str, str],
) -> None:
    """Free what is waiting, until nothing is; what was refused for now is found again."""
    for kind, metadata in waiting:
        try:
            if await _done(_free(kube, kind, metadata)):
                freed.add(metadata["uid"])
        except ApiError as error:
            if not error.retryable:
                name = f"{kind.plural} {metadata['namespace']}/{metadata['name']}"
                refused[metadata["uid"]] = f"{name}: {error.message}"


async def _held(kube: KubeClient, namespaces: Sequence[str]) -> AsyncIterator[tuple[Kind, Object]]:
    for kind in KINDS_WITH_FINALIZER:
        for namespace in namespaces or (None,):
            async for body in _existing(kube, kind, namespace):
                if SETTLE_FINALIZER in (body["metadata"].get("finalizers") or []):
                    yield kind, body["metadata"]


async def _free(kube: KubeClient, kind: Kind, metadata: Object) -> None:
    kept = [name for name in metadata["finalizers"] if name != SETTLE_FINALIZER]
    # The version keeps what another controller has added since the list was made.
    change = {"resourceVersion": metadata["resourceVersion"], "finalizers": kept}
    await kube.merge(kind, metadata["namespace"], metadata["name"], {"metadata": change})


def _of_release(release: str) -> str:
    return f"app.kubernetes.io/managed-by=Helm,app.kubernetes.io/instance={release}"


async def _remove(kube: KubeClient, kind: Kind, namespace: str | None, selector: str) -> int:
    removed = 0
    async for body in _existing(kube, kind, namespace, selector=selector):
        metadata = body["metadata"]
        removed += await _done(kube.delete(kind, namespace, metadata["name"], uid=metadata["uid"]))
    return removed


async def _existing(
    kube: KubeClient, kind: Kind, namespace: str | None, *, selector: str = ""
) -> AsyncIterator[Object]:
    """The metadata of all objects of a kind; none where the cluster does not know the kind."""
    try:
        async for body in kube.list(kind, namespace, selector=selector, only_metadata=True):
            yield body
    except ApiError as error:
        if error.status != 404:
            raise


async def _done(change: Awaitable[Any]) -> bool:
    """Make a change; False if its object is gone or has changed meanwhile."""
    try:
        await change
    except ApiError as error:
        if error.status not in (404, 409):
            raise
        return False
    return True


@asynccontextmanager
async def _lease_held(
    kube: KubeClient, installation: Installation, clock: Clock
) -> AsyncIterator[None]:
    """Hold the operator's Lease, then remove it.

    Goes on without it when somebody keeps it: an uninstall must not depend on who that is.
    """
    held = asyncio.Event()
    elector = Elector(
        kube,
        clock,
        namespace=installation.namespace,
        name=installation.operator,
        identity="uninstall",
        on_change=lambda leading: held.set() if leading else held.clear(),
    )
    renewing = asyncio.create_task(elector.run())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(TAKEOVER_SECONDS):
                await held.wait()
        yield
    finally:
        renewing.cancel()
    await _done(_remove_lease(kube, installation))


async def _remove_lease(kube: KubeClient, installation: Installation) -> None:
    place = (LEASES, installation.namespace, installation.operator)
    lease = await kube.get(*place)
    await kube.delete(*place, uid=lease["metadata"]["uid"])


async def _scale_to_zero(kube: KubeClient, installation: Installation) -> None:
    path = DEPLOYMENTS.path(installation.namespace, installation.operator, "scale")
    change = {"spec": {"replicas": 0}}
    await kube.request("PATCH", path, body=change, content_type=MERGE_PATCH)


def main() -> None:
    """Read the flags and run; ends the process."""
    parser = argparse.ArgumentParser(prog="carbonaware_operator.hooks.uninstall")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--operator", required=True)
    parser.add_argument("--release", required=True)
    parser.add_argument("--watch-namespaces", default="")
    given = parser.parse_args()
    installation = Installation(
        given.namespace,
        given.operator,
        given.release,
        tuple(name for name in given.watch_namespaces.split(",") if name),
    )
    run(lambda kube, clock: clean_up(kube, clock, installation), seconds=SECONDS)


if __name__ == "__main__":
    main()
