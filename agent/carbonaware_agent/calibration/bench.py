"""Measuring a machine's power at a load, by the sensors that the agent uses."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from carbonaware_agent.calibration.errors import CalibrationError
from carbonaware_agent.clock import Clock
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.model import MODELLED
from carbonaware_agent.sources.sensor import PLATFORM, WALL, Domain, Energy, Interval, Sensor

# A counter of 65 kJ wraps after 30 s at 2 kW; read every second, none can wrap unseen.
_READ_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """Power at a load.

    percent: the load that was made. load: the share of all CPUs' time that was busy, by whatever
    ran, 0 to 1. seconds: how long it was measured.
    """

    percent: float
    load: float
    watts: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Reading:
    boottime_us: int
    busy_us: int
    raw: dict[str, int]


class Bench:
    """A machine whose power can be measured at any load.

    sensors: those to read, each with the domains that are taken from it. load: makes a load of so
    many percent for the length of a `with` block. sleep: lets seconds pass.
    Raises CalibrationError: nothing measures its packages, nor all of it.
    """

    def __init__(
        self,
        clock: Clock,
        cpu_time: CpuTime,
        sensors: Mapping[Sensor, Sequence[Domain]],
        vcpus: int,
        *,
        load: Callable[[float], AbstractContextManager[object]],
        sleep: Callable[[float], object],
    ) -> None:
        self._clock = clock
        self._cpu_time = cpu_time
        self._domains = _domains_to_measure(sensors)
        self._sensors = list({id(sensor): sensor for sensor, _ in self._domains}.values())
        self._vcpus = vcpus
        self._load = load
        self._sleep = sleep

    @property
    def source(self) -> str:
        """Where the energy is read: rapl, for example."""
        return self._domains[0][1].stream.source

    @property
    def boundary(self) -> str:
        """Chip or wall."""
        return self._domains[0][1].stream.boundary

    def measure(self, percent: float, *, settle_seconds: float, seconds: float) -> Measurement:
        """Make a load, let temperature and clock rates settle, then measure.

        Raises CalibrationError: a counter could not be read.
        """
        with self._load(percent):
            self._sleep(settle_seconds)
            first = before = self._read()
            energy_uj = 0
            while (left := seconds - (before.boottime_us - first.boottime_us) / 1e6) > 0.0005:
                self._sleep(min(_READ_SECONDS, left))
                after = self._read()
                energy_uj += self._energy_uj(before, after)
                before = after
        duration_us = before.boottime_us - first.boottime_us
        load = (before.busy_us - first.busy_us) / (self._vcpus * duration_us)
        watts = energy_uj / duration_us
        return Measurement(percent, round(load, 4), round(watts, 3), round(duration_us / 1e6, 1))

    def _read(self) -> _Reading:
        boottime_us = self._clock.boottime_us()
        raw: dict[str, int] = {}
        for sensor in self._sensors:
            raw |= sensor.read()
        try:
            return _Reading(boottime_us, self._cpu_time.busy_us(), raw)
        except (OSError, ValueError) as error:
            raise CalibrationError(f"/proc/stat cannot be read: {error}") from error

    def _energy_uj(self, before: _Reading, after: _Reading) -> int:
        interval = Interval(after.boottime_us - before.boottime_us)
        total_uj = 0
        for sensor, domain in self._domains:
            if domain.name not in before.raw or domain.name not in after.raw:
                raise CalibrationError(f"the counter of {domain.name} cannot be read any more")
            outcome = sensor.energy(
                domain, before.raw[domain.name], after.raw[domain.name], interval
            )
            if not isinstance(outcome, Energy):
                raise CalibrationError(
                    f"the counter of {domain.name} was set anew ({outcome.reason})"
                )
            total_uj += outcome.microjoules
        return total_uj


def _domains_to_measure(
    sensors: Mapping[Sensor, Sequence[Domain]],
) -> list[tuple[Sensor, Domain]]:
    """The packages, or a meter of the whole machine where nothing measures them."""
    found = [(sensor, domain) for sensor, domains in sensors.items() for domain in domains]
    measured = [each for each in found if each[1].stream.source not in MODELLED]
    packages = [each for each in measured if each[1].stream.domain == "package"]
    meters = [
        each
        for each in measured
        if (each[1].stream.domain, each[1].stream.boundary) == (PLATFORM, WALL)
    ]
    if not packages and not meters:
        sources = ", ".join(sorted({domain.stream.source for _, domain in found})) or "none"
        raise CalibrationError(
            "no counter of the packages' energy can be read here, and a model cannot be "
            f"calibrated on itself (source found: {sources}); run as root on a machine that has "
            "/sys/class/powercap/intel-rapl:0/energy_uj, and not in a guest"
        )
    return packages or meters
