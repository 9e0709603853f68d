"""The cards of the NVIDIA driver, and the best that each can tell of its energy."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from carbonaware_agent.sources.integration import POWER_ERROR_RATIO
from carbonaware_agent.sources.sensor import CHIP, Domain, Stream

_log = logging.getLogger(__name__)
COUNTER = "nvml_counter"
POWER = "nvml_power"
# NVML states power in milliwatts and energy in millijoules.
_MICRO_PER_MILLI = 1000


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card that can be measured.

    handle: NVML's. minor: of its device file /dev/nvidia<minor>; None where NVML does not say.
    read: millijoules since the driver was loaded, or microwatts now; raises NVMLError.
    """

    uuid: str
    model: str
    minor: int | None
    handle: Any
    domain: Domain
    read: Callable[[], int] = field(compare=False)


def find_gpus(nvml: Any) -> Iterator[Gpu]:
    """Every card that answers, once. Raises NVMLError: the driver does not.

    nvml: the binding, initialised.
    """
    seen: set[str] = set()
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid = nvml.nvmlDeviceGetUUID(handle)
            gpu = _gpu(nvml, handle, uuid) if uuid and uuid not in seen else None
        except nvml.NVMLError as error:
            # One card that fell off its bus must not hide the others.
            _log.warning("a GPU cannot be read", extra={"index": index, "reason": str(error)})
            continue
        if gpu is not None:
            seen.add(uuid)
            yield gpu


def _gpu(nvml: Any, handle: Any, uuid: str) -> Gpu | None:
    power_field = _power_field(nvml, handle)
    source, read = COUNTER, _counter(nvml, handle)
    if read is None:
        source, read = POWER, _power(nvml, handle, power_field)
    if read is None:
        _log.warning("a GPU tells neither energy nor power", extra={"gpu": uuid})
        return None
    name = f"gpu/{uuid}"
    limit_mw = _known(nvml, nvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)
    return Gpu(
        uuid,
        str(_known(nvml, nvml.nvmlDeviceGetName, handle) or ""),
        _known(nvml, nvml.nvmlDeviceGetMinorNumber, handle),
        handle,
        Domain(
            name,
            Stream(name, source, CHIP),
            maximum_watts=limit_mw / 1000 if limit_mw else None,
            error_ratio=POWER_ERROR_RATIO if source == POWER else None,
            # Grace Hopper refuses the scope of the GPU alone, and its counter is the module's too.
            contains_processor=power_field is not None
            and power_field[1] == nvml.NVML_POWER_SCOPE_MODULE,
        ),
        read,
    )


def _counter(nvml: Any, handle: Any) -> Callable[[], int] | None:
    """Volta and later count their energy."""

    def read() -> int:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))

    return read if _known(nvml, read) is not None else None


def _power(nvml: Any, handle: Any, power_field: tuple[int, int] | None) -> Callable[[], int] | None:
    """The field if there is one, else the older call, which shows a mean since Ampere."""

    def read() -> int:
        if power_field is None:
            return int(nvml.nvmlDeviceGetPowerUsage(handle)) * _MICRO_PER_MILLI
        return _field(nvml, handle, power_field) * _MICRO_PER_MILLI

    return read if _known(nvml, read) is not None else None


def _power_field(nvml: Any, handle: Any) -> tuple[int, int] | None:
    """The best power field and scope that a card supports: the GPU's own before its module's."""
    for scope in (nvml.NVML_POWER_SCOPE_GPU, nvml.NVML_POWER_SCOPE_MODULE):
        for number in (nvml.NVML_FI_DEV_POWER_INSTANT, nvml.NVML_FI_DEV_POWER_AVERAGE):
            if _known(nvml, _field, nvml, handle, (number, scope)) is not None:
                return number, scope
    return None


def _field(nvml: Any, handle: Any, number_and_scope: tuple[int, int]) -> int:
    value = nvml.nvmlDeviceGetFieldValues(handle, [number_and_scope])[0]
    if value.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(value.nvmlReturn)
    return int(value.value.uiVal)


def _known(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns; None where the card does not support it."""
    with contextlib.suppress(nvml.NVMLError):
        return call(*arguments)
    return None
