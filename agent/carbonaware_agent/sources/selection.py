"""Which sensors this machine has, best first: counters, then a model for the package."""

import logging
from pathlib import Path

from carbonaware_agent.host import Host
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.curve_choice import calibrated_model
from carbonaware_agent.sources.model import ModelledPackage, power_model
from carbonaware_agent.sources.nvml import Nvml, NvmlUnavailableError
from carbonaware_agent.sources.rapl import Rapl, thermal_design_watts
from carbonaware_agent.sources.sensor import Sensor

_log = logging.getLogger(__name__)


def sensors(host: Host, *, maximum_watts: float | None, curves: Path | None = None) -> list[Sensor]:
    """The sensors to read, at most one for each zone.

    maximum_watts: the machine's maximum power at the wall, where somebody knows it. curves: a
    folder of calibrations.
    Raises OSError: the host's /proc cannot be read.
    """
    found: list[Sensor] = []
    rapl = Rapl(host.powercap)
    if rapl.zones:
        found.append(rapl)
    gpus = _gpus()
    counted = any(zone.stream.zone == "package" for zone in rapl.zones)
    # A module's figures contain its processor, and no joule may be in two zones.
    if not counted and not (gpus and gpus.contains_processor):
        processor = host.processor()
        model = calibrated_model(host, curves) or power_model(
            processor,
            maximum_watts=maximum_watts,
            design_watts=thermal_design_watts(host.powercap),
        )
        if model is None:
            _log.error("no power source for the package; set --max-watts to have it modelled")
        else:
            _log.warning("package power is modelled: no RAPL counter can be read")
            found.append(ModelledPackage(model, CpuTime(host.proc), processor.vcpus))
    if gpus:
        found.append(gpus)
    for sensor in found:
        for zone in sensor.zones:
            origin = {"source": zone.stream.source, "boundary": zone.stream.boundary}
            _log.info("zone", extra={"zone": zone.name, **origin})
    return found


def _gpus() -> Nvml | None:
    try:
        return Nvml()
    except NvmlUnavailableError as error:
        _log.info("no GPU is measured", extra={"reason": str(error)})
        return None
