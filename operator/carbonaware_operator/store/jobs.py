"""CarbonAwareJobs as the operator knows them: one slotted record each, indexed by what wakes it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from carbonaware_operator.accounting.ledger import final
from carbonaware_operator.api.job import CarbonAwareJobSpec, CarbonAwareJobStatus
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.api.reasons import Annotation, ConditionType, EndReason, HoldReason
from carbonaware_operator.kinds.parent import parent_uid
from carbonaware_operator.kinds.registry import observe
from carbonaware_operator.planning.decide import decide
from carbonaware_operator.planning.decision import Decision, Fail
from carbonaware_operator.planning.job import (
    Blocked,
    Job,
    ResolvedSchedule,
    ScheduleDefaults,
    resolve,
)
from carbonaware_operator.planning.observed import Observed, stage_of
from carbonaware_operator.planning.outlook import Outlook
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.quantities.durations import parse_duration
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.store.status import progress_of


class Unkept(NamedTuple):
    """A progress that was written, and the other one that the API server then showed.

    Server-side apply cannot take away a field that another manager set.
    """

    written: Progress
    shown: Progress


@dataclass(slots=True)
class JobRecord:
    """One CarbonAwareJob as last seen; pod templates are not kept."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    generation: int
    created: Instant
    deleting: bool
    suspend: bool
    zone_name: str | None
    schedule: ResolvedSchedule
    ttl: timedelta | None
    release_request: str | None
    progress: Progress
    ledger: Ledger | None
    child: Observed | None = None
    blocked: Blocked | None = None
    workload_checked: bool = False
    unkept: Unkept | None = None

    @property
    def owner_uids(self) -> frozenset[str]:
        """The owners under which agents report the job's energy; none before it was started."""
        noted = self.progress.workload
        seen = self.child.owner_uids if self.child else frozenset()
        # An object that is not the one noted was made by somebody else.
        return seen if noted is None or noted.uid in seen else frozenset({noted.uid})

    @property
    def shifts(self) -> tuple[tuple[Instant, int], ...]:
        """From when on the run is how many seconds later than run-at-once."""
        return self.progress.shifts

    @property
    def finished(self) -> Instant | None:
        """When the job ended."""
        return self.progress.finished

    @property
    def accounted_for(self) -> bool:
        """Whether no more energy can come: settled, or nothing ever ran."""
        return not self.owner_uids or bool(self.ledger and self.ledger.settled)

    def decide(self, outlook: Outlook | None, now: Instant) -> Decision:
        """Decide on this job, which has not ended; a child Job that was deleted fails it."""
        workload = self.progress.workload
        if workload and (self.child is None or self.child.uid != workload.uid):
            return Fail(
                EndReason.WORKLOAD_DELETED,
                f"the child Job {workload.name} was deleted; it is never created a second time",
            )
        return decide(self.planned(), outlook, now)

    def calls_for_write(self, progress: Progress) -> bool:
        """Whether the status is to become this progress, and is not known to be kept from it."""
        return progress != self.progress and (progress, self.progress) != self.unkept

    def planned(self) -> Job:
        """The job as decide() takes it."""
        request = self.release_request
        return Job(
            stage=stage_of(self.child),
            suspend=self.suspend,
            zone_name=self.zone_name,
            schedule=self.schedule,
            release_requested=request is not None and request != self.progress.handled_request,
            blocked=self.blocked,
        )


class Parent(NamedTuple):
    """Whose child a Job is; an owner in another namespace is none, whatever a Job there says."""

    namespace: str
    uid: str


@dataclass(slots=True)
class JobStore:
    """All CarbonAwareJobs by uid, and the uids that each zone concerns."""

    default_zone: str | None = None
    defaults: ScheduleDefaults = field(default_factory=ScheduleDefaults)
    records: dict[str, JobRecord] = field(default_factory=dict)
    _zones: dict[str | None, set[str]] = field(default_factory=lambda: defaultdict(set))
    _children: dict[Parent, Observed] = field(default_factory=dict)

    def apply(self, body: dict[str, Any]) -> JobRecord:
        """Take in an object of the API; an older one than is known changes nothing.

        Raises ValueError: the object does not have the shape that its CRD demands.
        """
        record = self._record(body)
        known = self.records.get(record.uid)
        if known:
            if int(record.resource_version) < int(known.resource_version):
                return known
            record.blocked, record.workload_checked = known.blocked, known.workload_checked
            record.unkept = known.unkept
            self._zones[known.zone_name].discard(record.uid)
        self.records[record.uid] = record
        self._zones[record.zone_name].add(record.uid)
        return record

    def forget(self, uid: str) -> JobRecord | None:
        """Take out a deleted job; None when it was not known."""
        record = self.records.pop(uid, None)
        if record:
            self._zones[record.zone_name].discard(uid)
        return record

    def apply_child(self, body: dict[str, Any]) -> str | None:
        """Take in a child Job; the uid of the job that it belongs to, None when it is nobody's."""
        parent = _parent(body)
        if parent is None:
            return None
        child, known = observe(body), self._children.get(parent)
        if known is None or self._takes_the_place(parent, child, known):
            self._children[parent] = child
            self._attach(parent)
        return parent.uid

    def forget_child(self, body: dict[str, Any]) -> str | None:
        """Take out a deleted child Job; the uid of the job that it belonged to."""
        parent = _parent(body)
        if parent is None:
            return None
        known = self._children.get(parent)
        if known and known.uid == body["metadata"]["uid"]:
            self.drop_child(parent)
        return parent.uid

    def drop_child(self, parent: Parent) -> None:
        """Take out the child Job of a job."""
        self._children.pop(parent, None)
        self._attach(parent)

    def in_zone(self, zone_name: str | None) -> set[str]:
        """Uids of the jobs of a zone."""
        return self._zones[zone_name]

    def child_uids(self) -> dict[Parent, str]:
        """The uid of each job's child Job, for those that have one."""
        return {parent: child.uid for parent, child in self._children.items()}

    def unsettled(self) -> Iterator[JobRecord]:
        """Jobs that have or had a child Job and whose energy or price may still change."""
        for record in list(self.records.values()):
            if record.owner_uids and not final(record.ledger):
                yield record

    def by_reason(self) -> Iterable[tuple[str, str, str, str]]:
        """(namespace, zone, state, reason) of every job, for the jobs gauge."""
        for record in self.records.values():
            yield record.namespace, record.zone_name or "", *_state(record.progress)

    def deadlines(self) -> Iterable[tuple[str, str, Instant]]:
        """(namespace, zone, latest start) of every job that is held, but by its user."""
        for record in self.records.values():
            if record.child is None and not (record.progress.ended or record.suspend):
                yield record.namespace, record.zone_name or "", record.schedule.deadline

    def _takes_the_place(self, parent: Parent, child: Observed, known: Observed) -> bool:
        """Whether an object is a newer state of the known child, or the one that was noted.

        Two may claim to be a job's child: two names are believed, see `parent_uid`.
        """
        record = self.records.get(parent.uid)
        noted = record.progress.workload if record else None
        if noted and child.uid != known.uid:
            return child.uid == noted.uid
        return int(child.resource_version) >= int(known.resource_version)

    def _attach(self, parent: Parent) -> None:
        record = self.records.get(parent.uid)
        if record and record.namespace == parent.namespace:
            record.child = self._children.get(parent)

    def _record(self, body: dict[str, Any]) -> JobRecord:
        metadata = body["metadata"]
        spec = CarbonAwareJobSpec.model_validate(body["spec"])
        status = CarbonAwareJobStatus.model_validate(body.get("status") or {})
        created = parse_instant(metadata["creationTimestamp"])
        annotations = metadata.get("annotations") or {}
        progress = progress_of(status)
        return JobRecord(
            uid=metadata["uid"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            resource_version=metadata["resourceVersion"],
            generation=metadata["generation"],
            created=created,
            deleting="deletionTimestamp" in metadata,
            suspend=bool(spec.suspend),
            zone_name=spec.zone_name or self.default_zone,
            schedule=resolve(spec.schedule, created, self.defaults),
            ttl=_ttl(spec),
            release_request=annotations.get(Annotation.RELEASE_REQUESTED.value),
            progress=progress,
            ledger=status.ledger,
            child=self._children.get(Parent(metadata["namespace"], metadata["uid"])),
            workload_checked=_was_accepted(progress),
        )


def _parent(body: dict[str, Any]) -> Parent | None:
    uid = parent_uid(body)
    return Parent(body["metadata"]["namespace"], uid) if uid else None


def _ttl(spec: CarbonAwareJobSpec) -> timedelta | None:
    """How long a finished job is kept: by its own word, else by that of its template."""
    if spec.ttl_after_finished:
        return parse_duration(spec.ttl_after_finished)
    seconds = spec.job_template.spec.get("ttlSecondsAfterFinished")
    # The template is unchecked: what is no number of 31 bits the dry run refuses.
    if isinstance(seconds, int) and 0 <= seconds < 2**31:
        return timedelta(seconds=seconds)
    return None


def _was_accepted(progress: Progress) -> bool:
    """Whether an earlier pass found the workload acceptable: the template cannot change."""
    released = progress.condition(ConditionType.RELEASED)
    return released is not None and released.reason != HoldReason.INVALID_WORKLOAD


def _state(progress: Progress) -> tuple[str, str]:
    """One word for a job's state, and the reason of the condition that says so."""
    for kind in (ConditionType.COMPLETE, ConditionType.FAILED, ConditionType.RELEASED):
        condition = progress.condition(kind)
        if condition:
            name = kind.value if kind is not ConditionType.RELEASED else _released(condition.status)
            return name, condition.reason
    return "Pending", ""


def _released(status: bool) -> str:
    return "Released" if status else "Held"
