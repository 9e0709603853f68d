"""RAPL energy counters of the powercap tree: packages, their memory, and psys.

Core and uncore lie inside a package and the MMIO tree repeats it: adding any of them would count
energy twice. psys sees the whole platform, so it is a domain of that kind.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carbonaware_agent.kept_file import KeptFile, beginning
from carbonaware_agent.sources.psys_trial import PSYS
from carbonaware_agent.sources.sensor import (
    CHIP,
    PLATFORM,
    Domain,
    Energy,
    Interval,
    Rebaseline,
    Stream,
)

# No package or memory domain draws this; a larger difference is a counter that was set anew.
_IMPLAUSIBLE_WATTS = 3000
# The stated error of the model that resolves how often a counter wrapped over a gap.
_EXPECTED_WATTS_ERROR = 0.45
# The kernel's counters have 64 bits.
_MOST = 2**64
_CONTROL_TYPES = ("intel-rapl", "intel-rapl-mmio")


@dataclass(frozen=True, slots=True)
class _Counter:
    """A domain's folder. range_uj: where it wraps; None where the kernel does not say."""

    domain: Domain
    folder: Path
    range_uj: int | None


class Rapl:
    """The RAPL domains of a machine that this process may read."""

    name = "rapl"

    def __init__(self, powercap: Path) -> None:
        self._ranges: dict[str, int | None] = {}
        self._files: dict[str, KeptFile] = {}
        domains = []
        for counter in _counters(powercap):
            # Since 2020 the kernel lets only root read counters (CVE-2020-8694).
            with contextlib.suppress(OSError, ValueError):
                int(beginning(counter.folder / "energy_uj"))
                self._files[counter.domain.name] = KeptFile(counter.folder / "energy_uj")
                self._ranges[counter.domain.name] = counter.range_uj
                domains.append(counter.domain)
        self.domains = tuple(domains)

    def read(self) -> dict[str, int]:
        """Counters in microjoules by domain name; a failed read is left out, never 0."""
        values = {}
        for name, file in self._files.items():
            with contextlib.suppress(OSError, ValueError):
                values[name] = self._value(name, file.read())
        return values

    def _value(self, name: str, text: bytes) -> int:
        """Raises ValueError: no counter of this range shows that."""
        value, range_uj = int(text), self._ranges[name]
        if not 0 <= value <= (range_uj or _MOST):
            raise ValueError(f"{value} is not within 0 and {range_uj}")
        return value

    def energy(
        self, domain: Domain, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The difference of two counter values, with as many wraps as the expected power needs.

        Without a range a wrap cannot be told from a counter that was set anew.
        """
        range_uj = self._ranges[domain.name]
        if range_uj is None and after < before:
            return Rebaseline("reset")
        difference = after - before if range_uj is None else (after - before) % range_uj
        if difference > _IMPLAUSIBLE_WATTS * interval.duration_us:
            return Rebaseline("implausible")
        if range_uj is None:
            return Energy(difference)
        expected_uj = interval.expected_watts * interval.duration_us
        wraps = max(0, round((expected_uj - difference) / range_uj))
        certain = _EXPECTED_WATTS_ERROR * expected_uj < range_uj / 2
        return Energy(difference + wraps * range_uj, estimated=not certain)

    def close(self) -> None:
        """Close the counters' files."""
        for file in self._files.values():
            file.close()


def thermal_design_watts(powercap: Path) -> float | None:
    """The packages' design power together; any user may read it, unlike the counters."""
    watts = [
        counter.domain.maximum_watts
        for counter in _counters(powercap)
        if counter.domain.stream.domain == "package"
    ]
    known = [value for value in watts if value]
    return sum(known) if known and len(known) == len(watts) else None


def _counters(powercap: Path) -> Iterator[_Counter]:
    """Package, memory and psys domains, each once."""
    seen: set[str] = set()
    for control_type in _CONTROL_TYPES:
        # A whole package repeats its dies: the twin may know one and the other tree the other.
        known = {_socket(name) for name in seen}
        for folder in sorted(powercap.glob(f"{control_type}:*"), key=_position):
            counter = _counter(folder)
            if counter is None or counter.domain.name in seen:
                continue
            if _socket(counter.domain.name) not in known:
                seen.add(counter.domain.name)
                yield counter


def _socket(name: str) -> str:
    return name.partition("-die-")[0]


def _position(folder: Path) -> list[int]:
    return [int(part) for part in folder.name.split(":")[1:] if part.isdigit()]


def _counter(folder: Path) -> _Counter | None:
    try:
        name = beginning(folder / "name")
        if name == "dram":
            package = beginning(folder.parent / folder.name.rpartition(":")[0] / "name")
            name = package.replace("package", "dram", 1)
    except (OSError, ValueError):
        return None
    # The file `enabled` says whether power is capped, not whether energy is counted: on machines
    # without a limit it is 0 beside a good counter.
    range_uj = _positive(folder / "max_energy_range_uj")
    if name == "psys":
        return _Counter(Domain(PLATFORM, PSYS, always_moves=True), folder, range_uj)
    kind = re.fullmatch(r"(package|dram)-\d+(?:-die-\d+)?", name)
    if kind is None:
        return None
    maximum_uw = _positive(folder / "constraint_0_max_power_uw")
    domain = Domain(
        name,
        Stream(kind[1], "rapl", CHIP),
        maximum_watts=None if maximum_uw is None else maximum_uw / 1e6,
        always_moves=True,
    )
    return _Counter(domain, folder, range_uj)


def _positive(file: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return max(0, int(beginning(file))) or None
    return None
