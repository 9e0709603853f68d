"""The port that every source of energy keeps.

A sensor shows raw values, which the agent saves; the energy of an interval is what the sensor
makes of two of them. So an interval that spans a crash is computed like any other.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

CHIP = "chip"
WALL = "wall"
# The kind of a domain that sees the whole node; it is never added to the others.
PLATFORM = "platform"


class Stream(NamedTuple):
    """Energy of one kind and one origin; energies of different streams are never added.

    domain: package, dram, gpu/<uuid or PCI address>, other or platform. source: rapl, hwmon,
    nvml_counter, nvml_power, curve, shape or tdp. boundary: chip, or wall for figures that include
    the whole server.
    """

    domain: str
    source: str
    boundary: str


Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Domain:
    """A part of the node with a power of its own.

    name: as the node's series show it, e.g. package-0. maximum_watts: None where unknown.
    idle_watts: where it is known by construction. error_ratio: stated relative error.
    always_moves: a counter that stands still for a minute is not one. contains_processor: so that
    no package or memory may be counted beside it.
    """

    name: str
    stream: Stream
    maximum_watts: float | None = None
    idle_watts: float | None = None
    error_ratio: float | None = None
    always_moves: bool = False
    contains_processor: bool = False

    @property
    def key(self) -> Key:
        """Name and source: what a domain is counted under."""
        return self.name, self.stream.source


@dataclass(frozen=True, slots=True)
class Interval:
    """What is known about the time between two readings.

    duration_us: > 0. expected_watts: what a model says the domain drew, for counters that may have
    wrapped more than once.
    """

    duration_us: int
    expected_watts: float = 0.0


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of an interval; `estimated` when the number of wraps is not certain."""

    microjoules: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Rebaseline:
    """The two readings say nothing about the interval; the later one starts a new baseline."""

    reason: str


class Sensor(Protocol):
    """A source of energy. `name` is its collector's name."""

    name: str
    domains: tuple[Domain, ...]

    def read(self) -> dict[str, int]:
        """Raw values by domain name; a domain that could not be read is left out."""
        ...

    def energy(
        self, domain: Domain, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The energy between two raw values of a domain."""
        ...

    def close(self) -> None:
        """Give back what it holds open; it is not read again."""
        ...


class Reading(NamedTuple):
    """The raw value of a domain at one instant; None when it could not be read."""

    sensor: Sensor
    domain: Domain
    raw: int | None
