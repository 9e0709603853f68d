"""One tick: find out who used what since the last one, divide the energy, count it.

A tick after a crash is a tick like any other, only longer: raw values, usage and time were saved,
so whatever passed while no agent ran is divided by the mean use over the gap.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from carbonaware_agent.attribution.apportion import apportion
from carbonaware_agent.attribution.idle import IdlePower
from carbonaware_agent.attribution.periods import crossed, weights
from carbonaware_agent.attribution.shares import Attribution, IdlePolicy, attribute
from carbonaware_agent.gpus.holdings import GpuPicture
from carbonaware_agent.metering.domains import DomainEnergy, Portion
from carbonaware_agent.metering.gpu_use import GpuUse, is_gpu
from carbonaware_agent.metering.memory_use import MemoryUse
from carbonaware_agent.metering.owners import OwnerSeries
from carbonaware_agent.metering.usage import PodUsage
from carbonaware_agent.readings import Readings
from carbonaware_agent.saved.snapshot import AttributedRecord, SeriesRecord, Snapshot
from carbonaware_agent.sources.model import supposed_maximum
from carbonaware_agent.sources.sensor import Stream
from carbonaware_agent.workloads.pods import PodDirectory


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change while the agent runs.

    idle_uw: stated for all packages together. memory_kib: of the machine; 0 if unknown.
    """

    vcpus: int
    idle_policy: IdlePolicy
    idle_uw: int | None = None
    memory_kib: int = 0


class Meter:
    """Counts a node's energy into a snapshot, tick by tick.

    gpus: who holds which GPU, as far as that is known now. memory: looks at the memory that pods
    have in use, in KiB.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        owners: OwnerSeries,
        directory: PodDirectory,
        rules: Rules,
        gpus: Callable[[], GpuPicture | None] = lambda: None,
        memory: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._snapshot = snapshot
        self._owners = owners
        self._directory = directory
        self._rules = rules
        self._usage = PodUsage(snapshot, owners, directory, rules.vcpus)
        self._domains = DomainEnergy(snapshot, rules.vcpus)
        self._gpus = GpuUse(snapshot, gpus)
        self._memory = MemoryUse(snapshot, directory, memory, rules.memory_kib)

    def begin(self, readings: Readings) -> None:
        """Take readings as a baseline, in a boot of which nothing was saved."""
        self._usage.begin(readings.cgroups)
        self._domains.begin(readings)
        self._at(readings)

    def tick(self, readings: Readings) -> None:
        """Count what was read; readings of the same instant as the last ones count nothing."""
        snapshot = self._snapshot
        duration_us = readings.boottime_us - snapshot.boottime_us
        if duration_us <= 0:
            return
        use = self._usage.advance(
            readings.cgroups,
            busy_us=max(0, readings.busy_us - snapshot.busy_us) if readings.busy_us else 0,
            duration_us=duration_us,
            boottime_us=readings.boottime_us,
        )
        own = self._gpus.advance(use, duration_us, readings.boottime_us)
        own |= self._memory.advance(use, duration_us, readings.boottime_us)
        portions = self._domains.advance(readings, use, own)
        longest_us = max([duration_us, *(portion.duration_us for portion in portions)])
        starts = crossed(
            readings.wall_us - longest_us,
            readings.wall_us,
            open_us=snapshot.open_us,
            length_us=snapshot.period_us,
        )
        self._count(portions, starts, readings.wall_us)
        self._learn_idle(portions, closing=len(starts) > 1)
        self._owners.close_absent(readings.boottime_us, readings.wall_us)
        self._usage.forget_ended(readings.boottime_us)
        self._at(readings)

    def _at(self, readings: Readings) -> None:
        snapshot = self._snapshot
        snapshot.boottime_us, snapshot.wall_us = readings.boottime_us, readings.wall_us
        if readings.busy_us is not None:
            snapshot.busy_us = readings.busy_us

    def _count(self, portions: Iterable[Portion], starts: Sequence[int], wall_us: int) -> None:
        """Add every portion to the totals of domains, pods and owners.

        starts: the accounting periods that the portions lie in.
        """
        growth: list[tuple[int, list[tuple[SeriesRecord, int]]]] = [(start, []) for start in starts]
        for portion in portions:
            idle = self._idle(portion)
            attribution = attribute(
                portion.energy_uj,
                # Domains that failed a while ago come alone, over an interval of their own.
                idle.energy_uj(portion.duration_us) * portion.domains // portion.alike,
                portion.use,
                self._rules.idle_policy,
            )
            self._count_domain(portion.stream, attribution)
            gains = self._count_pods(portion, attribution)
            if len(growth) == 1:
                growth[0][1].extend(gains)
                continue
            shares = weights(
                starts, wall_us - portion.duration_us, wall_us, self._snapshot.period_us
            )
            for series, energy_uj in gains:
                for (_, increments), part in zip(growth, apportion(energy_uj, shares), strict=True):
                    increments.append((series, part))
        self._owners.grow(growth)

    def _count_domain(self, stream: Stream, attribution: Attribution) -> None:
        record = self._snapshot.attributed.setdefault(stream.domain, AttributedRecord())
        record.dynamic_uj += sum(attribution.dynamic_uj)
        record.idle_uj += sum(attribution.idle_uj)
        record.system_uj += attribution.system_uj
        record.unallocated_uj += attribution.unallocated_uj

    def _count_pods(
        self, portion: Portion, attribution: Attribution
    ) -> Iterator[tuple[SeriesRecord, int]]:
        """Add to pods; yields what their owners, where known, gain by it."""
        pods, stream = self._snapshot.pods, portion.stream
        for use, dynamic_uj, idle_uj in zip(
            portion.use.pods, attribution.dynamic_uj, attribution.idle_uj, strict=True
        ):
            pod = pods[use.pod]
            parts = pod.energy.get(stream)
            if parts is None:
                parts = pod.energy[stream] = [0, 0]
            parts[0] += dynamic_uj
            parts[1] += idle_uj
            if pod.owner is not None and (dynamic_uj or idle_uj):
                series = self._owners.series_of(pod, pod.owner, stream)
                yield series, dynamic_uj + idle_uj

    def _idle(self, portion: Portion) -> IdlePower:
        idle = self._snapshot.idle.setdefault(portion.stream, IdlePower())
        if idle.origin == "unknown":
            self._revise(idle, portion)
        return idle

    def _learn_idle(self, portions: Iterable[Portion], *, closing: bool) -> None:
        for portion in portions:
            idle = self._snapshot.idle[portion.stream]
            if is_gpu(portion.stream):
                held = portion.use.busy_us > 0
                idle.observe_device(portion.energy_uj, portion.duration_us, held=held)
            elif portion.whole:
                idle.observe(portion.energy_uj, portion.duration_us, portion.load)
            if closing:
                self._revise(idle, portion)

    def _revise(self, idle: IdlePower, portion: Portion) -> None:
        stated = self._rules.idle_uw if portion.stream.domain == "package" else None
        fixed = portion.of_all(portion.idle_uw) if stated is None else stated
        maximum_uw = portion.of_all(portion.maximum_uw)
        if not maximum_uw:
            maximum_uw = round(supposed_maximum(idle.highest_uw, idle.highest_load_ppm / 1e6))
        idle.revise(fixed_uw=fixed, maximum_uw=maximum_uw)
