"""Energy of NVIDIA GPUs through the vendor's library: counters, else power that is integrated."""

import contextlib

from carbonaware_agent.sources.integration import integrated
from carbonaware_agent.sources.nvml_devices import POWER, Gpu, find_gpus
from carbonaware_agent.sources.sensor import Energy, Interval, Rebaseline, Zone

_MICROJOULES_PER_MILLIJOULE = 1000


class NvmlUnavailableError(Exception):
    """There is no NVIDIA driver here, or it shows no GPU that can be measured."""


class Nvml:
    """The GPUs of this machine. `gpus` are its cards, which others may ask more about.

    Raises NvmlUnavailableError: there are no GPUs.
    """

    name = "nvml"

    def __init__(self) -> None:
        # Imported here because a node without a driver need not pay its 4 MB.
        import pynvml

        self._nvml = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NvmlUnavailableError(str(error)) from error
        try:
            self.gpus: tuple[Gpu, ...] = tuple(find_gpus(pynvml))
        except pynvml.NVMLError as error:
            self.close()
            raise NvmlUnavailableError(str(error)) from error
        if not self.gpus:
            self.close()
            raise NvmlUnavailableError("no GPU can be measured")
        self.zones = tuple(gpu.zone for gpu in self.gpus)

    def close(self) -> None:
        """Let go of the driver, so that another `Nvml` finds it anew after it was reloaded."""
        with contextlib.suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def read(self) -> dict[str, int]:
        """Raw values by zone name; a failed read is left out."""
        values = {}
        for gpu in self.gpus:
            with contextlib.suppress(self._nvml.NVMLError):
                values[gpu.zone.name] = gpu.read()
        return values

    def energy(
        self, zone: Zone, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The difference of the counter, which falls only when the driver is reloaded.

        Its 64 bits never wrap. Power is integrated over short intervals alone.
        """
        if zone.stream.source == POWER:
            return integrated(before, after, interval)
        if after < before:
            return Rebaseline("reset")
        return Energy((after - before) * _MICROJOULES_PER_MILLIJOULE)
