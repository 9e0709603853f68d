"""Which sensors this machine can have, best first: counters, power, then a model."""

import logging
from functools import partial
from pathlib import Path

from carbonaware_agent.host import Host
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.curve_choice import calibrated_model
from carbonaware_agent.sources.hwmon import Hwmon
from carbonaware_agent.sources.model import ModelledPackage, power_model
from carbonaware_agent.sources.nvml import Nvml, NvmlUnavailableError
from carbonaware_agent.sources.rapl import Rapl, thermal_design_watts
from carbonaware_agent.sources.sensor import Sensor
from carbonaware_agent.sources.sensor_set import SensorSet

_log = logging.getLogger(__name__)


def sensors(
    host: Host, now_us: int, *, maximum_watts: float | None, curves: Path | None = None
) -> SensorSet:
    """The sensors of a machine.

    now_us: of the boot's clock. maximum_watts: the machine's maximum power at the wall, where
    somebody knows it. curves: a folder of calibrations.
    Raises OSError: the host's /proc cannot be read.
    """
    found = SensorSet(
        [partial(_rapl, host), partial(_hwmon, host), _nvml],
        model=partial(_model, host, maximum_watts, curves),
        now_us=now_us,
    )
    if not found.measures_package:
        _log.error("no power source for the package; set --max-watts to have it modelled")
    return found


def _rapl(host: Host) -> Sensor | None:
    rapl = Rapl(host.powercap)
    return rapl if rapl.domains else None


def _hwmon(host: Host) -> Sensor | None:
    hwmon = Hwmon(host.hwmon)
    return hwmon if hwmon.domains else None


def _nvml() -> Sensor | None:
    try:
        return Nvml()
    except NvmlUnavailableError as error:
        _log.debug("no GPU is measured", extra={"reason": str(error)})
        return None


def _model(host: Host, maximum_watts: float | None, curves: Path | None) -> Sensor | None:
    processor = host.processor()
    model = calibrated_model(host, curves) or power_model(
        processor,
        maximum_watts=maximum_watts,
        design_watts=thermal_design_watts(host.powercap),
    )
    if model is None:
        return None
    return ModelledPackage(model, CpuTime(host.proc), processor.vcpus)
