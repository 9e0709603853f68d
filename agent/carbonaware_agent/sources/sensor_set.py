"""The sensors in force: which domain is read from which, now and after one has vanished.

A domain that cannot be read for a minute is given up, and the next best sensor stands in. Each
minute the absent ones are looked for again. In the tick of a change the old sensor is read for
the last time and the new one for the first, so that nothing lies between them or is in both.
"""

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from carbonaware_agent.sources.psys_trial import PSYS, PsysTrial
from carbonaware_agent.sources.sensor import PLATFORM, Domain, Key, Reading, Sensor, Stream

_log = logging.getLogger(__name__)
# A module that is reloaded is back sooner; a RAPL counter of 65 kJ at 400 W wraps once in 160 s.
_PATIENCE_US = 60_000_000
_OF_PROCESSOR = ("package", "dram")

# Looks for a sensor; None where there is none now.
Source = Callable[[], Sensor | None]


class Seen(NamedTuple):
    """What the sensors show at one instant.

    domains: each once, but for a tick in which sensors change. platforms: meters of the whole node.
    rests: the domains that are what a platform of the same source draws beyond all `domains`.
    staying: what will be read from now on; all else was read for the last time.
    """

    domains: Sequence[Reading]
    platforms: Sequence[Reading]
    rests: Sequence[Domain]
    staying: Set[Key]

    def stays(self, domain: Domain) -> bool:
        """Whether a domain will be read from now on."""
        return domain.key in self.staying


@dataclass(slots=True)
class _Watched:
    """A domain in force. raw: its last sound value, given at `sound_us`."""

    sensor: Sensor
    domain: Domain
    raw: int | None
    sound_us: int


@dataclass(frozen=True, slots=True)
class _Lost:
    """A domain that was given up. place: of its source. raw: its last sound value."""

    place: int
    raw: int | None


class SensorSet:
    """The sensors of a machine, best first; every domain is read from exactly one of them.

    model: stands in for a package that nothing measures. error_ratios: stated relative errors of
    the domains in force, by name and source; the mapping stays the same object.
    """

    def __init__(self, measuring: Sequence[Source], model: Source, now_us: int) -> None:
        self._sources = (*measuring, model)
        self._opened: list[Sensor | None] = [None] * len(self._sources)
        self._lost: dict[Key, _Lost] = {}
        self._watched: dict[Key, _Watched] = {}
        self._rest: Domain | None = None
        self._trial = PsysTrial()
        self._looked_us = now_us
        self.error_ratios: dict[Key, float] = {}
        self._look(now_us)

    @property
    def in_force(self) -> Mapping[Sensor, Sequence[Domain]]:
        """The sensors to read, each with the domains that are taken from it."""
        found: dict[Sensor, list[Domain]] = {}
        for watched in self._watched.values():
            found.setdefault(watched.sensor, []).append(watched.domain)
        return found

    @property
    def given_up(self) -> set[str]:
        """The names of sensors none of whose domains can be read any more."""
        return {
            sensor.name
            for sensor in self._opened
            if sensor and all(domain.key in self._lost for domain in sensor.domains)
        }

    @property
    def measures_package(self) -> bool:
        """Whether anything tells what the processors draw."""
        domains = (*(watched.domain for watched in self._watched.values()), *self._rests())
        return any(
            domain.stream.domain == "package" or domain.contains_processor for domain in domains
        )

    @property
    def keys(self) -> set[Key]:
        """Name and source of all domains in force, the platform and its rest among them."""
        return {*self._watched, *(domain.key for domain in self._rests())}

    def take(self, values: Mapping[Sensor, Mapping[str, int]], now_us: int) -> Seen:
        """Judge what the sensors in force were read to show, and replace those that fail.

        values: by sensor and domain name.
        """
        lost = len(self._lost)
        readings = {
            key: Reading(watched.sensor, watched.domain, self._sound(key, values, now_us))
            for key, watched in self._watched.items()
        }
        rests = dict.fromkeys(self._rests())
        decided = self._try_psys(values, now_us)
        waited = now_us - self._looked_us >= _PATIENCE_US
        if waited or decided or len(self._lost) > lost:
            self._look(now_us)
            self._read_new(readings)
            rests |= dict.fromkeys(self._rests())
        platforms = [r for r in readings.values() if r.domain.stream.domain == PLATFORM]
        domains = [r for r in readings.values() if r.domain.stream.domain != PLATFORM]
        return Seen(domains, platforms, tuple(rests), self.keys)

    def _rests(self) -> tuple[Domain, ...]:
        return () if self._rest is None else (self._rest,)

    def _sound(
        self, key: Key, values: Mapping[Sensor, Mapping[str, int]], now_us: int
    ) -> int | None:
        """A domain's value if it may be used; gives the domain up when it failed for a minute."""
        watched = self._watched[key]
        raw = values.get(watched.sensor, {}).get(watched.domain.name)
        if raw is not None and not (watched.domain.always_moves and raw == watched.raw):
            watched.raw, watched.sound_us = raw, now_us
        elif now_us - watched.sound_us >= _PATIENCE_US:
            _log.warning("sensor given up", extra=_described(watched.domain, stuck=raw is not None))
            self._lost[key] = _Lost(self._opened.index(watched.sensor), watched.raw)
            return None
        return raw

    def _try_psys(self, values: Mapping[Sensor, Mapping[str, int]], now_us: int) -> bool:
        """Let psys show what it sees; returns whether that was decided just now."""
        if self._rest is not None or self._trial.passed is not None:
            return False
        for sensor in values:
            if any(domain.stream == PSYS for domain in sensor.domains):
                self._trial.observe(sensor, values[sensor], now_us)
        return self._trial.passed is not None

    def _read_new(self, readings: dict[Key, Reading]) -> None:
        """Read the domains that came into force just now for the first time."""
        shown: dict[Sensor, dict[str, int]] = {}
        for key, watched in self._watched.items():
            if key not in readings:
                if watched.sensor not in shown:
                    shown[watched.sensor] = watched.sensor.read()
                watched.raw = shown[watched.sensor].get(watched.domain.name)
                readings[key] = Reading(watched.sensor, watched.domain, watched.raw)

    def _look(self, now_us: int) -> None:
        """Open what is absent or has domains that were given up; then choose again."""
        self._looked_us = now_us
        lacking = {lost.place for lost in self._lost.values()}
        for place, sensor in enumerate(self._opened):
            if sensor is None or place in lacking:
                self._reopen(place, sensor)
        chosen, self._rest = self._chosen()
        watched = {}
        for domain, sensor in chosen.items():
            before = self._watched.get(domain.key)
            if before is None:
                _log.info("domain", extra=_described(domain))
                watched[domain.key] = _Watched(sensor, domain, None, now_us)
            else:
                # Its files may have been opened anew; how it did so far is kept.
                watched[domain.key] = _Watched(sensor, domain, before.raw, before.sound_us)
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
        for domain in new.domains:
            lost, raw = self._lost.get(domain.key), values.get(domain.name)
            if lost and raw is not None and not (domain.always_moves and raw == lost.raw):
                del self._lost[domain.key]
        if old is not None:
            kept = {domain.key for domain in old.domains} - self._lost.keys()
            if not kept <= {domain.key for domain in new.domains}:
                new.close()
                return
            old.close()
        self._opened[place] = new

    def _chosen(self) -> tuple[dict[Domain, Sensor], Domain | None]:
        """The domains to read, each with its sensor, and what is the rest of a platform."""
        usable = [
            (domain, sensor)
            for sensor in self._opened
            if sensor is not None
            for domain in sensor.domains
            if domain.key not in self._lost
        ]
        platform = self._platform(usable)
        # What a meter shows beyond the measured parts goes before any model of the package.
        without = None if platform is None else self._opened[-1]
        in_module = any(domain.contains_processor for domain, _ in usable)
        chosen: dict[Domain, Sensor] = {}
        for domain, sensor in usable:
            kind = domain.stream.domain
            if kind == PLATFORM or sensor is without or (in_module and kind in _OF_PROCESSOR):
                continue
            if not any(_overlap(domain, other) for other in chosen):
                chosen[domain] = sensor
        if platform is None:
            return chosen, None
        return chosen | dict([platform]), _rest(platform[0], chosen)

    def _platform(self, usable: Sequence[tuple[Domain, Sensor]]) -> tuple[Domain, Sensor] | None:
        """The meter of the whole node: of the machine if it has one, else psys if it may be."""
        meters = [found for found in usable if found[0].stream.domain == PLATFORM]
        trusted = [found for found in meters if found[0].stream != PSYS or self._trial.passed]
        return min(trusted, key=lambda found: found[0].stream == PSYS, default=None)


def _overlap(one: Domain, other: Domain) -> bool:
    """Whether both would count the same joules: `package` holds `package-0` and its dies."""
    shorter, longer = sorted((one.name, other.name), key=len)
    return longer == shorter or longer.startswith(f"{shorter}-")


def _rest(platform: Domain, measured: Mapping[Domain, Sensor]) -> Domain:
    """What is left of a platform: all but the measured parts, or the package if none of it is."""
    _, source, boundary = platform.stream
    if any(domain.stream.domain == "package" or domain.contains_processor for domain in measured):
        return Domain("other", Stream("other", source, boundary))
    return Domain("package", Stream("package", source, boundary), error_ratio=platform.error_ratio)


def _described(domain: Domain, **more: object) -> dict[str, object]:
    _, source, boundary = domain.stream
    return {"domain": domain.name, "source": source, "boundary": boundary, **more}
