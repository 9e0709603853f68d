"""The bytes of a snapshot: one line of JSON behind its checksum.

Written every second, so rows are lists, and owners and streams, which many rows name, are numbers
of entries in two tables.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from carbonaware_agent.attribution.balance import Balance
from carbonaware_agent.attribution.devices import Claim, Holding, Method
from carbonaware_agent.attribution.idle import IdlePower
from carbonaware_agent.attribution.shares import NodeUse, PodUse
from carbonaware_agent.attribution.tails import ParentSlice
from carbonaware_agent.snapshot import (
    AttributedRecord,
    PlatformRecord,
    PodRecord,
    SeriesRecord,
    Snapshot,
    ZoneRecord,
)
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import Owner

_VERSION = 1


class SnapshotUnreadableError(Exception):
    """The saved state is truncated, damaged or of another version."""


def encode(snapshot: Snapshot) -> bytes:
    """The bytes to save."""
    owners: dict[Owner, int] = {}
    streams: dict[Stream, int] = {}
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
        "platforms": [_platform_row(platform) for platform in snapshot.platforms.values()],
        "attributed": [[kind, *astuple(record)] for kind, record in snapshot.attributed.items()],
        "idle": [[stream, *astuple(idle)] for stream, idle in snapshot.idle.items()],
        "gaps": [[key, count] for key, count in snapshot.gaps.items()],
        "holdings": [[zone, *astuple(holding)] for zone, holding in snapshot.holdings.items()],
        "slices": [[name, *astuple(parent)] for name, parent in snapshot.slices.items()],
        "pods": [_pod_row(cgroup, pod, owners, streams) for cgroup, pod in snapshot.pods.items()],
        "series": [
            [
                _number(owners, owner),
                _number(streams, stream),
                record.epoch,
                record.total_uj,
                record.marked_uj,
            ]
            for (owner, stream), record in snapshot.series.items()
        ],
        "seen_us": [
            [_number(owners, owner), seen_us] for owner, seen_us in snapshot.owners_seen_us.items()
        ],
        # Last, when all rows that refer to them are made.
        "owners": list(owners),
        "streams": list(streams),
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    return b"%08x\n%s\n" % (zlib.crc32(body), body)


def _number(table: dict[Any, int], entry: Owner | Stream) -> int:
    return table.setdefault(entry, len(table))


def _zone_row(zone: ZoneRecord) -> list[Any]:
    missed = zone.missed and [
        zone.missed.pods,
        zone.missed.busy_us,
        zone.missed.allocatable_us,
        zone.missed.binding,
    ]
    return [zone.stream, zone.raw, zone.read_us, zone.total_uj, zone.power_uw, missed]


def _platform_row(platform: PlatformRecord) -> list[Any]:
    return [
        platform.stream,
        platform.raw,
        platform.read_us,
        platform.total_uj,
        platform.power_uw,
        astuple(platform.balance),
    ]


def _pod_row(
    cgroup: str, pod: PodRecord, owners: dict[Owner, int], streams: dict[Stream, int]
) -> list[Any]:
    return [
        cgroup,
        pod.usage_us,
        pod.parent,
        pod.request,
        # Only a static pod has another uid in its cgroup's name.
        None if pod.uid == cgroup else pod.uid,
        pod.namespace,
        pod.name,
        None if pod.owner is None else _number(owners, pod.owner),
        pod.ended_us,
        [[_number(streams, stream), *parts] for stream, parts in pod.energy.items()],
    ]


def decode(content: bytes) -> Snapshot:
    """Read bytes that were saved. Raises SnapshotUnreadableError."""
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
    owners = [Owner(*owner) for owner in document["owners"]]
    streams = [Stream(*stream) for stream in document["streams"]]
    return Snapshot(
        boot_id=document["boot_id"],
        boottime_us=document["boottime_us"],
        wall_us=document["wall_us"],
        period_us=document["period_us"],
        open_us=document["open_us"],
        busy_us=document["busy_us"],
        processor=document["processor"],
        zones={(name, source): _zone(*row) for (name, source), *row in document["zones"]},
        platforms={row[0][1]: _platform(*row) for row in document["platforms"]},
        attributed={kind: AttributedRecord(*row) for kind, *row in document["attributed"]},
        idle={Stream(*stream): IdlePower(*row) for stream, *row in document["idle"]},
        gaps={(zone, reason): count for (zone, reason), count in document["gaps"]},
        holdings={zone: _holding(*row) for zone, *row in document["holdings"]},
        slices={name: ParentSlice(*row) for name, *row in document["slices"]},
        pods={row[0]: _pod(row, owners, streams) for row in document["pods"]},
        series={
            (owners[owner], streams[stream]): SeriesRecord(*row)
            for owner, stream, *row in document["series"]
        },
        owners_seen_us={owners[owner]: seen_us for owner, seen_us in document["seen_us"]},
    )


def _zone(
    stream: list[str], raw: int | None, read_us: int, total_uj: int, power_uw: int, missed: Any
) -> ZoneRecord:
    use = missed and NodeUse(tuple(PodUse(*pod) for pod in missed[0]), *missed[1:])
    return ZoneRecord(Stream(*stream), raw, read_us, total_uj, power_uw, use)


def _platform(
    stream: list[str], raw: int | None, read_us: int, total_uj: int, power_uw: int, balance: Any
) -> PlatformRecord:
    return PlatformRecord(Stream(*stream), raw, read_us, total_uj, power_uw, Balance(*balance))


def _holding(method: str, claims: Any, *parts: int) -> Holding:
    return Holding(Method(method), tuple(Claim(*claim) for claim in claims), *parts)


def _pod(row: list[Any], owners: Sequence[Owner], streams: Sequence[Stream]) -> PodRecord:
    cgroup, usage_us, parent, request, uid, namespace, name, owner, ended_us, energy = row
    return PodRecord(
        usage_us,
        parent,
        request,
        cgroup if uid is None else uid,
        namespace,
        name,
        None if owner is None else owners[owner],
        ended_us,
        {streams[stream]: parts for stream, *parts in energy},
    )
