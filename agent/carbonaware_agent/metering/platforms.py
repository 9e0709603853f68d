"""Meters of the whole node, and what they see beyond the measured parts of it."""

from collections.abc import Sequence, Set

from carbonaware_agent.attribution.balance import Parts
from carbonaware_agent.saved.snapshot import PlatformRecord, Snapshot
from carbonaware_agent.sources.sensor import (
    PLATFORM,
    Domain,
    Energy,
    Interval,
    Key,
    Reading,
    Rebaseline,
)


class Platforms:
    """Keeps the platforms of a snapshot in step with their meters."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._complete: dict[str, bool] = {}

    def advance(self, readings: Sequence[Reading], parts: Parts, boottime_us: int) -> list[str]:
        """Take a tick's readings; returns the reasons of gaps, for the caller to count."""
        platforms = self._snapshot.platforms
        self._complete.clear()
        gaps = []
        for reading in readings:
            stream = reading.domain.stream
            record = platforms.setdefault(stream.source, PlatformRecord(stream))
            reason = _advance(record, reading, boottime_us)
            if reason is not None:
                gaps.append(reason)
            record.balance.parts_uj += parts.energy_uj
            record.balance.broken |= parts.broken or reason is not None
            self._complete[stream.source] = parts.complete and reading.raw is not None
        return gaps

    def retire_all_but(self, staying: Set[Key]) -> None:
        """Close platforms that were read for the last time."""
        for source, record in self._snapshot.platforms.items():
            if (PLATFORM, source) not in staying:
                record.raw = None

    def complete(self, rest: Domain) -> bool:
        """Whether the rest's platform and all parts were read in this tick."""
        return self._complete[rest.stream.source]

    def begin(self, rest: Domain) -> None:
        """Begin a rest domain now, with what is owed from before."""
        self._snapshot.platforms[rest.stream.source].balance.forget()

    def energy(self, rest: Domain) -> Energy | Rebaseline:
        """The rest's energy since it was last settled, or begun."""
        record = self._snapshot.platforms[rest.stream.source]
        if record.balance.broken:
            record.balance.forget()
            return Rebaseline("unmeasured")
        platform_uj, rest_uj = record.balance.settle()
        record.total_uj += platform_uj
        return Energy(rest_uj)


def _advance(record: PlatformRecord, reading: Reading, boottime_us: int) -> str | None:
    """Take a platform's reading; returns why its energy since the last one is not known, if so."""
    if reading.raw is None:
        return None
    before, read_us = record.raw, record.read_us
    record.raw, record.read_us = reading.raw, boottime_us
    if before is None:
        return None
    duration_us = boottime_us - read_us
    interval = Interval(duration_us, record.power_uw / 1e6)
    match reading.sensor.energy(reading.domain, before, reading.raw, interval):
        case Rebaseline(reason):
            return reason
        case Energy(energy_uj):
            record.balance.platform_uj += energy_uj
            record.power_uw = energy_uj * 1_000_000 // duration_us
    return None
