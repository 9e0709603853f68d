"""The energy of the node's zones: what each drew since its last good reading."""

import logging
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import partial

from carbonaware_agent.attribution.balance import Parts
from carbonaware_agent.attribution.idle import IdlePower
from carbonaware_agent.attribution.shares import NodeUse, merge
from carbonaware_agent.metering.platforms import Platforms
from carbonaware_agent.readings import Readings
from carbonaware_agent.saved.snapshot import Snapshot, ZoneRecord
from carbonaware_agent.sources.model import share_of_maximum, supposed_maximum
from carbonaware_agent.sources.sensor import (
    PLATFORM,
    Energy,
    Interval,
    Key,
    Rebaseline,
    Stream,
    Zone,
)

_log = logging.getLogger(__name__)
# Over more than this the mean use stands for what happened when, so the division is an estimate.
_LONGEST_CERTAIN_US = 60 * 1_000_000


@dataclass(slots=True)
class Portion:
    """Energy of one stream over one interval, summed over the zones that were read together.

    use: who used the node meanwhile. load: 0 to 1. maximum_uw, idle_uw: of those zones together,
    in microwatts; None where not all are known. zones: how many they are, out of `alike` that the
    stream has now.
    """

    stream: Stream
    use: NodeUse
    duration_us: int
    load: float
    energy_uj: int = 0
    maximum_uw: int | None = 0
    idle_uw: int | None = 0
    zones: int = 0
    alike: int = 1

    @property
    def whole(self) -> bool:
        """Whether this is all of the stream: what is known of idle power is of all zones."""
        return self.zones == self.alike

    def of_all(self, microwatts: int | None) -> int | None:
        """A power of these zones, as one of all zones of the stream, which are alike."""
        return None if microwatts is None else microwatts * self.alike // self.zones

    def add(self, zone: Zone, energy_uj: int) -> None:
        """Add a zone that was read over the same interval."""
        self.zones += 1
        self.energy_uj += energy_uj
        self.maximum_uw = _plus(self.maximum_uw, zone.maximum_watts)
        self.idle_uw = _plus(self.idle_uw, zone.idle_watts)


def _plus(microwatts: int | None, watts: float | None) -> int | None:
    return None if microwatts is None or watts is None else microwatts + round(watts * 1e6)


@dataclass(frozen=True, slots=True)
class _Now:
    """This tick, and the use since the last one: of the node, and of zones that have their own."""

    boottime_us: int
    use: NodeUse
    devices: Mapping[str, NodeUse]

    def use_of(self, zone: Zone) -> NodeUse:
        return self.devices.get(zone.stream.zone, self.use)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A zone's energy since its last good reading, and who used the node meanwhile."""

    energy_uj: int
    duration_us: int
    use: NodeUse


# Makes the energy of an interval from two raw values.
_Outcome = Callable[[int, int, Interval], Energy | Rebaseline]


class ZoneEnergy:
    """Keeps the zones of a snapshot in step with their sensors."""

    def __init__(self, snapshot: Snapshot, vcpus: int) -> None:
        self._snapshot = snapshot
        self._vcpus = vcpus
        self._platforms = Platforms(snapshot)

    def begin(self, readings: Readings) -> None:
        """Take all raw values as a baseline."""
        self.advance(readings, NodeUse((), 0, 0), {})

    def advance(
        self, readings: Readings, use: NodeUse, devices: Mapping[str, NodeUse]
    ) -> list[Portion]:
        """Add each zone's energy to its total; returns it by stream and interval.

        use: what the node did since the last tick. devices: the use of zones that have their own.
        """
        seen, now = readings.seen, _Now(readings.boottime_us, use, devices)
        drawn, parts = [], Parts()
        for sensor, zone, raw in seen.zones:
            drawn.append((zone, self._drawn(zone, raw, now, partial(sensor.energy, zone), parts)))
        parts.complete = all(raw is not None for _, zone, raw in seen.zones if seen.stays(zone))
        parts.broken |= self._retire_all_but({*seen.staying, *(rest.key for rest in seen.rests)})
        for reason in self._platforms.advance(seen.platforms, parts, now.boottime_us):
            self._gap(PLATFORM, reason)
        drawn += [(rest, self._rest(rest, now)) for rest in seen.rests]
        self._retire_all_but(seen.staying)
        self._platforms.retire_all_but(seen.staying)
        return self._portions(drawn)

    def _rest(self, rest: Zone, now: _Now) -> _Drawn | None:
        """What the rest of a platform drew; it waits until the platform and all parts are known."""
        record = self._snapshot.zones.get(rest.key)
        complete = self._platforms.complete(rest)
        if complete and (record is None or record.raw is None):
            self._platforms.begin(rest)
        outcome = partial(self._rest_outcome, rest)
        # A rest has no counter of its own: any constant stands for one that was read.
        return self._drawn(rest, 0 if complete else None, now, outcome, Parts())

    def _rest_outcome(self, rest: Zone, *_: object) -> Energy | Rebaseline:
        return self._platforms.energy(rest)

    def _portions(self, drawn: Iterable[tuple[Zone, _Drawn | None]]) -> list[Portion]:
        portions: dict[tuple[Stream, int], Portion] = {}
        for zone, part in drawn:
            if part is not None:
                load = self._load(part.use, part.duration_us)
                portion = Portion(zone.stream, part.use, part.duration_us, load)
                portion = portions.setdefault((zone.stream, part.duration_us), portion)
                portion.add(zone, part.energy_uj)
        for portion in portions.values():
            # In its last tick a zone is read, and then counts no more.
            portion.alike = max(portion.zones, len(self._alike(portion.stream)))
        return list(portions.values())

    def _drawn(
        self, zone: Zone, raw: int | None, now: _Now, outcome_of: _Outcome, parts: Parts
    ) -> _Drawn | None:
        """What a zone drew since its last good reading; None when that is not known now."""
        record = self._snapshot.zones.get(zone.key)
        if record is None or record.raw is None:
            if raw is not None:
                self._baseline(zone, raw, now.boottime_us)
            return None
        if raw is None:
            self._miss(zone, record, now)
            return None
        used = now.use_of(zone)
        use = used if record.missed is None else merge(record.missed, used)
        duration_us = now.boottime_us - record.read_us
        interval = Interval(duration_us, self._expected_watts(zone, use, duration_us))
        outcome = outcome_of(record.raw, raw, interval)
        record.raw, record.read_us, record.missed = raw, now.boottime_us, None
        drawn = self._counted(zone, record, outcome, use, duration_us)
        if drawn is None:
            parts.broken = True
        else:
            parts.energy_uj += drawn.energy_uj
        return drawn

    def _counted(
        self,
        zone: Zone,
        record: ZoneRecord,
        outcome: Energy | Rebaseline,
        use: NodeUse,
        duration_us: int,
    ) -> _Drawn | None:
        match outcome:
            case Rebaseline(reason):
                self._gap(zone.name, reason)
                record.power_uw = 0
                return None
            case Energy(energy_uj, estimated):
                if estimated or duration_us > _LONGEST_CERTAIN_US:
                    self._gap(zone.name, "estimated")
                record.total_uj += energy_uj
                record.power_uw = energy_uj * 1_000_000 // duration_us
                return _Drawn(energy_uj, duration_us, use)

    def _baseline(self, zone: Zone, raw: int, boottime_us: int) -> None:
        record = ZoneRecord(zone.stream, raw, boottime_us)
        record = self._snapshot.zones.setdefault(zone.key, record)
        record.raw, record.read_us, record.missed = raw, boottime_us, None

    def _miss(self, zone: Zone, record: ZoneRecord, now: _Now) -> None:
        """Remember who used the node, for when the zone's energy becomes known."""
        if record.missed is None:
            self._gap(zone.name, "unreadable")
        used = now.use_of(zone)
        record.missed = used if record.missed is None else merge(record.missed, used)
        record.power_uw = 0

    def _retire_all_but(self, staying: Set[Key]) -> bool:
        """Close zones whose sensor was read for the last time; returns whether energy was lost.

        In that tick the one that follows was read as well, so that only a zone that could not be
        read has lost something.
        """
        lost = False
        for key, record in self._snapshot.zones.items():
            if key in staying or record.raw is None:
                continue
            if record.missed is not None:
                self._gap(key[0], "lost")
                lost = True
            record.raw = record.missed = None
            record.power_uw = 0
        return lost

    def _gap(self, name: str, reason: str) -> None:
        _log.warning("gap", extra={"zone": name, "reason": reason})
        key = (name, reason)
        self._snapshot.gaps[key] = self._snapshot.gaps.get(key, 0) + 1

    def _expected_watts(self, zone: Zone, use: NodeUse, duration_us: int) -> float:
        """A model's opinion, by the zone's known maximum or what its highest power lets suppose."""
        maximum_watts = zone.maximum_watts
        if maximum_watts is None:
            idle = self._snapshot.idle.get(zone.stream, IdlePower())
            highest_watts = idle.highest_uw / 1e6 / max(1, len(self._alike(zone.stream)))
            maximum_watts = supposed_maximum(highest_watts, idle.highest_load_ppm / 1e6)
        return maximum_watts * share_of_maximum(self._load(use, duration_us))

    def _alike(self, stream: Stream) -> list[ZoneRecord]:
        """The zones of a stream that count now."""
        records = self._snapshot.zones.values()
        return [record for record in records if record.stream == stream and record.raw is not None]

    def _load(self, use: NodeUse, duration_us: int) -> float:
        return use.busy_us / (self._vcpus * duration_us)
