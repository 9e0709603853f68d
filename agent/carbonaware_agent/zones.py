"""The energy of the node's zones: what each drew since its last good reading."""

import logging
from dataclasses import dataclass

from carbonaware_agent.attribution.shares import NodeUse, merge
from carbonaware_agent.readings import Readings
from carbonaware_agent.snapshot import Snapshot, ZoneRecord
from carbonaware_agent.sources.model import share_of_maximum
from carbonaware_agent.sources.sensor import Energy, Interval, Rebaseline, Sensor, Stream, Zone

_log = logging.getLogger(__name__)
# Use is remembered this long for a zone that cannot be read; then its energy is given up.
_LONGEST_MISS_US = 3600 * 1_000_000
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
    """A zone's value now, None if it could not be read, and the use since the last tick."""

    raw: int | None
    boottime_us: int
    use: NodeUse


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A zone's energy since its last good reading, and who used the node meanwhile."""

    energy_uj: int
    duration_us: int
    use: NodeUse


class ZoneEnergy:
    """Keeps the zones of a snapshot in step with their sensors."""

    def __init__(self, snapshot: Snapshot, vcpus: int) -> None:
        self._snapshot = snapshot
        self._vcpus = vcpus

    def begin(self, readings: Readings) -> None:
        """Take all raw values as a baseline."""
        for sensor, values in readings.raw:
            for zone in sensor.zones:
                if zone.name in values:
                    self._baseline(zone, values[zone.name], readings.boottime_us)

    def advance(self, readings: Readings, use: NodeUse) -> list[Portion]:
        """Add each zone's energy to its total; returns it by stream and interval.

        use: what the node did since the last tick.
        """
        portions: dict[tuple[Stream, int], Portion] = {}
        for sensor, values in readings.raw:
            for zone in sensor.zones:
                now = _Now(values.get(zone.name), readings.boottime_us, use)
                drawn = self._drawn(sensor, zone, now)
                if drawn is not None:
                    load = self._load(drawn.use, drawn.duration_us)
                    portion = Portion(zone.stream, drawn.use, drawn.duration_us, load)
                    portion = portions.setdefault((zone.stream, drawn.duration_us), portion)
                    portion.add(zone, drawn.energy_uj)
        for portion in portions.values():
            portion.alike = len(self._alike(portion.stream))
        return list(portions.values())

    def _drawn(self, sensor: Sensor, zone: Zone, now: _Now) -> _Drawn | None:
        """What a zone drew since its last good reading; None when that is not known now."""
        record = self._snapshot.zones.get((zone.name, zone.stream.source))
        if record is None or record.raw is None:
            if now.raw is not None:
                self._baseline(zone, now.raw, now.boottime_us)
            return None
        if now.raw is None:
            self._miss(zone, record, now)
            return None
        use = now.use if record.missed is None else merge(record.missed, now.use)
        duration_us = now.boottime_us - record.read_us
        interval = Interval(duration_us, self._expected_watts(zone, use, duration_us))
        outcome = sensor.energy(zone, record.raw, now.raw, interval)
        record.raw, record.read_us, record.missed = now.raw, now.boottime_us, None
        return self._counted(zone, record, outcome, use, duration_us)

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
                self._gap(zone, reason)
                record.power_uw = 0
                return None
            case Energy(energy_uj, estimated):
                if estimated or duration_us > _LONGEST_CERTAIN_US:
                    self._gap(zone, "estimated")
                record.total_uj += energy_uj
                record.power_uw = energy_uj * 1_000_000 // duration_us
                return _Drawn(energy_uj, duration_us, use)

    def _baseline(self, zone: Zone, raw: int, boottime_us: int) -> None:
        key = (zone.name, zone.stream.source)
        record = self._snapshot.zones.setdefault(key, ZoneRecord(zone.stream, raw, boottime_us))
        record.raw, record.read_us, record.missed = raw, boottime_us, None

    def _miss(self, zone: Zone, record: ZoneRecord, now: _Now) -> None:
        """Remember who used the node, for when the zone's energy becomes known."""
        if record.missed is None:
            self._gap(zone, "unreadable")
        record.missed = now.use if record.missed is None else merge(record.missed, now.use)
        record.power_uw = 0
        if now.boottime_us - record.read_us > _LONGEST_MISS_US:
            record.raw = record.missed = None
            self._gap(zone, "lost")

    def _gap(self, zone: Zone, reason: str) -> None:
        _log.warning("gap", extra={"zone": zone.name, "reason": reason})
        key = (zone.name, reason)
        self._snapshot.gaps[key] = self._snapshot.gaps.get(key, 0) + 1

    def _expected_watts(self, zone: Zone, use: NodeUse, duration_us: int) -> float:
        """A model's opinion, by the zone's known maximum or the highest power it has shown."""
        maximum_watts = zone.maximum_watts
        if maximum_watts is None:
            idle = self._snapshot.idle.get(zone.stream)
            alike = len(self._alike(zone.stream))
            maximum_watts = idle.highest_uw / 1e6 / alike if idle else 0.0
        return maximum_watts * share_of_maximum(self._load(use, duration_us))

    def _alike(self, stream: Stream) -> list[ZoneRecord]:
        """The zones of a stream that count now."""
        records = self._snapshot.zones.values()
        return [record for record in records if record.stream == stream and record.raw is not None]

    def _load(self, use: NodeUse, duration_us: int) -> float:
        return use.busy_us / (self._vcpus * duration_us)
