"""The bytes of a snapshot: one line of JSON behind its checksum.

Written every second, and that is most of what a tick would cost: with 250 pods, 2.4 ms of 6 while
all of it went through `json`. So rows are text, of which only the numbers are made anew each time,
and owners and streams, which many rows name, are numbers of entries in two tables.
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
from carbonaware_agent.saved.snapshot import (
    AttributedRecord,
    DomainRecord,
    PlatformRecord,
    PodRecord,
    SeriesKey,
    SeriesRecord,
    Snapshot,
)
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import Owner

_VERSION = 4
# Rows of things that are gone, below which it is not worth to make all text anew.
_SURPLUS = 100
_json = json.JSONEncoder(separators=(",", ":")).encode


class SnapshotUnreadableError(Exception):
    """The saved state is truncated, damaged or of another version."""


class Encoder:
    """Makes the bytes to save; keeps the text of what seldom changes from one time to the next."""

    def __init__(self) -> None:
        self._owners = _Table()
        self._streams = _Table()
        self._pods: dict[str, tuple[tuple[object, ...], str]] = {}
        self._series: dict[str, str] = {}

    def encode(self, snapshot: Snapshot) -> bytes:
        """The bytes of a snapshot."""
        self._forget_surplus(snapshot)
        rows = {
            "pods": [self._pod_row(cgroup, pod) for cgroup, pod in snapshot.pods.items()],
            "series": [self._series_row(key, record) for key, record in snapshot.series.items()],
            "seen_us": [
                f"[{self._owners.number(owner)},{seen_us}]"
                for owner, seen_us in snapshot.owners_seen_us.items()
            ],
            # Last, when all rows that refer to them are made.
            "owners": self._owners.rows,
            "streams": self._streams.rows,
        }
        tables = [f'"{name}":[{",".join(texts)}]' for name, texts in rows.items()]
        body = f"{_json(_head(snapshot))[:-1]},{','.join(tables)}}}".encode()
        return b"%08x\n%s\n" % (zlib.crc32(body), body)

    def _pod_row(self, cgroup: str, pod: PodRecord) -> str:
        # What the fixed text is made of; names come with the uid, and streams are only ever added.
        fixed = (
            pod.parent,
            pod.request,
            pod.memory_request,
            pod.uid,
            pod.owner,
            len(pod.energy),
        )
        known = self._pods.get(cgroup)
        if known is None or known[0] != fixed:
            known = self._pods[cgroup] = (fixed, self._fixed_text(cgroup, pod))
        ended_us = "null" if pod.ended_us is None else pod.ended_us
        parts = ",".join([f"[{dynamic},{idle}]" for dynamic, idle in pod.energy.values()])
        return f"{known[1]},{pod.usage_us},{ended_us},[{parts}]]"

    def _fixed_text(self, cgroup: str, pod: PodRecord) -> str:
        row = [
            cgroup,
            pod.parent,
            [pod.request, pod.memory_request],
            # Only a static pod has another uid in its cgroup's name.
            None if pod.uid == cgroup else pod.uid,
            pod.namespace,
            pod.name,
            None if pod.owner is None else self._owners.number(pod.owner),
            [self._streams.number(stream) for stream in pod.energy],
        ]
        return _json(row)[:-1]

    def _series_row(self, key: SeriesKey, record: SeriesRecord) -> str:
        # No two series ever have the same epoch, so it stands for the key.
        fixed = self._series.get(record.epoch)
        if fixed is None:
            owner, stream = self._owners.number(key[0]), self._streams.number(key[1])
            fixed = self._series[record.epoch] = _json([owner, stream, record.epoch])[:-1]
        return f"{fixed},{record.total_uj},{record.marked_uj}]"

    def _forget_surplus(self, snapshot: Snapshot) -> None:
        """Begin anew when more than half of what is kept belongs to what is gone."""
        kept = len(self._pods) + len(self._series) + len(self._owners.rows)
        live = len(snapshot.pods) + len(snapshot.series) + len(snapshot.owners_seen_us)
        if kept > 2 * live + _SURPLUS:
            self._owners, self._streams = _Table(), _Table()
            self._pods, self._series = {}, {}


class _Table:
    """Entries that rows refer to by number. rows: the text of each."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self.rows: list[str] = []

    def number(self, entry: tuple[str, ...]) -> int:
        known = self._numbers.get(entry)
        if known is None:
            known = self._numbers[entry] = len(self.rows)
            self.rows.append(_json(entry))
        return known


def _head(snapshot: Snapshot) -> dict[str, Any]:
    """All but the long tables."""
    return {
        "version": _VERSION,
        "boot_id": snapshot.boot_id,
        "boottime_us": snapshot.boottime_us,
        "wall_us": snapshot.wall_us,
        "period_us": snapshot.period_us,
        "open_us": snapshot.open_us,
        "saves": snapshot.saves,
        "busy_us": snapshot.busy_us,
        "processor": snapshot.processor,
        "domains": [[key, *_domain_row(domain)] for key, domain in snapshot.domains.items()],
        "platforms": [_platform_row(platform) for platform in snapshot.platforms.values()],
        "attributed": [[kind, *_values(record)] for kind, record in snapshot.attributed.items()],
        "idle": [[stream, *_values(idle)] for stream, idle in snapshot.idle.items()],
        "gaps": [[key, count] for key, count in snapshot.gaps.items()],
        "holdings": [[domain, *astuple(holding)] for domain, holding in snapshot.holdings.items()],
        "slices": [[name, *_values(parent)] for name, parent in snapshot.slices.items()],
    }


def _values(record: Any) -> list[Any]:
    # dataclasses.astuple would copy what is in the fields as well.
    return [getattr(record, name) for name in record.__slots__]


def _domain_row(domain: DomainRecord) -> list[Any]:
    missed = domain.missed and [
        domain.missed.pods,
        domain.missed.busy_us,
        domain.missed.allocatable_us,
        domain.missed.binding,
    ]
    return [domain.stream, domain.raw, domain.read_us, domain.total_uj, domain.power_uw, missed]


def _platform_row(platform: PlatformRecord) -> list[Any]:
    return [
        platform.stream,
        platform.raw,
        platform.read_us,
        platform.total_uj,
        platform.power_uw,
        _values(platform.balance),
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
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
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
        saves=document["saves"],
        busy_us=document["busy_us"],
        processor=document["processor"],
        domains={(name, source): _domain(*row) for (name, source), *row in document["domains"]},
        platforms={row[0][1]: _platform(*row) for row in document["platforms"]},
        attributed={kind: AttributedRecord(*row) for kind, *row in document["attributed"]},
        idle={Stream(*stream): IdlePower(*row) for stream, *row in document["idle"]},
        gaps={(domain, reason): count for (domain, reason), count in document["gaps"]},
        holdings={domain: _holding(*row) for domain, *row in document["holdings"]},
        slices={name: ParentSlice(*row) for name, *row in document["slices"]},
        pods={row[0]: _pod(row, owners, streams) for row in document["pods"]},
        series={
            (owners[owner], streams[stream]): SeriesRecord(*row)
            for owner, stream, *row in document["series"]
        },
        owners_seen_us={owners[owner]: seen_us for owner, seen_us in document["seen_us"]},
    )


def _domain(
    stream: list[str], raw: int | None, read_us: int, total_uj: int, power_uw: int, missed: Any
) -> DomainRecord:
    use = missed and NodeUse(tuple(PodUse(*pod) for pod in missed[0]), *missed[1:])
    return DomainRecord(Stream(*stream), raw, read_us, total_uj, power_uw, use)


def _platform(
    stream: list[str], raw: int | None, read_us: int, total_uj: int, power_uw: int, balance: Any
) -> PlatformRecord:
    return PlatformRecord(Stream(*stream), raw, read_us, total_uj, power_uw, Balance(*balance))


def _holding(method: str, claims: Any, *parts: int) -> Holding:
    return Holding(Method(method), tuple(Claim(*claim) for claim in claims), *parts)


def _pod(row: list[Any], owners: Sequence[Owner], streams: Sequence[Stream]) -> PodRecord:
    cgroup, parent, requests, uid, namespace, name, owner, energies, usage_us, ended_us, parts = row
    return PodRecord(
        usage_us,
        parent,
        requests[0],
        requests[1],
        cgroup if uid is None else uid,
        namespace,
        name,
        None if owner is None else owners[owner],
        ended_us,
        {streams[stream]: energy for stream, energy in zip(energies, parts, strict=True)},
    )
