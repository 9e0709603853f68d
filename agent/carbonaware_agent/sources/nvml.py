"""Energy of NVIDIA GPUs through the vendor's library: counters, else power that is integrated."""

import contextlib

from carbonaware_agent.sources.integration import integrated
from carbonaware_agent.sources.nvml_devices import POWER, Gpu, find_gpus
from carbonaware_agent.sources.sensor import Domain, Energy, Interval, Rebaseline

_MICROJOULES_PER_MILLIJOULE = 1000
# Of the library in this process: a sensor, and the one that replaces it.
_MOST_USERS = 8


class NvmlUnavailableError(Exception):
    """There is no NVIDIA driver here, or it shows no GPU that can be measured."""


class Nvml:
    """The GPUs of this machine. `gpus` are its cards, which others may ask more about.

    Raises NvmlUnavailableError: there are no GPUs.
    """

    name = "nvml"
    # The library counts its users for the whole process, so this belongs to the process as well.
    _loads = 0

    def __init__(self) -> None:
        # Imported here because a node without a driver need not pay its 4 MB.
        import pynvml

        self._nvml = pynvml
        self._load = Nvml._loads
        self.gpus: tuple[Gpu, ...] = ()
        try:
            self.gpus = self._found() or self._found_anew()
        except pynvml.NVMLError as error:
            raise NvmlUnavailableError(str(error)) from error
        if not self.gpus:
            self.close()
            raise NvmlUnavailableError("no GPU can be measured")
        self.domains = tuple(gpu.domain for gpu in self.gpus)

    def _found(self) -> tuple[Gpu, ...]:
        self._nvml.nvmlInit()
        with contextlib.suppress(self._nvml.NVMLError):
            return tuple(find_gpus(self._nvml))
        return ()

    def _found_anew(self) -> tuple[Gpu, ...]:
        """Begin the library anew, as it must be after the driver was reloaded.

        That takes the last of its users to let go, and the sensor that this one replaces is one:
        all of them are ended here, and closing a sensor of before then does nothing.
        """
        for _ in range(_MOST_USERS):
            try:
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError:
                break
        Nvml._loads += 1
        self._load = Nvml._loads
        return self._found()

    def close(self) -> None:
        """Let go of the driver."""
        if self._load == Nvml._loads:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()

    def read(self) -> dict[str, int]:
        """Raw values by domain name; a failed read is left out."""
        values = {}
        for gpu in self.gpus:
            with contextlib.suppress(self._nvml.NVMLError):
                values[gpu.domain.name] = gpu.read()
        return values

    def energy(
        self, domain: Domain, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """The difference of the counter, which falls only when the driver is reloaded.

        Its 64 bits never wrap. Power is integrated over short intervals alone.
        """
        if domain.stream.source == POWER:
            return integrated(before, after, interval)
        if after < before:
            return Rebaseline("reset")
        return Energy((after - before) * _MICROJOULES_PER_MILLIJOULE)
