"""The sensors in force: which zone is read from which, now and after one has vanished.

A zone that cannot be read for a minute is given up, and the next best sensor stands in. Each
minute the absent ones are looked for again. In the tick of a change the old sensor is read for
the last time and the new one for the first, so that nothing lies between them or is in both.
"""

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from carbonaware_agent.sources.psys_trial import PSYS, PsysTrial
from carbonaware_agent.sources.sensor import PLATFORM, Key, Reading, Sensor, Stream, Zone

_log = logging.getLogger(__name__)
# A module that is reloaded is back sooner; a RAPL counter of 65 kJ at 400 W wraps once in 160 s.
_PATIENCE_US = 60_000_000
_OF_PROCESSOR = ("package", "dram")

# Looks for a sensor; None where there is none now.
Source = Callable[[], Sensor | None]


class Seen(NamedTuple):
    """What the sensors show at one instant.

    zones: each once, but for a tick in which sensors change. platforms: meters of the whole node.
    rests: the zones that are what a platform of the same source draws beyond all `zones`.
    staying: what will be read from now on; all else was read for the last time.
    """

    zones: Sequence[Reading]
    platforms: Sequence[Reading]
    rests: Sequence[Zone]
    staying: Set[Key]

    def stays(self, zone: Zone) -> bool:
        """Whether a zone will be read from now on."""
        return zone.key in self.staying


@dataclass(slots=True)
class _Watched:
    """A zone in force. raw: its last sound value, given at `sound_us`."""

    sensor: Sensor
    zone: Zone
    raw: int | None
    sound_us: int


@dataclass(frozen=True, slots=True)
class _Lost:
    """A zone that was given up. place: of its source. raw: its last sound value."""

    place: int
    raw: int | None


class SensorSet:
    """The sensors of a machine, best first; every zone is read from exactly one of them.

    model: stands in for a package that nothing measures. error_ratios: stated relative errors of
    the zones in force, by name and source; the mapping stays the same object.
    """

    def __init__(self, measuring: Sequence[Source], model: Source, now_us: int) -> None:
        self._sources = (*measuring, model)
        self._opened: list[Sensor | None] = [None] * len(self._sources)
        self._lost: dict[Key, _Lost] = {}
        self._watched: dict[Key, _Watched] = {}
        self._rest: Zone | None = None
        self._trial = PsysTrial()
        self._looked_us = now_us
        self.error_ratios: dict[Key, float] = {}
        self._look(now_us)

    @property
    def in_force(self) -> Mapping[Sensor, Sequence[Zone]]:
        """The sensors to read, each with the zones that are taken from it."""
        found: dict[Sensor, list[Zone]] = {}
        for watched in self._watched.values():
            found.setdefault(watched.sensor, []).append(watched.zone)
        return found

    @property
    def given_up(self) -> set[str]:
        """The names of sensors none of whose zones can be read any more."""
        return {
            sensor.name
            for sensor in self._opened
            if sensor and all(zone.key in self._lost for zone in sensor.zones)
        }

    @property
    def measures_package(self) -> bool:
        """Whether anything tells what the processors draw."""
        zones = (*(watched.zone for watched in self._watched.values()), *self._rests())
        return any(zone.stream.zone == "package" or zone.contains_processor for zone in zones)

    @property
    def keys(self) -> set[Key]:
        """Name and source of all zones in force, the platform and its rest among them."""
        return {*self._watched, *(zone.key for zone in self._rests())}

    def take(self, values: Mapping[Sensor, Mapping[str, int]], now_us: int) -> Seen:
        """Judge what the sensors in force were read to show, and replace those that fail.

        values: by sensor and zone name.
        """
        lost = len(self._lost)
        readings = {
            key: Reading(watched.sensor, watched.zone, self._sound(key, values, now_us))
            for key, watched in self._watched.items()
        }
        rests = dict.fromkeys(self._rests())
        decided = self._try_psys(values, now_us)
        waited = now_us - self._looked_us >= _PATIENCE_US
        if waited or decided or len(self._lost) > lost:
            self._look(now_us)
            self._read_new(readings)
            rests |= dict.fromkeys(self._rests())
        platforms = [r for r in readings.values() if r.zone.stream.zone == PLATFORM]
        zones = [r for r in readings.values() if r.zone.stream.zone != PLATFORM]
        return Seen(zones, platforms, tuple(rests), self.keys)

    def _rests(self) -> tuple[Zone, ...]:
        return () if self._rest is None else (self._rest,)

    def _sound(
        self, key: Key, values: Mapping[Sensor, Mapping[str, int]], now_us: int
    ) -> int | None:
        """A zone's value if it may be used; gives the zone up when it failed for a minute."""
        watched = self._watched[key]
        raw = values.get(watched.sensor, {}).get(watched.zone.name)
        if raw is not None and not (watched.zone.always_moves and raw == watched.raw):
            watched.raw, watched.sound_us = raw, now_us
        elif now_us - watched.sound_us >= _PATIENCE_US:
            _log.warning("sensor given up", extra=_described(watched.zone, stuck=raw is not None))
            self._lost[key] = _Lost(self._opened.index(watched.sensor), watched.raw)
            return None
        return raw

    def _try_psys(self, values: Mapping[Sensor, Mapping[str, int]], now_us: int) -> bool:
        """Let psys show what it sees; returns whether that was decided just now."""
        if self._rest is not None or self._trial.passed is not None:
            return False
        for sensor in values:
            if any(zone.stream == PSYS for zone in sensor.zones):
                self._trial.observe(sensor, values[sensor], now_us)
        return self._trial.passed is not None

    def _read_new(self, readings: dict[Key, Reading]) -> None:
        """Read the zones that came into force just now for the first time."""
        shown: dict[Sensor, dict[str, int]] = {}
        for key, watched in self._watched.items():
            if key not in readings:
                if watched.sensor not in shown:
                    shown[watched.sensor] = watched.sensor.read()
                watched.raw = shown[watched.sensor].get(watched.zone.name)
                readings[key] = Reading(watched.sensor, watched.zone, watched.raw)

    def _look(self, now_us: int) -> None:
        """Open what is absent or has zones that were given up; then choose again."""
        self._looked_us = now_us
        lacking = {lost.place for lost in self._lost.values()}
        for place, sensor in enumerate(self._opened):
            if sensor is None or place in lacking:
                self._reopen(place, sensor)
        chosen, self._rest = self._chosen()
        watched = {}
        for zone, sensor in chosen.items():
            before = self._watched.get(zone.key)
            if before is None:
                _log.info("zone", extra=_described(zone))
                watched[zone.key] = _Watched(sensor, zone, None, now_us)
            else:
                # Its files may have been opened anew; how it did so far is kept.
                watched[zone.key] = _Watched(sensor, zone, before.raw, before.sound_us)
        # Replaced rather than changed, as other threads may be looking at it.
        self._watched = watched
        in_force = [*chosen, *self._rests()]
        self.error_ratios.clear()
        self.error_ratios.update((z.key, z.error_ratio) for z in in_force if z.error_ratio)

    def _reopen(self, place: int, old: Sensor | None) -> None:
        new = self._sources[place]()
        if new is None:
            return
        values = new.read()
        for zone in new.zones:
            lost, raw = self._lost.get(zone.key), values.get(zone.name)
            if lost and raw is not None and not (zone.always_moves and raw == lost.raw):
                del self._lost[zone.key]
        if old is not None:
            kept = {zone.key for zone in old.zones} - self._lost.keys()
            if not kept <= {zone.key for zone in new.zones}:
                new.close()
                return
            old.close()
        self._opened[place] = new

    def _chosen(self) -> tuple[dict[Zone, Sensor], Zone | None]:
        """The zones to read, each with its sensor, and what is the rest of a platform."""
        usable = [
            (zone, sensor)
            for sensor in self._opened
            if sensor is not None
            for zone in sensor.zones
            if zone.key not in self._lost
        ]
        platform = self._platform(usable)
        # What a meter shows beyond the measured parts goes before any model of the package.
        without = None if platform is None else self._opened[-1]
        in_module = any(zone.contains_processor for zone, _ in usable)
        chosen: dict[Zone, Sensor] = {}
        for zone, sensor in usable:
            kind = zone.stream.zone
            if kind == PLATFORM or sensor is without or (in_module and kind in _OF_PROCESSOR):
                continue
            if not any(_overlap(zone, other) for other in chosen):
                chosen[zone] = sensor
        if platform is None:
            return chosen, None
        return chosen | dict([platform]), _rest(platform[0], chosen)

    def _platform(self, usable: Sequence[tuple[Zone, Sensor]]) -> tuple[Zone, Sensor] | None:
        """The meter of the whole node: of the machine if it has one, else psys if it may be."""
        meters = [found for found in usable if found[0].stream.zone == PLATFORM]
        trusted = [found for found in meters if found[0].stream != PSYS or self._trial.passed]
        return min(trusted, key=lambda found: found[0].stream == PSYS, default=None)


def _overlap(one: Zone, other: Zone) -> bool:
    """Whether both would count the same joules: `package` holds `package-0` and its dies."""
    shorter, longer = sorted((one.name, other.name), key=len)
    return longer == shorter or longer.startswith(f"{shorter}-")


def _rest(platform: Zone, measured: Mapping[Zone, Sensor]) -> Zone:
    """What is left of a platform: all but the measured parts, or the package if none of it is."""
    _, source, boundary = platform.stream
    if any(zone.stream.zone == "package" or zone.contains_processor for zone in measured):
        return Zone("other", Stream("other", source, boundary))
    return Zone("package", Stream("package", source, boundary), error_ratio=platform.error_ratio)


def _described(zone: Zone, **more: object) -> dict[str, object]:
    _, source, boundary = zone.stream
    return {"zone": zone.name, "source": source, "boundary": boundary, **more}
