"""CarbonAwareJobs as the operator knows them: one slotted record each, indexed by what wakes it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from sys import intern
from typing import Any, NamedTuple

from carbonaware_operator.accounting.ledger import final
from carbonaware_operator.api.job import (
    CarbonAwareJobSpec,
    CarbonAwareJobStatus,
    WhenDeadlineReached,
)
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.api.reasons import Annotation, ConditionType, HoldReason
from carbonaware_operator.kinds.parent import parent_uid
from carbonaware_operator.kinds.registry import observe
from carbonaware_operator.planning.observed import Observed
from carbonaware_operator.planning.outlook import Outlook
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.planning.resolve import (
    SETTINGS,
    Defaults,
    Given,
    Resolved,
    ResolvedSchedule,
    given_of,
    resolve,
)
from carbonaware_operator.planning.situation import Blocked, Job, Situation, token_of
from carbonaware_operator.planning.state import standing_of
from carbonaware_operator.quantities.durations import parse_duration
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant
from carbonaware_operator.store.graves import Graves
from carbonaware_operator.store.held import HeldJobs
from carbonaware_operator.store.reading import ODD, readable
from carbonaware_operator.store.status import progress_of


@dataclass(slots=True)
class Tally:
    """How many records there are of one place, state and reason: counted as they come and go."""

    namespace: str
    zone_name: str | None
    state: str
    reason: str
    held: bool
    count: int = 0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """That an object was not read as a whole, and what follows from it.

    blocked: holds the job until its deadline, for good when that was not read; None while it is
    only the status that was not read. ledger: whether the account is what was not read.
    """

    problems: str
    blocked: Blocked | None
    ledger: bool


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
    given: Given
    resolved: Resolved
    ttl: timedelta | None
    release_request: str | None
    progress: Progress
    ledger: Ledger | None
    child: Observed | None = None
    blocked: Blocked | None = None
    workload_checked: bool = False
    unkept: Unkept | None = None
    unreadable: Unreadable | None = None
    tally: Tally | None = None

    @property
    def zone_name(self) -> str | None:
        """The zone whose grid it waits for."""
        return self.resolved.zone_name

    @property
    def schedule(self) -> ResolvedSchedule:
        """When it may start."""
        return self.resolved.schedule

    @property
    def owner_uids(self) -> frozenset[str]:
        """The owners under which agents report the job's energy; none before it was started."""
        noted = self.progress.workload
        seen = self.child.owner_uids if self.child else frozenset()
        # An object that is not the one noted was made by somebody else.
        return seen if noted is None or noted.uid in seen else frozenset({noted.uid})

    @property
    def strays(self) -> bool:
        """Whether its child Job runs though the job has ended.

        So it is when a leader fails a job at its deadline while a former one, cut off, starts it.
        """
        child, noted = self.child, self.progress.workload
        mine = child is not None and (noted is None or noted.uid == child.uid)
        return self.progress.ended and child is not None and mine and child.runs

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
        """Whether no more energy can come: settled, or nothing ever ran; or none can be noted."""
        if not self.owner_uids or (self.unreadable and self.unreadable.ledger):
            return True
        return bool(self.ledger and self.ledger.settled)

    @property
    def refusal(self) -> Blocked | None:
        """What keeps the workload from being started, whatever the grid."""
        return self.blocked or (self.unreadable.blocked if self.unreadable else None)

    def situation(self, outlook: Outlook | None, now: Instant) -> Situation:
        """What a decision on this job, which has not ended, rests on."""
        return Situation(self.planned(), outlook, now)

    def calls_for_write(self, progress: Progress) -> bool:
        """Whether the status is to become this progress, and is not known to be kept from it."""
        return progress != self.progress and (progress, self.progress) != self.unkept

    def planned(self) -> Job:
        """The job as rules look at it."""
        request = self.release_request
        return Job(
            created=self.created,
            generation=self.generation,
            suspend=self.suspend,
            resolved=self.resolved,
            release_requested=request is not None and request != self.progress.handled_request,
            blocked=self.refusal,
            child=self.child,
            noted=self.progress.workload,
        )


class Parent(NamedTuple):
    """Whose child a Job is; an owner in another namespace is none, whatever a Job there says."""

    namespace: str
    uid: str


@dataclass(slots=True)
class JobStore:
    """All CarbonAwareJobs by uid, and the uids that each zone concerns."""

    defaults: tuple[Defaults, ...] = (SETTINGS,)
    records: dict[str, JobRecord] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    graves: Graves = field(default_factory=Graves)
    _held: dict[str | None, HeldJobs] = field(default_factory=dict)
    _tallies: dict[tuple[str | bool | None, ...], Tally] = field(default_factory=dict)
    _unsettled: dict[str, None] = field(default_factory=dict)  # an ordered set
    _children: dict[Parent, Observed] = field(default_factory=dict)
    _parents: dict[str, Parent] = field(default_factory=dict)

    def apply(self, body: dict[str, Any]) -> JobRecord | None:
        """Take in an object of the API; the record, None of a job that was deleted meanwhile.

        What is not newer than what is known changes nothing, and is not read. Of a spec or status
        that cannot be read the record holds what can be. Raises LookupError, TypeError or
        ValueError: not even its metadata can be read.
        """
        metadata = body["metadata"]
        uid = metadata["uid"]
        known = self.records.get(uid)
        if known is None:
            if uid in self.graves:
                return None
            record = self._read(body)
            record.child = self._children.get(Parent(record.namespace, uid))
        else:
            if int(metadata["resourceVersion"]) <= int(known.resource_version):
                return known
            record = self._renewed(known, body)
            self._unlist(known)
        self.records[uid] = record
        self._list(record)
        return record

    def forget(self, uid: str) -> JobRecord | None:
        """Take out a deleted job and all that was known of it; None when it was not known."""
        self.graves.add(uid)
        record = self.records.get(uid)
        if record:
            self._drop_child(Parent(record.namespace, uid))
            self._unlist(record)
            del self.records[uid]
        return record

    def apply_child(self, body: dict[str, Any]) -> str | None:
        """Take in a child Job; the uid of the job that it belongs to, None when it is nobody's."""
        parent, uid = _parent(body), body["metadata"]["uid"]
        former = self._parents.get(uid)
        if former and former != parent:
            self._drop_child(former)  # it was orphaned
        if parent is None:
            return former.uid if former else None
        if uid in self.graves or parent.uid in self.graves:
            return None
        child, known = observe(body), self._children.get(parent)
        if known is None or self._takes_the_place(parent, child, known):
            if known:
                del self._parents[known.uid]
            self._children[parent], self._parents[uid] = child, parent
            self._attach(parent)
        return parent.uid

    def forget_child(self, body: dict[str, Any]) -> str | None:
        """Take out a deleted child Job; the uid of the job that it belonged to."""
        uid = body["metadata"]["uid"]
        self.graves.add(uid)
        parent = self._parents.get(uid)
        if parent:
            self._drop_child(parent)
            return parent.uid
        named = _parent(body)
        return named.uid if named else None

    def in_zone(self, zone_name: str | None) -> Collection[str]:
        """Uids of the held jobs of a zone, but those that their user suspended."""
        return list(self._held.get(zone_name, ()))

    def touched_by(self, zone_name: str, outlook: Outlook | None) -> Collection[str]:
        """Uids of the held jobs of a zone whose decision may be another under a new outlook."""
        held = self._held.get(zone_name)
        return held.touched_by(outlook) if held else ()

    def versions(self) -> dict[str, int]:
        """The resourceVersion of each job, by its uid."""
        return {uid: int(record.resource_version) for uid, record in self.records.items()}

    def child_versions(self) -> dict[str, int]:
        """The resourceVersion of each child Job, by its uid."""
        return {child.uid: int(child.resource_version) for child in self._children.values()}

    def last_of_child(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """An object that names the child with this one's uid in full; None when it has gone."""
        uid = body["metadata"]["uid"]
        parent = self._parents.get(uid)
        if parent is None:
            return None
        name = self._children[parent].name
        return {"metadata": {"uid": uid, "namespace": parent.namespace, "name": name}}

    def orphans(self) -> list[Parent]:
        """Whose children are there without them."""
        return [parent for parent in self._children if parent.uid not in self.records]

    def drop_orphans(self, parents: Iterable[Parent]) -> None:
        """Take out children whose job has still not come: they would stay for ever."""
        for parent in parents:
            if parent.uid not in self.records:
                self._drop_child(parent)

    def unsettled(self) -> Iterator[JobRecord]:
        """Jobs that have or had a child Job and whose energy or price may still change."""
        for uid in list(self._unsettled):
            if uid in self.records:
                yield self.records[uid]

    def tallies(self) -> Collection[Tally]:
        """The jobs counted, for the jobs gauge."""
        return self._tallies.values()

    def next_deadlines(self) -> Iterable[tuple[str, str | None, Instant]]:
        """(namespace, zone, first latest start) of the jobs that are held, but by their user."""
        for zone_name, held in self._held.items():
            for namespace, deadline in held.next_deadlines():
                yield namespace, zone_name, deadline

    def _read(self, body: dict[str, Any]) -> JobRecord:
        try:
            return record_of(body, self.defaults)
        except ODD:
            return self._read_in_part(body)

    def _read_in_part(self, body: dict[str, Any]) -> JobRecord:
        found = readable(body, lambda part: record_of(part, self.defaults))
        record = record_of(found.body, self.defaults)
        record.unreadable = _unreadable(found.problems, record)
        return record

    def _renewed(self, known: JobRecord, body: dict[str, Any]) -> JobRecord:
        """A newer version of a known job: a spec of the same generation is not read again."""
        metadata = body["metadata"]
        if metadata["generation"] == known.generation and known.unreadable is None:
            with suppress(*ODD):
                return replace(known, **_stated(metadata, body.get("status")))
        record = self._read(body)
        record.child, record.blocked, record.unkept = known.child, known.blocked, known.unkept
        record.workload_checked = known.workload_checked
        return record

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
            self._unlist(record)
            record.child = self._children.get(parent)
            self._list(record)

    def _drop_child(self, parent: Parent) -> None:
        child = self._children.pop(parent, None)
        if child:
            del self._parents[child.uid]
            self._attach(parent)

    def _list(self, record: JobRecord) -> None:
        """Put a record into each index that it belongs in."""
        held = not (record.child or record.suspend or record.progress.ended)
        key = (record.namespace, record.zone_name, *standing_of(record.progress), held)
        tally = record.tally = self._tallies.get(key) or Tally(*key)
        tally.count += 1
        self._tallies[key] = tally
        if held:
            jobs = self._held.setdefault(record.zone_name, HeldJobs())
            jobs.add(record.namespace, record.uid, record.schedule)
        if record.unreadable:
            self.unreadable.add(record.uid)
        lost = record.unreadable and record.unreadable.ledger
        if record.owner_uids and not (final(record.ledger) or lost):
            self._unsettled[record.uid] = None

    def _unlist(self, record: JobRecord) -> None:
        """Take a record out of every index, as it was put in."""
        tally = record.tally
        if tally is None:
            return
        record.tally = None
        tally.count -= 1
        if not tally.count:
            key = (tally.namespace, tally.zone_name, tally.state, tally.reason, tally.held)
            del self._tallies[key]
        if tally.held:
            jobs = self._held[tally.zone_name]
            jobs.remove(record.namespace, record.uid, record.schedule)
            if not jobs:
                del self._held[tally.zone_name]
        self._unsettled.pop(record.uid, None)
        self.unreadable.discard(record.uid)


def record_of(body: dict[str, Any], defaults: tuple[Defaults, ...] = (SETTINGS,)) -> JobRecord:
    """A record from an object of the API; defaults: by source, the first that speaks wins.

    Raises ValueError: the object does not have the shape that its CRD demands.
    """
    metadata = body["metadata"]
    spec = CarbonAwareJobSpec.model_validate(body["spec"])
    created, given = parse_instant(metadata["creationTimestamp"]), given_of(spec)
    stated = _stated(metadata, body.get("status"))
    return JobRecord(
        uid=metadata["uid"],
        namespace=intern(metadata["namespace"]),
        name=metadata["name"],
        generation=metadata["generation"],
        created=created,
        suspend=bool(spec.suspend),
        given=given,
        resolved=resolve(given, created, *defaults),
        ttl=_ttl(spec),
        workload_checked=_was_accepted(stated["progress"]),
        **stated,
    )


def _stated(metadata: dict[str, Any], status: dict[str, Any] | None) -> dict[str, Any]:
    """The fields of a record that change without its spec."""
    read = CarbonAwareJobStatus.model_validate(status or {})
    annotations = metadata.get("annotations") or {}
    return {
        "resource_version": metadata["resourceVersion"],
        "deleting": "deletionTimestamp" in metadata,
        "release_request": token_of(annotations.get(Annotation.RELEASE_REQUESTED.value)),
        "progress": progress_of(read),
        "ledger": read.ledger,
    }


_NOT_FOR_THE_START = frozenset(
    f"spec.{name}"
    for name in (
        "zoneName",
        "ttlAfterFinished",
        "schedule.strategy",
        "schedule.maxGramsPerKWh",
        "schedule.preferredGramsPerKWh",
        "schedule.expectedDuration",
        "schedule.windows",
        "schedule.whenSignalMissing",
        "schedule.whenDeadlineReached",
    )
)
"""Without these a job can still be started at its latest start, or failed there."""


def _unreadable(problems: Mapping[str, str], record: JobRecord) -> Unreadable:
    """What follows for a job from what could not be read of it."""
    text = "; ".join(f"`{path}` ({problem})" for path, problem in [*problems.items()][:3])
    of_spec = {path for path in problems if path.startswith("spec.")}
    blocked, schedule = None, record.schedule
    if of_spec:
        startable = of_spec <= _NOT_FOR_THE_START
        fails = schedule.when_deadline_reached is WhenDeadlineReached.FAIL
        end = f"{'fails' if fails else 'starts'} at {format_instant(schedule.deadline)}"
        blocked = Blocked(
            HoldReason.UNREADABLE,
            f"this version of the operator cannot read {text}; correct it, or update the operator; "
            + (end if startable else "not started before"),
            retry=schedule.deadline if startable else None,
            final=not startable,
            since=record.created,
        )
    return Unreadable(text, blocked, ledger="status.ledger" in problems)


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
