"""All that is read for one tick, and how well each collector did."""

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TypeVar

from carbonaware_agent.clock import Clock
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.sensor import Domain, Sensor
from carbonaware_agent.sources.sensor_set import Seen, SensorSet
from carbonaware_agent.workloads.cgroups import CgroupReading, Cgroups, CgroupsUnreadableError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Readings:
    """Cumulative values of one instant.

    busy_us: of all processors since boot; None when it could not be read.
    """

    wall_us: int
    boottime_us: int
    busy_us: int | None
    seen: Seen
    cgroups: CgroupReading


@dataclass(frozen=True, slots=True)
class Collected:
    """How a collector's last run went."""

    success: bool
    duration_seconds: float = 0.0


class Reader:
    """Reads everything a tick needs. `collected` tells by collector how the last time went."""

    def __init__(
        self, clock: Clock, cpu_time: CpuTime, sensors: SensorSet, cgroups: Cgroups
    ) -> None:
        self._clock = clock
        self._cpu_time = cpu_time
        self._sensors = sensors
        self._cgroups = cgroups
        self.collected: dict[str, Collected] = {}

    def read(self) -> Readings | None:
        """One reading; None while the pods' cgroups cannot be read, as nothing can be divided."""
        wall_us, boottime_us = self._clock.wall_us(), self._clock.boottime_us()
        values = {
            sensor: self._read_sensor(sensor, domains)
            for sensor, domains in self._sensors.in_force.items()
        }
        busy_us = self._timed("cpu", self._cpu_time.busy_us)
        cgroups = self._timed("cgroups", self._cgroups.read)
        if cgroups is None:
            return None
        if cgroups.unread:
            self.collected["cgroups"] = replace(self.collected["cgroups"], success=False)
        # Only now, so that no sensor is replaced in a tick that does not count.
        seen = self._sensors.take(values, boottime_us)
        self._note_replaced({sensor.name for sensor in values})
        return Readings(wall_us, boottime_us, busy_us, seen, cgroups)

    def _read_sensor(self, sensor: Sensor, domains: Sequence[Domain]) -> Mapping[str, int]:
        begin_us = self._clock.boottime_us()
        values = sensor.read()
        complete = all(domain.name in values for domain in domains)
        self._note(sensor.name, success=complete, begin_us=begin_us)
        return values

    def _note_replaced(self, names: Set[str]) -> None:
        """Let a sensor that was given up go on as failed, and one that merely stood in vanish."""
        for name in names - {sensor.name for sensor in self._sensors.in_force}:
            if name in self._sensors.given_up:
                self.collected[name] = Collected(False)
            else:
                del self.collected[name]

    def _timed(self, name: str, read: Callable[[], _T]) -> _T | None:
        begin_us = self._clock.boottime_us()
        value: _T | None = None
        try:
            value = read()
        except (OSError, ValueError, CgroupsUnreadableError) as error:
            if self.collected.get(name, Collected(True)).success:
                _log.warning("not readable", extra={"collector": name, "reason": str(error)})
        self._note(name, success=value is not None, begin_us=begin_us)
        return value

    def _note(self, name: str, *, success: bool, begin_us: int) -> None:
        duration_us = self._clock.boottime_us() - begin_us
        self.collected[name] = Collected(success, duration_us / 1e6)
