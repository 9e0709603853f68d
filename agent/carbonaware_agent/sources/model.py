"""Modelled package power, where no counter can be read: a load curve times a maximum power.

Its raw value is the node's busy time, so the energy of a gap is recovered like a counter's.
"""

from dataclasses import dataclass
from typing import Protocol

from carbonaware_agent.host import Processor
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.sensor import (
    CHIP,
    WALL,
    Domain,
    Energy,
    Interval,
    Rebaseline,
    Stream,
)

# Median share of maximum power at 0, 10 .. 100 % load of servers since 2019 in the SPECpower
# results, taken at the wall.
SHAPE = (0.22, 0.35, 0.40, 0.45, 0.51, 0.56, 0.62, 0.69, 0.78, 0.89, 1.00)

# Sources that are models, not measurements.
MODELLED = frozenset({"curve", "shape", "tdp"})
_SHAPE_CURVE = PowerCurve([(tenth / 10, share) for tenth, share in enumerate(SHAPE)])

# Watts per vCPU at full load by (vendor, family, first model, last model, first stepping).
# Source: Cloud Carbon Footprint, ccf-coefficients, AWS table (Apache-2.0), from SPECpower.
_WATTS_PER_VCPU = (
    ("GenuineIntel", 6, 45, 45, 0, 8.58),  # Sandy Bridge
    ("GenuineIntel", 6, 62, 62, 0, 8.25),  # Ivy Bridge
    ("GenuineIntel", 6, 63, 63, 0, 6.01),  # Haswell
    ("GenuineIntel", 6, 79, 79, 0, 3.69),  # Broadwell
    ("GenuineIntel", 6, 85, 85, 5, 3.97),  # Cascade Lake
    ("GenuineIntel", 6, 85, 85, 0, 4.19),  # Skylake
    ("AuthenticAMD", 23, 0, 31, 0, 2.55),  # EPYC 1st generation
    ("AuthenticAMD", 23, 49, 49, 0, 1.69),  # EPYC 2nd generation
    ("AuthenticAMD", 25, 0, 1, 0, 2.02),  # EPYC 3rd generation (Azure table)
)
# Middle of 1.6 to 4.2 W, the range of the families in those tables.
_WATTS_PER_UNKNOWN_VCPU = 2.6
# Relative errors: the shape's own on servers it was not made from, design power's, and half the
# range of watts per vCPU.
_ERROR_KNOWN_MAXIMUM = 0.15
_ERROR_DESIGN_POWER = 0.45
_ERROR_VCPUS = 0.60


@dataclass(frozen=True, slots=True)
class PowerModel:
    """Maximum power of the package domain and where it comes from.

    source: shape or tdp. error_ratio: stated relative error of the energy.
    """

    maximum_watts: float
    source: str
    boundary: str
    error_ratio: float

    def watts(self, load: float) -> float:
        """Power at a load of 0 to 1."""
        return self.maximum_watts * share_of_maximum(load)


def power_model(
    processor: Processor, *, maximum_watts: float | None, design_watts: float | None
) -> PowerModel | None:
    """The best model for a machine; None on bare metal whose power nobody states.

    maximum_watts: stated power of the whole machine at the wall. design_watts: the processors'
    thermal design power, all sockets; a guest's share of it is not known, so it is ignored there.
    """
    if maximum_watts is not None:
        return PowerModel(maximum_watts, "shape", WALL, _ERROR_KNOWN_MAXIMUM)
    if processor.guest:
        watts = processor.vcpus * watts_per_vcpu(processor)
        return PowerModel(watts, "shape", WALL, _ERROR_VCPUS)
    if design_watts is not None:
        return PowerModel(design_watts, "tdp", CHIP, _ERROR_DESIGN_POWER)
    return None


def watts_per_vcpu(processor: Processor) -> float:
    """Power of one vCPU at full load, by the processor's family, in watts."""
    for vendor, family, first, last, stepping, watts in _WATTS_PER_VCPU:
        if (
            (vendor, family) == (processor.vendor, processor.family)
            and first <= processor.model <= last
            and processor.stepping >= stepping
        ):
            return watts
    return _WATTS_PER_UNKNOWN_VCPU


def share_of_maximum(load: float) -> float:
    """Power over maximum power at a load of 0 to 1, by the median shape."""
    return _SHAPE_CURVE.watts(load)


def supposed_maximum(power: float, load: float) -> float:
    """Maximum power, in the unit of a power that was drawn at a load of 0 to 1.

    For machines that tell no maximum, and were perhaps never seen at full load.
    """
    return power / share_of_maximum(load)


class LoadModel(Protocol):
    """Power of the package domain by load, and where it comes from."""

    @property
    def source(self) -> str:
        """Its name in the metrics: curve, shape or tdp."""
        ...

    @property
    def boundary(self) -> str:
        """Chip or wall."""
        ...

    @property
    def error_ratio(self) -> float:
        """Stated relative error of the energy."""
        ...

    def watts(self, load: float) -> float:
        """Power at a load of 0 to 1."""
        ...


class ModelledPackage:
    """The package domain of a machine whose power is modelled."""

    name = "model"

    def __init__(self, model: LoadModel, cpu_time: CpuTime, vcpus: int) -> None:
        self._model = model
        self._vcpus = vcpus
        self._cpu_time = cpu_time
        self.domains: tuple[Domain, ...] = (
            Domain(
                "package",
                Stream("package", model.source, model.boundary),
                maximum_watts=model.watts(1),
                idle_watts=model.watts(0),
                error_ratio=model.error_ratio,
            ),
        )

    def read(self) -> dict[str, int]:
        """Busy microseconds since boot; nothing when /proc/stat cannot be read."""
        try:
            return {"package": self._cpu_time.busy_us()}
        except (OSError, ValueError):
            return {}

    def energy(
        self, domain: Domain, before: int, after: int, interval: Interval
    ) -> Energy | Rebaseline:
        """Power at the mean load between the readings, times the duration."""
        load = (after - before) / (self._vcpus * interval.duration_us)
        return Energy(round(self._model.watts(load) * interval.duration_us))

    def close(self) -> None:
        """Close /proc/stat."""
        self._cpu_time.close()
