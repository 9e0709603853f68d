"""What survives the agent: one record of everything counted so far, saved before it is exposed.

The file is one line of JSON behind its checksum, replaced whole by a rename. Whatever the agent
exposes is read back from the bytes that were saved, so it can never show what a crash would undo.
"""

import json
import zlib
from dataclasses import astuple, dataclass, field
from typing import Any

from carbonaware_agent.attribution.idle import IdlePower
from carbonaware_agent.attribution.shares import NodeUse, PodUse
from carbonaware_agent.attribution.tails import ParentSlice
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import Owner

_VERSION = 1


class SnapshotUnreadableError(Exception):
    """The saved state is truncated, damaged or of another version."""


@dataclass(slots=True)
class ZoneRecord:
    """A zone of the node.

    raw: the sensor's value at its last good reading, at `read_us` of the boot's clock; None when
    that sensor was not read by the last agent or in this boot. total_uj: energy since the record
    began. power_uw: mean over the last interval. missed: what pods used since the last good
    reading, while readings fail.
    """

    stream: Stream
    raw: int | None
    read_us: int
    total_uj: int = 0
    power_uw: int = 0
    missed: NodeUse | None = None


@dataclass(slots=True)
class AttributedRecord:
    """Where a zone kind's energy went, in microjoules; the four sum to the zones' totals."""

    dynamic_uj: int = 0
    idle_uj: int = 0
    system_uj: int = 0
    unallocated_uj: int = 0


@dataclass(slots=True)
class PodRecord:
    """A pod. usage_us: its cgroup's CPU time when last read. parent: the slice that holds it.

    request: in millicores. The API's words on it stay empty until they are known; the owner is
    then pinned. ended_us: boot time at which its cgroup was found gone. energy: dynamic and idle
    microjoules.
    """

    usage_us: int
    parent: str
    request: int = 0
    uid: str = ""
    namespace: str = ""
    name: str = ""
    owner: Owner | None = None
    ended_us: int | None = None
    energy: dict[Stream, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class SeriesRecord:
    """An owner's energy of one stream since `epoch` began. marked_uj: the value last marked."""

    epoch: str
    total_uj: int = 0
    marked_uj: int = 0


SeriesKey = tuple[Owner, Stream]


@dataclass(slots=True)
class Snapshot:
    """The state of one node at one tick. open_us: start of the accounting period that is open."""

    boot_id: str
    boottime_us: int
    wall_us: int
    period_us: int
    open_us: int
    busy_us: int = 0
    processor: str = ""
    zones: dict[tuple[str, str], ZoneRecord] = field(default_factory=dict)
    attributed: dict[str, AttributedRecord] = field(default_factory=dict)
    idle: dict[Stream, IdlePower] = field(default_factory=dict)
    gaps: dict[tuple[str, str], int] = field(default_factory=dict)
    slices: dict[str, ParentSlice] = field(default_factory=dict)
    pods: dict[str, PodRecord] = field(default_factory=dict)
    series: dict[SeriesKey, SeriesRecord] = field(default_factory=dict)
    owners_seen_us: dict[Owner, int] = field(default_factory=dict)


def encode(snapshot: Snapshot) -> bytes:
    """The bytes of the file."""
    document = {
        "version": _VERSION,
        "boot_id": snapshot.boot_id,
        "boottime_us": snapshot.boottime_us,
        "wall_us": snapshot.wall_us,
        "period_us": snapshot.period_us,
        "open_us": snapshot.open_us,
        "busy_us": snapshot.busy_us,
        "processor": snapshot.processor,
        "zones": [[key, *_zone_row(zone)] for key, zone in snapshot.zones.items()],
        "attributed": [[kind, *astuple(record)] for kind, record in snapshot.attributed.items()],
        "idle": [[stream, *astuple(idle)] for stream, idle in snapshot.idle.items()],
        "gaps": [[key, count] for key, count in snapshot.gaps.items()],
        "slices": [[name, *astuple(parent)] for name, parent in snapshot.slices.items()],
        "pods": [[cgroup, *_pod_row(pod)] for cgroup, pod in snapshot.pods.items()],
        "series": [
            [owner, stream, record.epoch, record.total_uj, record.marked_uj]
            for (owner, stream), record in snapshot.series.items()
        ],
        "owners_seen_us": [[owner, seen_us] for owner, seen_us in snapshot.owners_seen_us.items()],
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    return b"%08x\n%s\n" % (zlib.crc32(body), body)


def _zone_row(zone: ZoneRecord) -> list[Any]:
    missed = zone.missed and [
        [astuple(pod) for pod in zone.missed.pods],
        zone.missed.busy_us,
        zone.missed.allocatable_us,
    ]
    return [zone.stream, zone.raw, zone.read_us, zone.total_uj, zone.power_uw, missed]


def _pod_row(pod: PodRecord) -> list[Any]:
    return [
        pod.usage_us,
        pod.parent,
        pod.request,
        pod.uid,
        pod.namespace,
        pod.name,
        pod.owner,
        pod.ended_us,
        [[stream, *parts] for stream, parts in pod.energy.items()],
    ]


def decode(content: bytes) -> Snapshot:
    """Read the bytes of a file. Raises SnapshotUnreadableError."""
    checksum, _, rest = content.partition(b"\n")
    body = rest.removesuffix(b"\n")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            raise SnapshotUnreadableError("the checksum does not fit")
        document = json.loads(body)
        if document["version"] != _VERSION:
            raise SnapshotUnreadableError(f"version {document['version']} is not known")
        return _snapshot(document)
    except (ValueError, TypeError, LookupError) as error:
        raise SnapshotUnreadableError(str(error)) from error


def _snapshot(document: dict[str, Any]) -> Snapshot:
    return Snapshot(
        boot_id=document["boot_id"],
        boottime_us=document["boottime_us"],
        wall_us=document["wall_us"],
        period_us=document["period_us"],
        open_us=document["open_us"],
        busy_us=document["busy_us"],
        processor=document["processor"],
        zones={(name, source): _zone(*row) for (name, source), *row in document["zones"]},
        attributed={kind: AttributedRecord(*row) for kind, *row in document["attributed"]},
        idle={Stream(*stream): IdlePower(*row) for stream, *row in document["idle"]},
        gaps={(zone, reason): count for (zone, reason), count in document["gaps"]},
        slices={name: ParentSlice(*row) for name, *row in document["slices"]},
        pods={cgroup: _pod(*row) for cgroup, *row in document["pods"]},
        series={
            (Owner(*owner), Stream(*stream)): SeriesRecord(*row)
            for owner, stream, *row in document["series"]
        },
        owners_seen_us={Owner(*owner): seen_us for owner, seen_us in document["owners_seen_us"]},
    )


def _zone(
    stream: list[str], raw: int | None, read_us: int, total_uj: int, power_uw: int, missed: Any
) -> ZoneRecord:
    use = missed and NodeUse(tuple(PodUse(*pod) for pod in missed[0]), missed[1], missed[2])
    return ZoneRecord(Stream(*stream), raw, read_us, total_uj, power_uw, use)


def _pod(*row: Any) -> PodRecord:
    usage_us, parent, request, uid, namespace, name, owner, ended_us, energy = row
    return PodRecord(
        usage_us,
        parent,
        request,
        uid,
        namespace,
        name,
        Owner(*owner) if owner else None,
        ended_us,
        {Stream(*stream): parts for stream, *parts in energy},
    )
