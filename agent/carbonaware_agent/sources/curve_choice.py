"""Which calibration stands for this machine, and how far it may be off here."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from carbonaware_agent.host import Host, Processor
from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.curve_file import Calibration, CurveFileError, read_calibrations
from carbonaware_agent.sources.sensor import CHIP

_log = logging.getLogger(__name__)
# Half of the 12 to 17 % by which the power of six Intel Core i5-540M differed under one load (a
# study of UC San Diego, in EE Journal of 2015-12-09): a curve is measured on another unit.
_ERROR_OTHER_UNIT = 0.08
_TENTHS = [tenth / 10 for tenth in range(1, 11)]


@dataclass(frozen=True, slots=True)
class CalibratedModel:
    """A calibration, applied to this machine. share: this machine's part of the measured one."""

    curve: PowerCurve
    share: float
    boundary: str
    error_ratio: float

    @property
    def source(self) -> str:
        """Its name in the metrics."""
        return "curve"

    def watts(self, load: float) -> float:
        """Power at a load of 0 to 1."""
        return self.share * self.curve.watts(load)


def calibrated_model(host: Host, folder: Path | None) -> CalibratedModel | None:
    """The calibration for this machine, if the folder holds one; unusable files are logged.

    Raises OSError: the host's /proc cannot be read.
    """
    if folder is None:
        return None
    model = choose(_usable(folder), host.processor(), host.memory_gib())
    if model is None:
        _log.warning("no power curve is of this machine's kind", extra={"folder": str(folder)})
    return model


def choose(
    calibrations: Iterable[Calibration], processor: Processor, memory_gib: int
) -> CalibratedModel | None:
    """The best calibration for a machine.

    Bare metal: the same processor, sockets and threads, and the nearest memory. A guest: the same
    processor, of whose power it has its vCPUs' share; the sockets and the memory of its host it
    cannot know.
    """
    alike = [each for each in calibrations if each.processor == processor.name]
    if processor.guest:
        hosts = [each for each in alike if processor.vcpus <= each.threads]
        hosts.sort(key=lambda each: (each.error_ratio, each.file_name))
        return _guest_model(hosts[0], processor) if hosts else None
    twins = [each for each in alike if _twin(each, processor, memory_gib)]
    twins.sort(key=lambda each: (abs(each.memory_gib - memory_gib), each.file_name))
    return _model(twins[0], 1.0, _ERROR_OTHER_UNIT) if twins else None


def _twin(calibration: Calibration, processor: Processor, memory_gib: int) -> bool:
    """Whether a machine is of the calibrated kind.

    The chip's power hardly depends on memory; at the wall each GiB draws some 0.4 W (Cloud Carbon
    Footprint: 0.392 W per GB), so there a tenth more or less is the most.
    """
    alike = (calibration.sockets, calibration.threads) == (processor.sockets, processor.vcpus)
    near = abs(calibration.memory_gib - memory_gib) <= 0.1 * calibration.memory_gib
    return alike and (near or calibration.boundary == CHIP)


def _guest_model(host: Calibration, guest: Processor) -> CalibratedModel:
    error = _ERROR_OTHER_UNIT + _neighbours_error(host.curve)
    return _model(host, guest.vcpus / host.threads, error)


def _model(calibration: Calibration, share: float, error: float) -> CalibratedModel:
    error_ratio = round(calibration.error_ratio + error, 3)
    return CalibratedModel(calibration.curve, share, calibration.boundary, error_ratio)


def _neighbours_error(curve: PowerCurve) -> float:
    """How far a guest's power may be off because it does not know the load of its host.

    The model takes the host to be as loaded as the guest. In truth the guest causes dynamic power
    at the host's rate, which is higher on a host with little load: power rises steeply at first.
    The mean error, as other models state it, over loads of guest and host from 10 to 100 %.
    """
    idle_watts = curve.watts(0)
    rates = {load: (curve.watts(load) - idle_watts) / load for load in _TENTHS}
    errors = [
        load * abs(host_rate - rate) / curve.watts(load)
        for load, rate in rates.items()
        for host_rate in rates.values()
        # A curve may be drawn on to 0 beyond its points.
        if curve.watts(load) > 0
    ]
    return sum(errors) / len(errors)


def _usable(folder: Path) -> Iterable[Calibration]:
    try:
        found = list(read_calibrations(folder))
    except OSError as error:
        _log.error("power curves cannot be read", extra={"reason": str(error)})
        return
    for each in found:
        if isinstance(each, CurveFileError):
            _log.error("a power curve cannot be used", extra={"reason": str(each)})
        else:
            yield each
