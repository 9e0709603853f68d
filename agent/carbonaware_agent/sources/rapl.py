"""RAPL energy counters of the powercap tree: packages and their memory.

Core and uncore lie inside a package, psys contains everything, and the MMIO tree repeats the
package: adding any of them would count energy twice.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from carbonaware_agent.kept_file import KeptFile
from carbonaware_agent.sources.sensor import CHIP, Energy, Interval, Rebaseline, Stream, Zone

# No package or memory zone draws this; a larger difference is a counter that was set anew.
_IMPLAUSIBLE_WATTS = 3000
# The stated error of the model that resolves how often a counter wrapped over a gap.
_EXPECTED_WATTS_ERROR = 0.45
_CONTROL_TYPES = ("intel-rapl", "intel-rapl-mmio")


@dataclass(frozen=True, slots=True)
class _Counter:
    zone: Zone
    folder: Path
    range_uj: int


class Rapl:
    """The RAPL zones of a machine that this process may read."""

    name = "rapl"

    def __init__(self, powercap: Path) -> None:
        self._ranges: dict[str, int] = {}
        self._files: dict[str, KeptFile] = {}
        zones = []
        for counter in _counters(powercap):
            # Since 2020 the kernel lets only root read counters (CVE-2020-8694).
            with contextlib.suppress(OSError, ValueError):
                file = KeptFile(counter.folder / "energy_uj")
                int(file.read())
                self._files[counter.zone.name] = file
                self._ranges[counter.zone.name] = counter.range_uj
                zones.append(counter.zone)
        self.zones = tuple(zones)

    def read(self) -> dict[str, int]:
        """Counters in microjoules by zone name; a failed read is left out, never 0."""
        values = {}
        for name, file in self._files.items():
            with contextlib.suppress(OSError, ValueError):
                values[name] = int(file.read())
        return values

    def energy(
        self, zone: Zone, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The difference of two counter values, with as many wraps as the expected power needs."""
        range_uj = self._ranges[zone.name]
        difference = (after - before) % range_uj
        expected_uj = interval.expected_watts * interval.duration_us
        wraps = max(0, round((expected_uj - difference) / range_uj))
        if difference > _IMPLAUSIBLE_WATTS * interval.duration_us:
            return Rebaseline("implausible")
        certain = _EXPECTED_WATTS_ERROR * expected_uj < range_uj / 2
        return Energy(difference + wraps * range_uj, estimated=not certain)


def thermal_design_watts(powercap: Path) -> float | None:
    """The packages' design power together; any user may read it, unlike the counters."""
    watts = [
        counter.zone.maximum_watts
        for counter in _counters(powercap)
        if counter.zone.stream.zone == "package"
    ]
    known = [value for value in watts if value]
    return sum(known) if known and len(known) == len(watts) else None


def _counters(powercap: Path) -> Iterator[_Counter]:
    """Package and memory zones, each once."""
    seen: set[str] = set()
    for control_type in _CONTROL_TYPES:
        for folder in sorted(powercap.glob(f"{control_type}:*"), key=_position):
            counter = _counter(folder)
            if counter is not None and counter.zone.name not in seen:
                seen.add(counter.zone.name)
                yield counter


def _position(folder: Path) -> list[int]:
    return [int(part) for part in folder.name.split(":")[1:] if part.isdigit()]


def _counter(folder: Path) -> _Counter | None:
    try:
        name = (folder / "name").read_text().strip()
        if name == "dram":
            package = (folder.parent / folder.name.rpartition(":")[0] / "name").read_text().strip()
            name = package.replace("package", "dram", 1)
        range_uj = int((folder / "max_energy_range_uj").read_text())
    except (OSError, ValueError):
        return None
    kind = re.fullmatch(r"(package|dram)-\d+(?:-die-\d+)?", name)
    if kind is None or range_uj <= 0:
        return None
    zone = Zone(name, Stream(kind[1], "rapl", CHIP), maximum_watts=_maximum_watts(folder))
    return _Counter(zone, folder, range_uj)


def _maximum_watts(folder: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "constraint_0_max_power_uw").read_text()) / 1e6 or None
    return None
