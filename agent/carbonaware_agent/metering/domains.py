"""The energy of the node's domains: what each drew since its last good reading."""

import logging
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import partial

from carbonaware_agent.attribution.balance import Parts
from carbonaware_agent.attribution.idle import IdlePower
from carbonaware_agent.attribution.shares import NodeUse, merge
from carbonaware_agent.metering.platforms import Platforms
from carbonaware_agent.readings import Readings
from carbonaware_agent.saved.snapshot import DomainRecord, Snapshot
from carbonaware_agent.sources.model import share_of_maximum, supposed_maximum
from carbonaware_agent.sources.sensor import (
    PLATFORM,
    Domain,
    Energy,
    Interval,
    Key,
    Rebaseline,
    Stream,
)

_log = logging.getLogger(__name__)
# Over more than this the mean use stands for what happened when, so the division is an estimate.
_LONGEST_CERTAIN_US = 60 * 1_000_000


@dataclass(slots=True)
class Portion:
    """Energy of one stream over one interval, summed over the domains that were read together.

    use: who used the node meanwhile. load: 0 to 1. maximum_uw, idle_uw: of those domains together,
    in microwatts; None where not all are known. domains: how many they are, out of `alike` that the
    stream has now.
    """

    stream: Stream
    use: NodeUse
    duration_us: int
    load: float
    energy_uj: int = 0
    maximum_uw: int | None = 0
    idle_uw: int | None = 0
    domains: int = 0
    alike: int = 1

    @property
    def whole(self) -> bool:
        """Whether this is all of the stream: what is known of idle power is of all domains."""
        return self.domains == self.alike

    def of_all(self, microwatts: int | None) -> int | None:
        """A power of these domains, as one of all domains of the stream, which are alike."""
        return None if microwatts is None else microwatts * self.alike // self.domains

    def add(self, domain: Domain, energy_uj: int) -> None:
        """Add a domain that was read over the same interval."""
        self.domains += 1
        self.energy_uj += energy_uj
        self.maximum_uw = _plus(self.maximum_uw, domain.maximum_watts)
        self.idle_uw = _plus(self.idle_uw, domain.idle_watts)


def _plus(microwatts: int | None, watts: float | None) -> int | None:
    return None if microwatts is None or watts is None else microwatts + round(watts * 1e6)


@dataclass(frozen=True, slots=True)
class _Now:
    """This tick, and the use since the last: of the node, and of domains that have their own."""

    boottime_us: int
    use: NodeUse
    devices: Mapping[str, NodeUse]

    def use_of(self, domain: Domain) -> NodeUse:
        return self.devices.get(domain.stream.domain, self.use)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A domain's energy since its last good reading, and who used the node meanwhile."""

    energy_uj: int
    duration_us: int
    use: NodeUse


# Makes the energy of an interval from two raw values.
_Outcome = Callable[[int, int, Interval], Energy | Rebaseline]


class DomainEnergy:
    """Keeps the domains of a snapshot in step with their sensors."""

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
        """Add each domain's energy to its total; returns it by stream and interval.

        use: what the node did since the last tick. devices: the use of domains that have their own.
        """
        seen, now = readings.seen, _Now(readings.boottime_us, use, devices)
        drawn, parts = [], Parts()
        for sensor, domain, raw in seen.domains:
            drawn.append(
                (domain, self._drawn(domain, raw, now, partial(sensor.energy, domain), parts))
            )
        parts.complete = all(
            raw is not None for _, domain, raw in seen.domains if seen.stays(domain)
        )
        parts.broken |= self._retire_all_but({*seen.staying, *(rest.key for rest in seen.rests)})
        for reason in self._platforms.advance(seen.platforms, parts, now.boottime_us):
            self._gap(PLATFORM, reason)
        drawn += [(rest, self._rest(rest, now)) for rest in seen.rests]
        self._retire_all_but(seen.staying)
        self._platforms.retire_all_but(seen.staying)
        return self._portions(drawn)

    def _rest(self, rest: Domain, now: _Now) -> _Drawn | None:
        """What the rest of a platform drew; it waits until the platform and all parts are known."""
        record = self._snapshot.domains.get(rest.key)
        complete = self._platforms.complete(rest)
        if complete and (record is None or record.raw is None):
            self._platforms.begin(rest)
        outcome = partial(self._rest_outcome, rest)
        # A rest has no counter of its own: any constant stands for one that was read.
        return self._drawn(rest, 0 if complete else None, now, outcome, Parts())

    def _rest_outcome(self, rest: Domain, *_: object) -> Energy | Rebaseline:
        return self._platforms.energy(rest)

    def _portions(self, drawn: Iterable[tuple[Domain, _Drawn | None]]) -> list[Portion]:
        portions: dict[tuple[Stream, int], Portion] = {}
        for domain, part in drawn:
            if part is not None:
                load = self._load(part.use, part.duration_us)
                portion = Portion(domain.stream, part.use, part.duration_us, load)
                portion = portions.setdefault((domain.stream, part.duration_us), portion)
                portion.add(domain, part.energy_uj)
        for portion in portions.values():
            # In its last tick a domain is read, and then counts no more.
            portion.alike = max(portion.domains, len(self._alike(portion.stream)))
        return list(portions.values())

    def _drawn(
        self, domain: Domain, raw: int | None, now: _Now, outcome_of: _Outcome, parts: Parts
    ) -> _Drawn | None:
        """What a domain drew since its last good reading; None when that is not known now."""
        record = self._snapshot.domains.get(domain.key)
        if record is None or record.raw is None:
            if raw is not None:
                self._baseline(domain, raw, now.boottime_us)
            return None
        if raw is None:
            self._miss(domain, record, now)
            return None
        used = now.use_of(domain)
        use = used if record.missed is None else merge(record.missed, used)
        duration_us = now.boottime_us - record.read_us
        interval = Interval(duration_us, self._expected_watts(domain, use, duration_us))
        outcome = outcome_of(record.raw, raw, interval)
        record.raw, record.read_us, record.missed = raw, now.boottime_us, None
        drawn = self._counted(domain, record, outcome, use, duration_us)
        if drawn is None:
            parts.broken = True
        else:
            parts.energy_uj += drawn.energy_uj
        return drawn

    def _counted(
        self,
        domain: Domain,
        record: DomainRecord,
        outcome: Energy | Rebaseline,
        use: NodeUse,
        duration_us: int,
    ) -> _Drawn | None:
        match outcome:
            case Rebaseline(reason):
                self._gap(domain.name, reason)
                record.power_uw = 0
                return None
            case Energy(energy_uj, estimated):
                if estimated or duration_us > _LONGEST_CERTAIN_US:
                    self._gap(domain.name, "estimated")
                record.total_uj += energy_uj
                record.power_uw = energy_uj * 1_000_000 // duration_us
                return _Drawn(energy_uj, duration_us, use)

    def _baseline(self, domain: Domain, raw: int, boottime_us: int) -> None:
        record = DomainRecord(domain.stream, raw, boottime_us)
        record = self._snapshot.domains.setdefault(domain.key, record)
        record.raw, record.read_us, record.missed = raw, boottime_us, None

    def _miss(self, domain: Domain, record: DomainRecord, now: _Now) -> None:
        """Remember who used the node, for when the domain's energy becomes known."""
        if record.missed is None:
            self._gap(domain.name, "unreadable")
        used = now.use_of(domain)
        record.missed = used if record.missed is None else merge(record.missed, used)
        record.power_uw = 0

    def _retire_all_but(self, staying: Set[Key]) -> bool:
        """Close domains whose sensor was read for the last time; returns whether energy was lost.

        In that tick the one that follows was read as well, so that only a domain that could not be
        read has lost something.
        """
        lost = False
        for key, record in self._snapshot.domains.items():
            if key in staying or record.raw is None:
                continue
            if record.missed is not None:
                self._gap(key[0], "lost")
                lost = True
            record.raw = record.missed = None
            record.power_uw = 0
        return lost

    def _gap(self, name: str, reason: str) -> None:
        _log.warning("gap", extra={"domain": name, "reason": reason})
        key = (name, reason)
        self._snapshot.gaps[key] = self._snapshot.gaps.get(key, 0) + 1

    def _expected_watts(self, domain: Domain, use: NodeUse, duration_us: int) -> float:
        """A model's opinion, by the known maximum or what the highest power lets suppose."""
        maximum_watts = domain.maximum_watts
        if maximum_watts is None:
            idle = self._snapshot.idle.get(domain.stream, IdlePower())
            highest_watts = idle.highest_uw / 1e6 / max(1, len(self._alike(domain.stream)))
            maximum_watts = supposed_maximum(highest_watts, idle.highest_load_ppm / 1e6)
        return maximum_watts * share_of_maximum(self._load(use, duration_us))

    def _alike(self, stream: Stream) -> list[DomainRecord]:
        """The domains of a stream that count now."""
        records = self._snapshot.domains.values()
        return [record for record in records if record.stream == stream and record.raw is not None]

    def _load(self, use: NodeUse, duration_us: int) -> float:
        return use.busy_us / (self._vcpus * duration_us)
