"""What a GPU is partitioned into, and who is active on it: slow questions, asked now and then.

A single call about MIG may take 50 to 100 ms, so none of this belongs into a tick.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from carbonaware_agent.sources.nvml_devices import Gpu


@dataclass(frozen=True, slots=True)
class MigDevice:
    """A partition that can be given to a pod.

    instance: the GPU instance that it lies in. slices: its compute slices. profile, start: the
    instance's profile and first memory slice; None where NVML does not tell.
    """

    uuid: str
    instance: int
    slices: int
    profile: int | None = None
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """What a card consists of. slices: 0 while it is not partitioned."""

    slices: int = 0
    devices: tuple[MigDevice, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """Who was active on a card of late.

    utilization: share of time in which a kernel ran, 0 to 1; None where not told. instances: busy
    multiprocessors in percent by GPU instance. processes: the same summed over samples, by the
    process id that the driver uses.
    """

    utilization: float | None = None
    instances: Mapping[int, int] = field(default_factory=dict)
    processes: Mapping[int, int] = field(default_factory=dict)


class ActivitySampler:
    """Asks NVML; what a card does not support is left out."""

    def __init__(self) -> None:
        import pynvml

        self._nvml = pynvml
        self._samples: dict[tuple[str, int], list[Any]] = {}
        self._seen_us: dict[str, int] = {}

    def layout(self, gpu: Gpu) -> Layout:
        """The partitions of a card; a card without MIG has none."""
        nvml = self._nvml
        try:
            mode, _ = nvml.nvmlDeviceGetMigMode(gpu.handle)
            if mode != nvml.NVML_DEVICE_MIG_ENABLE:
                return Layout()
            # Seven on A100 and H100, four on A30.
            slices = nvml.nvmlDeviceGetMaxMigDeviceCount(gpu.handle)
        except nvml.NVMLError:
            return Layout()
        found = (self._mig_device(gpu, index) for index in range(slices))
        return Layout(slices, tuple(device for device in found if device is not None))

    def _mig_device(self, gpu: Gpu, index: int) -> MigDevice | None:
        nvml = self._nvml
        with contextlib.suppress(nvml.NVMLError):
            handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu.handle, index)
            instance = nvml.nvmlDeviceGetGpuInstanceId(handle)
            attributes = nvml.nvmlDeviceGetAttributes(handle)
            uuid = nvml.nvmlDeviceGetUUID(handle)
            return MigDevice(
                uuid, instance, attributes.computeInstanceSliceCount, *self._place(gpu, instance)
            )
        return None

    def _place(self, gpu: Gpu, instance: int) -> tuple[int | None, int | None]:
        """Only names of resource claims need it, and some drivers tell it to the privileged."""
        nvml = self._nvml
        with contextlib.suppress(nvml.NVMLError):
            known = nvml.nvmlGpuInstanceGetInfo(
                nvml.nvmlDeviceGetGpuInstanceById(gpu.handle, instance)
            )
            return int(known.profileId), int(known.placement.start)
        return None, None

    def activity(self, gpu: Gpu, layout: Layout, shared: Collection[str]) -> Activity:
        """Who was active since the last call; shared: UUIDs of cards on which pods take turns."""
        instances = {device.instance for device in layout.devices}
        return Activity(
            self._utilization(gpu),
            self._of_instances(gpu, sorted(instances)),
            self._of_processes(gpu) if gpu.uuid in shared else {},
        )

    def _utilization(self, gpu: Gpu) -> float | None:
        with contextlib.suppress(self._nvml.NVMLError):
            return float(self._nvml.nvmlDeviceGetUtilizationRates(gpu.handle).gpu) / 100
        return None

    def _of_instances(self, gpu: Gpu, instances: Sequence[int]) -> dict[int, int]:
        """Only Hopper and later tell; all instances or none, as a part says nothing of a share."""
        nvml = self._nvml
        with contextlib.suppress(nvml.NVMLError):
            if instances and nvml.nvmlGpmQueryDeviceSupport(gpu.handle).isSupportedDevice:
                found = {n: self._of_instance(gpu, n) for n in instances}
                known = {n: percent for n, percent in found.items() if percent is not None}
                return known if len(known) == len(instances) else {}
        return {}

    def _of_instance(self, gpu: Gpu, instance: int) -> int | None:
        """Busy multiprocessors between this sample and the one before; None for the first."""
        nvml = self._nvml
        samples = self._samples.setdefault((gpu.uuid, instance), [])
        if len(samples) < 2:
            samples.append(nvml.nvmlGpmSampleAlloc())
        else:
            samples.reverse()
        nvml.nvmlGpmMigSampleGet(gpu.handle, instance, samples[-1])
        if len(samples) < 2:
            return None
        question = nvml.c_nvmlGpmMetricsGet_t()
        question.version = nvml.NVML_GPM_METRICS_GET_VERSION
        question.numMetrics = 1
        question.sample1, question.sample2 = samples
        question.metrics[0].metricId = nvml.NVML_GPM_METRIC_SM_UTIL
        answer = nvml.nvmlGpmMetricsGet(question).metrics[0]
        # An instance without work may give no number.
        return (
            round(answer.value) if answer.nvmlReturn == 0 and answer.value == answer.value else None
        )

    def _of_processes(self, gpu: Gpu) -> dict[int, int]:
        seen_us = self._seen_us.get(gpu.uuid, 0)
        active: dict[int, int] = {}
        # Without any activity the driver answers that it found nothing.
        with contextlib.suppress(self._nvml.NVMLError):
            for sample in self._nvml.nvmlDeviceGetProcessUtilization(gpu.handle, seen_us):
                active[sample.pid] = active.get(sample.pid, 0) + sample.smUtil
                self._seen_us[gpu.uuid] = max(self._seen_us.get(gpu.uuid, 0), sample.timeStamp)
        return active
