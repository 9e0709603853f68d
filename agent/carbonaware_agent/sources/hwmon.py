"""Sensors of the kernel's hwmon class: energy counters of some chips, power of chips and servers.

Names and units are those of the kernel's documentation of its drivers `amd_energy`, `xe`, `i915`
and `power_meter`: energy in microjoules, power in microwatts.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from carbonaware_agent.kept_file import KeptFile, beginning
from carbonaware_agent.sources.integration import POWER_ERROR_RATIO, integrated
from carbonaware_agent.sources.sensor import (
    CHIP,
    PLATFORM,
    WALL,
    Domain,
    Energy,
    Interval,
    Rebaseline,
    Stream,
)

# An ACPI meter that cannot tell shows 2^32 - 1 mW (ACPI 6.5, 10.4.5), and some show 0.
_UNKNOWN_UW = (2**32 - 1) * 1000


@dataclass(frozen=True, slots=True)
class _Channel:
    """A file with a counter in microjoules, or else with power in microwatts."""

    domain: Domain
    file: Path
    counts: bool

    def value(self, text: str | bytes) -> int:
        """What the file shows. Raises ValueError: nothing that was measured."""
        value = int(text)
        if not self.counts and not 0 < value < _UNKNOWN_UW:
            raise ValueError(f"{value} microwatts were not measured")
        return value


class Hwmon:
    """The hwmon sensors of a machine that measure a domain: a counter goes before power."""

    name = "hwmon"

    def __init__(self, hwmon: Path) -> None:
        self._channels: dict[str, _Channel] = {}
        self._files: dict[str, KeptFile] = {}
        for channel in _usable(hwmon):
            with contextlib.suppress(OSError):
                self._files[channel.domain.name] = KeptFile(channel.file)
                self._channels[channel.domain.name] = channel
        self.domains = tuple(channel.domain for channel in self._channels.values())

    def read(self) -> dict[str, int]:
        """Microjoules or microwatts by domain name; a failed read is left out."""
        values = {}
        for name, file in self._files.items():
            with contextlib.suppress(OSError, ValueError):
                values[name] = self._channels[name].value(file.read())
        return values

    def energy(
        self, domain: Domain, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The counter's difference, or power integrated over a short interval.

        Drivers make 64 bits of the chips' counters, so a fall is a driver that was loaded anew.
        """
        if not self._channels[domain.name].counts:
            return integrated(before, after, interval)
        return Rebaseline("reset") if after < before else Energy(after - before)

    def close(self) -> None:
        """Close the sensors' files."""
        for file in self._files.values():
            file.close()


def _usable(hwmon: Path) -> Iterable[_Channel]:
    """The best channel of each domain among those that show a measurement."""
    found: dict[str, list[_Channel]] = {}
    for channel in _channels(hwmon):
        with contextlib.suppress(OSError, ValueError):
            channel.value(beginning(channel.file))
            found.setdefault(channel.domain.name, []).append(channel)
    # Of two meters of the node nobody says whether one contains the other.
    if len(found.get(PLATFORM, ())) > 1:
        del found[PLATFORM]
    return [max(channels, key=lambda channel: channel.counts) for channels in found.values()]


def _channels(hwmon: Path) -> Iterator[_Channel]:
    """What each device offers, in the order of their numbers."""
    for folder in sorted(hwmon.glob("hwmon*"), key=lambda path: (len(path.name), path.name)):
        match _text(folder, "name"):
            case "amd_energy":
                yield from _amd_sockets(folder)
            case "xe" | "i915":
                yield from _intel_gpu(folder)
            case "power_meter":
                channel = _power_meter(folder)
                if channel is not None:
                    yield channel


def _amd_sockets(folder: Path) -> Iterator[_Channel]:
    """Sockets; the cores beside them lie inside."""
    for label in sorted(folder.glob("energy*_label")):
        socket = re.fullmatch(r"Esocket(\d+)", _text(folder, label.name))
        if socket is not None:
            stream = Stream("package", "hwmon", CHIP)
            domain = Domain(f"package-{int(socket[1])}", stream, always_moves=True)
            yield _Channel(domain, folder / label.name.replace("_label", "_input"), counts=True)


def _intel_gpu(folder: Path) -> Iterator[_Channel]:
    """A card's counter or, on chips without one, its package's.

    Its tiles are devices of their own, such as `i915_gt0`, and lie inside.
    """
    for name in ("energy1_input", "energy2_input"):
        if (folder / name).exists():
            card = f"gpu/{(folder / 'device').resolve().name}"
            yield _Channel(Domain(card, Stream(card, "hwmon", CHIP)), folder / name, counts=True)
            return


def _power_meter(folder: Path) -> _Channel | None:
    """A rail of NVIDIA Grace if the firmware names it so, else the meter of the whole server."""
    file = _first(folder, "power1_average", "power1_input")
    if file is None or _text(folder, "power1_is_battery") == "1":
        return None
    error_ratio = POWER_ERROR_RATIO + _inaccuracy(_text(folder, "power1_accuracy"))
    rail = re.fullmatch(
        r"(\w+) power socket (\d+)", _text(folder, "power1_oem_info"), re.IGNORECASE
    )
    if rail is None:
        stream = Stream(PLATFORM, "hwmon", WALL)
        return _Channel(Domain(PLATFORM, stream, error_ratio=error_ratio), file, counts=False)
    # The cores' rail and the rest of the chip. `Grace Power` contains both and the memory, and
    # `Module Power` the GPU as well: NVIDIA Grace Performance Tuning Guide, Power Telemetry.
    name = {"cpu": "package", "sysio": "sysio"}.get(rail[1].lower())
    if name is None:
        return None
    stream = Stream("package", "hwmon", CHIP)
    domain = Domain(f"{name}-{int(rail[2])}", stream, error_ratio=error_ratio)
    return _Channel(domain, file, counts=False)


def _inaccuracy(text: str) -> float:
    """The error a meter states of itself, 0 to 1; 0 where it states none.

    The driver prints thousandths without leading zeros: `97.50%` is 97.050 %.
    """
    parts = re.fullmatch(r"(\d+)\.(\d{1,3})%", text)
    accuracy = 100.0 if parts is None else int(parts[1]) + int(parts[2]) / 1000
    return round(max(0.0, 1 - accuracy / 100), 6)


def _text(folder: Path, name: str) -> str:
    file = _first(folder, name)
    with contextlib.suppress(OSError, ValueError):
        return beginning(file) if file else ""
    return ""


def _first(folder: Path, *names: str) -> Path | None:
    """The first of some files; older drivers put theirs beside the device."""
    for name in names:
        for file in (folder / name, folder / "device" / name):
            if file.exists():
                return file
    return None
