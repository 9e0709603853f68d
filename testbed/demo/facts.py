"""PURE: what the API says about the demo's jobs, in the terms of the demo."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from testbed.demo.scene import USER

Object = dict[str, Any]


_PRODUCTS_PER_MICROGRAM = 3_600_000_000 * 1000  # 1 kWh, and PUE in thousandths


class State(StrEnum):
    """How far a job is."""

    HELD = "held"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One CarbonAwareJob as the API server has it.

    planned: when a held job starts at the latest.
    child_count: batch/v1 Jobs that carry its uid.
    freed: when its user lifted the suspension.
    emissions_ug, baseline_ug: micrograms CO2e; None while nothing is priced.
    """

    name: str
    uid: str
    created: datetime
    state: State
    reason: str = ""
    message: str = ""
    planned: datetime | None = None
    released: datetime | None = None
    freed: datetime | None = None
    held_seconds: int | None = None
    run_seconds: int | None = None
    energy_joules: int | None = None
    emissions_ug: int | None = None
    baseline_ug: int | None = None
    avoided_percent: int | None = None
    settled: bool = False
    child_count: int = 0

    @property
    def ended(self) -> bool:
        """Whether the job and its account are final."""
        return self.state in (State.COMPLETE, State.FAILED) and self.settled


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that one look at the cluster showed.

    zone_created: when the recorded day began to play.
    grams: intensity that the zone says is current, gCO2e/kWh; None without one.
    """

    zone_created: datetime | None = None
    grams: float | None = None
    jobs: tuple[JobFacts, ...] = field(default=())

    @property
    def ended(self) -> bool:
        """Whether every job is final."""
        return bool(self.jobs) and all(job.ended for job in self.jobs)


def observation(items: Iterable[Object], zone: str, order: Iterable[str]) -> Observation:
    """Read a mixed list of CarbonAwareJobs, Jobs and CarbonZones.

    order: names of the jobs, in the order to show them.
    """
    by_kind: dict[str, list[Object]] = {}
    for item in items:
        by_kind.setdefault(item["kind"], []).append(item)
    uids = [_labels(job).get("carbonaware.io/job-uid") for job in by_kind.get("Job", [])]
    found = {
        body["metadata"]["name"]: facts_of(body, uids.count(body["metadata"]["uid"]))
        for body in by_kind.get("CarbonAwareJob", [])
    }
    zones = [z for z in by_kind.get("CarbonZone", []) if z["metadata"]["name"] == zone]
    return Observation(
        zone_created=_instant(zones[0]["metadata"]["creationTimestamp"]) if zones else None,
        grams=_grams(zones[0]) if zones else None,
        jobs=tuple(found[name] for name in order if name in found),
    )


def facts_of(body: Object, child_count: int) -> JobFacts:
    """Read one CarbonAwareJob."""
    metadata, status = body["metadata"], body.get("status") or {}
    released, ledger = condition(body, "Released"), status.get("ledger") or {}
    return JobFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        state=_state(body),
        reason=released.get("reason", ""),
        message=released.get("message", ""),
        planned=_instant((status.get("plan") or {}).get("startTime")),
        released=_instant(status.get("releasedTime")),
        freed=_changed_by_user(metadata),
        held_seconds=status.get("heldSeconds"),
        run_seconds=status.get("runSeconds"),
        energy_joules=status.get("energyJoules"),
        emissions_ug=_priced(ledger, "milligramsPerKWh"),
        baseline_ug=_priced(ledger, "baselineMilligramsPerKWh"),
        avoided_percent=status.get("avoidedPercent"),
        settled=bool(ledger.get("settled")),
        child_count=child_count,
    )


def condition(body: Object, kind: str) -> dict[str, str]:
    """A condition of an object; empty when it is not set."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def _priced(ledger: Object, price: str) -> int | None:
    """Micrograms of the account: a job of seconds emits too little for the status' milligrams."""
    periods = [period for period in ledger.get("hours", []) if price in period]
    if not periods:
        return None
    products: int = sum(p["microjoules"] * p[price] * p["pueMilli"] for p in periods)
    return round(products / _PRODUCTS_PER_MICROGRAM)


def _state(body: Object) -> State:
    if condition(body, "Complete").get("status") == "True":
        return State.COMPLETE
    if condition(body, "Failed").get("status") == "True":
        return State.FAILED
    return State.RUNNING if (body.get("status") or {}).get("workload") else State.HELD


def _changed_by_user(metadata: Object) -> datetime | None:
    times = [
        _instant(entry.get("time"))
        for entry in metadata.get("managedFields", [])
        if entry["manager"] == USER
    ]
    return next((time for time in times if time), None)


def _labels(body: Object) -> dict[str, str]:
    return body["metadata"].get("labels") or {}


def _grams(zone: Object) -> float | None:
    current = (zone.get("status") or {}).get("current")
    return current["milligramsPerKWh"] / 1000 if current else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
