"""`list`: one line per job, with what it waits for and what it used."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from carbonaware_operator.api.job import CarbonAwareJobSpec, CarbonAwareJobStatus
from carbonaware_operator.api.reasons import State
from carbonaware_operator.cli.lookup import no_such_job, unreadable
from carbonaware_operator.cli.outlooks import outlook_of
from carbonaware_operator.cli.output import MISSING
from carbonaware_operator.cli.pods import startups
from carbonaware_operator.cli.states import Standing, standing, with_pods
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    ApiError,
    Kind,
    KubeClient,
    Object,
)
from carbonaware_operator.kinds.pods import Startup
from carbonaware_operator.planning.outlook import Outlook, Signal
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.quantities.emissions import grams
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.quantities.spans import relative, span
from carbonaware_operator.store.status import progress_of
from carbonaware_operator.store.zones import zone_record

HEADER = (
    *("NAME", "STATE", "REASON", "LATEST START", "STARTED", "ZONE", "NOW/LIMIT"),
    *("ENERGY", "EMISSIONS", "SAVED"),
)
WIDE_HEADER = ("DEADLINE", "AGE", "CHILD JOB")

_OF_PODS = (State.STARTING, State.RUNNING, State.FAILED)
"""States of which pods may say more than the status does."""


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job with its standing and the outlook of its zone, None when that is not known."""

    namespace: str
    name: str
    created: Instant
    zone_name: str | None
    max_grams_per_kwh: int | None
    status: CarbonAwareJobStatus
    progress: Progress
    outlook: Outlook | None
    startup: Startup | None = None

    @property
    def standing(self) -> Standing:
        """Where it stands by its status, and by its pods where those are known."""
        return with_pods(standing(self.progress), self.startup)


@dataclass(frozen=True, slots=True)
class Listing:
    """Jobs by namespace and name; pods_hidden: the user may not see how far started ones are."""

    jobs: list[ListedJob]
    pods_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs to list: all of a namespace, or of every one with None.

    selector: of labels; names: none of them means all.
    """

    namespace: str | None
    selector: str = ""
    names: frozenset[str] = frozenset()


async def listing(kube: KubeClient, wanted: Wanted, now: Instant) -> Listing:
    """Jobs, and how far the pods of started ones are. Raises CommandError, ApiError."""
    jobs = await listed_jobs(kube, wanted, now)
    missing = wanted.names - {job.name for job in jobs}
    if missing:
        raise no_such_job(wanted.namespace or "", min(missing))
    uids = [
        job.progress.workload.uid
        for job in jobs
        if job.progress.workload and job.standing.state in _OF_PODS
    ]
    found = await startups(kube, wanted.namespace, uids)
    return Listing([_with_pods(job, found or {}) for job in jobs], pods_hidden=found is None)


async def listed_jobs(kube: KubeClient, wanted: Wanted, now: Instant) -> list[ListedJob]:
    """Jobs by namespace and name. Raises CommandError, ApiError."""
    outlooks, bodies = await asyncio.gather(
        _outlooks(kube, now),
        _collected(kube, CARBON_AWARE_JOBS, wanted.namespace, wanted.selector),
    )
    chosen = (b for b in bodies if not wanted.names or b["metadata"]["name"] in wanted.names)
    return sorted((_listed(b, outlooks) for b in chosen), key=lambda j: (j.namespace, j.name))


def _with_pods(job: ListedJob, startups: dict[str, Startup]) -> ListedJob:
    workload = job.progress.workload
    return replace(job, startup=startups.get(workload.uid)) if workload else job


async def _outlooks(kube: KubeClient, now: Instant) -> dict[str, Outlook]:
    """Zones are for the whole cluster: who may not read them still gets the list of their jobs."""
    try:
        zones = [zone_record(body) for body in await _collected(kube, CARBON_ZONES, None)]
    except ApiError as error:
        if error.status == 403:
            return {}
        raise
    except ValueError as error:
        raise unreadable("a CarbonZone") from error
    return {zone.name: outlook_of(zone, now) for zone in zones}


async def _collected(
    kube: KubeClient, kind: Kind, namespace: str | None, selector: str = ""
) -> list[Object]:
    return [body async for body in kube.list(kind, namespace, selector=selector)]


def _listed(body: Object, outlooks: dict[str, Outlook]) -> ListedJob:
    metadata = body["metadata"]
    try:
        spec = CarbonAwareJobSpec.model_validate(body["spec"])
        status = CarbonAwareJobStatus.model_validate(body.get("status") or {})
        progress = progress_of(status)
    except ValueError as error:
        raise unreadable(f"CarbonAwareJob {metadata['namespace']}/{metadata['name']}") from error
    zone = spec.zone_name or status.zone_name
    return ListedJob(
        namespace=metadata["namespace"],
        name=metadata["name"],
        created=parse_instant(metadata["creationTimestamp"]),
        zone_name=zone,
        max_grams_per_kwh=spec.schedule.max_grams_per_kwh if spec.schedule else None,
        status=status,
        progress=progress,
        outlook=outlooks.get(zone or ""),
    )


def header(*, namespaced: bool, wide: bool) -> list[str]:
    """The names of the columns of `row`."""
    return [*(["NAMESPACE"] if namespaced else []), *HEADER, *(WIDE_HEADER if wide else ())]


def row(job: ListedJob, now: Instant, *, namespaced: bool, wide: bool) -> list[str]:
    """The cells of one job.

    namespaced: begin with the namespace; wide: end with the cells of `WIDE_HEADER`.
    """
    summary = job.status.summary
    cells = [
        job.name,
        job.standing.state.value,
        job.standing.cause or MISSING,
        _when(job.progress.latest_start, now),
        _when(job.progress.released, now),
        job.zone_name or MISSING,
        _now_and_limit(job),
        (summary and summary.energy) or MISSING,
        (summary and summary.emissions) or MISSING,
        (summary and summary.avoided) or MISSING,
    ]
    if wide:
        workload = job.progress.workload
        cells += [
            _when(job.progress.deadline, now),
            span(now - job.created),
            workload.name if workload else MISSING,
        ]
    return [job.namespace, *cells] if namespaced else cells


def _when(instant: Instant | None, now: Instant) -> str:
    return relative(instant, now) if instant else MISSING


def _now_and_limit(job: ListedJob) -> str:
    """Intensity now against the limit; a fallback value is marked by a tilde."""
    if job.standing.state in (State.COMPLETE, State.FAILED):
        return MISSING
    limit = "none" if job.max_grams_per_kwh is None else str(job.max_grams_per_kwh)
    if job.outlook is None:
        return f"?/{limit}"
    mark = "" if isinstance(job.outlook.current, Signal) else "~"
    return f"{mark}{grams(job.outlook.in_effect)}/{limit}"


def document(jobs: list[ListedJob]) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/cli.md."""
    return {"items": [item(job) for job in jobs]}


def item(job: ListedJob) -> dict[str, Any]:
    """One job, for programs."""
    status, signal = job.status, job.outlook.current if job.outlook else None
    return {
        "namespace": job.namespace,
        "name": job.name,
        "state": job.standing.state.value,
        "reason": job.standing.reason or None,
        "message": job.standing.message or None,
        "pods": pods_document(job.startup),
        "zone": job.zone_name,
        "plannedStartTime": status.plan.start_time if status.plan else None,
        "latestStartTime": status.plan.latest_start_time if status.plan else None,
        "releasedTime": status.released_time,
        "finishedTime": status.finished_time,
        "deadline": status.deadline,
        "milligramsPerKWh": signal.intensity if isinstance(signal, Signal) else None,
        "maxGramsPerKWh": job.max_grams_per_kwh,
        **used(status),
    }


def pods_document(startup: Startup | None) -> dict[str, Any] | None:
    """How far the pods are; null while there is no reason to look, and without the right to."""
    if startup is None:
        return None
    return {
        "ready": startup.ready,
        "reason": startup.reason or None,
        "message": startup.message or None,
    }


def used(status: CarbonAwareJobStatus) -> dict[str, Any]:
    """What a job used so far, in the units of its status; null where nothing is known yet."""
    return {
        "energyJoules": status.energy_joules,
        "energyMethod": status.energy_method,
        "emissionsMilligrams": status.emissions_milligrams,
        "avoidedEmissionsMilligrams": status.avoided_emissions_milligrams,
        "avoidedPercent": status.avoided_percent,
    }
