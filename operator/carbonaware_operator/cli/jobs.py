"""`list`: one line per job, with what it waits for and what it used."""

import asyncio
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.api.job import CarbonAwareJobSpec, CarbonAwareJobStatus
from carbonaware_operator.cli.lookup import unreadable
from carbonaware_operator.cli.outlooks import grams, intensity_in_effect, outlook_of
from carbonaware_operator.cli.output import MISSING
from carbonaware_operator.cli.states import Standing, State, standing
from carbonaware_operator.cli.times import relative, span
from carbonaware_operator.cluster.kube import (
    CARBON_AWARE_JOBS,
    CARBON_ZONES,
    ApiError,
    KubeClient,
    Object,
)
from carbonaware_operator.planning.outlook import Outlook, Signal
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.store.status import progress_of
from carbonaware_operator.store.zones import zone_record

HEADER = ("NAME", "STATE", "REASON", "START", "ZONE", "NOW/LIMIT", "ENERGY", "EMISSIONS", "SAVED")
WIDE_HEADER = ("DEADLINE", "AGE", "CHILD JOB")


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

    @property
    def standing(self) -> Standing:
        """Where it stands by its status."""
        return standing(self.progress)

    @property
    def start(self) -> Instant | None:
        """When it started; while it is held, when it will."""
        return self.progress.released or self.progress.planned_start


async def listed_jobs(kube: KubeClient, namespace: str | None, now: Instant) -> list[ListedJob]:
    """All jobs of a namespace, or of all with None, by name. Raises CommandError, ApiError."""
    outlooks, bodies = await asyncio.gather(
        _outlooks(kube, now), _collected(kube, CARBON_AWARE_JOBS, namespace)
    )
    return sorted((_listed(b, outlooks) for b in bodies), key=lambda j: (j.namespace, j.name))


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


async def _collected(kube: KubeClient, kind: Any, namespace: str | None) -> list[Object]:
    return [body async for body in kube.list(kind, namespace)]


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


def row(job: ListedJob, now: Instant, *, namespaced: bool, wide: bool) -> list[str]:
    """The cells of one job.

    namespaced: begin with the namespace; wide: end with the cells of `WIDE_HEADER`.
    """
    summary = job.status.summary
    cells = [
        job.name,
        job.standing.state.value,
        job.standing.reason or MISSING,
        relative(job.start, now) if job.start else MISSING,
        job.zone_name or MISSING,
        _now_and_limit(job),
        (summary and summary.energy) or MISSING,
        (summary and summary.emissions) or MISSING,
        (summary and summary.avoided) or MISSING,
    ]
    if wide:
        deadline, workload = job.progress.deadline, job.progress.workload
        cells += [
            relative(deadline, now) if deadline else MISSING,
            span(now - job.created),
            workload.name if workload else MISSING,
        ]
    return [job.namespace, *cells] if namespaced else cells


def _now_and_limit(job: ListedJob) -> str:
    """Intensity now against the limit; a fallback value is marked by a tilde."""
    if job.standing.state in (State.COMPLETE, State.FAILED):
        return MISSING
    limit = "none" if job.max_grams_per_kwh is None else str(job.max_grams_per_kwh)
    if job.outlook is None:
        return f"?/{limit}"
    mark = "" if isinstance(job.outlook.current, Signal) else "~"
    return f"{mark}{grams(intensity_in_effect(job.outlook))}/{limit}"


def document(jobs: list[ListedJob]) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/cli.md."""
    return {"items": [_item(job) for job in jobs]}


def _item(job: ListedJob) -> dict[str, Any]:
    status, signal = job.status, job.outlook.current if job.outlook else None
    return {
        "namespace": job.namespace,
        "name": job.name,
        "state": job.standing.state.value,
        "reason": job.standing.reason or None,
        "message": job.standing.message or None,
        "zone": job.zone_name,
        "plannedStartTime": status.plan.start_time if status.plan else None,
        "releasedTime": status.released_time,
        "finishedTime": status.finished_time,
        "deadline": status.deadline,
        "milligramsPerKWh": signal.intensity if isinstance(signal, Signal) else None,
        "maxGramsPerKWh": job.max_grams_per_kwh,
        **used(status),
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
