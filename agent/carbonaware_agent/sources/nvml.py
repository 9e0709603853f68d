"""Total energy counters of NVIDIA GPUs."""

import contextlib
from typing import Any

from carbonaware_agent.sources.sensor import CHIP, Energy, Interval, Rebaseline, Stream, Zone

_MICROJOULES_PER_MILLIJOULE = 1000


class NvmlUnavailableError(Exception):
    """There is no NVIDIA driver here, or it shows no GPU that counts its energy."""


class Nvml:
    """The GPUs of this machine that count their energy (Volta and later).

    Raises NvmlUnavailableError: there are none.
    """

    name = "nvml"

    def __init__(self) -> None:
        # Imported here because a node without a driver need not pay its 2 MB.
        import pynvml

        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NvmlUnavailableError(str(error)) from error
        self._devices = dict(self._counting_devices())
        if not self._devices:
            pynvml.nvmlShutdown()
            raise NvmlUnavailableError("no GPU counts its energy")
        self.zones = tuple(_zone(name) for name in self._devices)

    def _counting_devices(self) -> list[tuple[str, Any]]:
        devices = []
        for index in range(self._nvml.nvmlDeviceGetCount()):
            with contextlib.suppress(self._nvml.NVMLError):
                handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
                self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
                devices.append((f"gpu/{self._nvml.nvmlDeviceGetUUID(handle)}", handle))
        return devices

    def read(self) -> dict[str, int]:
        """Millijoules since the driver was loaded, by zone name; a failed read is left out."""
        values = {}
        for name, handle in self._devices.items():
            with contextlib.suppress(self._nvml.NVMLError):
                values[name] = int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        return values

    def energy(
        self, zone: Zone, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The difference; the 64-bit counter never wraps, so a fall is a reloaded driver."""
        if after < before:
            return Rebaseline("reset")
        return Energy((after - before) * _MICROJOULES_PER_MILLIJOULE)


def _zone(name: str) -> Zone:
    return Zone(name, Stream(name, "nvml_counter", CHIP))
