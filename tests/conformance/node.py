"""A node that runs a scenario: what its counters show, and what is true of every pod.

True dynamic energy of a pod is its share, by CPU time, of what the node draws beyond idle in each
quarter of a second. Who causes idle power no physics can say: it goes by what a pod reserved, or
used if that was more, over each second; of memory by what it requested. On a GPU it goes by what a
pod holds: all of it, an equal part of the turns, or its slices of seven.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from conformance.scenario import Gpu, Pod, Scenario, Sharing

STEP_SECONDS = 0.25
_STEP_US = 250_000


@dataclass(slots=True)
class Parts:
    """Energy of a pod in microjoules; fractions, as truth need not be divisible."""

    dynamic: float = 0.0
    idle: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that can be read on the node at one instant; cumulative.

    counters: microjoules by RAPL domain, None where the read fails. busy_us: of all processors, in
    the ticks of /proc/stat. pods: CPU time of the pods that are there now. slices: CPU time by
    QoS slice, ended pods included. gpu_uj: by UUID. gpu_watts: what each GPU draws at this instant;
    gpu_active: what of that each pod causes.
    """

    second: float
    counters: Mapping[str, int | None]
    busy_us: int
    daemons_us: int
    pods: Mapping[str, int]
    slices: Mapping[str, int]
    gpu_uj: Mapping[str, int]
    gpu_watts: Mapping[str, float]
    gpu_active: Mapping[str, float]


@dataclass(slots=True)
class Truth:
    """What really happened so far. nodes: microjoules by domain kind. pods: by pod and domain kind.

    system: dynamic energy of the host's own processes by domain kind.
    """

    nodes: dict[str, int] = field(default_factory=dict)
    pods: dict[tuple[str, str], Parts] = field(default_factory=dict)
    system: dict[str, float] = field(default_factory=dict)

    def of(self, pod: str, domain: str) -> Parts:
        """The energy of a pod in a domain kind."""
        return self.pods.setdefault((pod, domain), Parts())


@dataclass(slots=True)
class _Claim:
    """What entitles a pod to idle energy within a second, each times the time it was there."""

    reserved_us: int = 0
    used_us: int = 0
    memory_gib_us: int = 0


class Node:
    """Runs a scenario, step by step."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.truth = Truth()
        machine = scenario.machine
        self.domains = [f"package-{socket}" for socket in range(machine.sockets)]
        if machine.dram_watts is not None:
            self.domains += [f"dram-{socket}" for socket in range(machine.sockets)]
        self._second = 0.0
        self._drawn = dict.fromkeys(self.domains, 0)
        self._gpu_drawn = {gpu.uuid: 0 for gpu in machine.gpus}
        self._used = {pod.name: 0 for pod in scenario.pods}
        self._daemons_us = 0
        self._this_second: dict[str, _Claim] = {}

    def advance(self, second: float) -> None:
        """Let time pass until a second."""
        while self._second < second:
            self._step()
            self._second += STEP_SECONDS

    def running(self) -> Iterator[Pod]:
        """The pods whose cgroup is there now."""
        return (pod for pod in self.scenario.pods if self._runs(pod))

    def begun(self, pod: Pod) -> bool:
        """Whether a pod is there or was."""
        return pod.begin <= self._second

    def reading(self) -> Reading:
        """All counters as they are now."""
        slices = {"kubepods": 0, "burstable": 0, "besteffort": 0}
        for pod in self.scenario.pods:
            for name in {"kubepods", pod.qos} & slices.keys():
                slices[name] += self._used[pod.name]
        return Reading(
            second=self._second,
            counters={
                domain: self._counter(domain)
                for domain in self.domains
                if self.scenario.knowledge.counters
            },
            # The kernel shows whole hundredths of a second.
            busy_us=(slices["kubepods"] + self._daemons_us) // 10_000 * 10_000,
            daemons_us=self._daemons_us,
            pods={pod.name: self._used[pod.name] for pod in self.running()},
            slices=slices,
            gpu_uj=dict(self._gpu_drawn),
            gpu_watts={
                gpu.uuid: gpu.idle_watts + sum(pod.gpu_watts(self._second) for pod in holders)
                for gpu, holders in self._holders()
            },
            gpu_active={
                pod.name: pod.gpu_watts(self._second)
                for _, holders in self._holders()
                for pod in holders
            },
        )

    def _runs(self, pod: Pod) -> bool:
        return pod.begin <= self._second and (pod.end is None or self._second < pod.end)

    def _counter(self, domain: str) -> int | None:
        failing = any(start <= self._second < end for start, end in self.scenario.unreadable)
        if failing and self.scenario.failing in ("", domain):
            return None
        machine = self.scenario.machine
        # Sockets were not switched on together, so they do not wrap together.
        begin_uj = machine.begin_uj + 2_000_000_000 * self.domains.index(domain)
        return (begin_uj + self._drawn[domain]) % machine.range_uj

    def _step(self) -> None:
        running = list(self.running())
        used = {pod.name: round(pod.cores(self._second) * _STEP_US) for pod in running}
        daemons_us = round(self.scenario.daemons(self._second) * _STEP_US)
        busy_us = sum(used.values()) + daemons_us
        load = busy_us / (self.scenario.machine.vcpus * _STEP_US)
        assert load <= 1, f"{self.scenario.name}: more work than processors at {self._second} s"
        for pod, used_us in used.items():
            self._used[pod] += used_us
        self._daemons_us += daemons_us
        for kind in self._kinds():
            energy_uj = self._draw(kind, load)
            idle_uj = self._watts(kind, 0.0) * _STEP_US
            self._divide_dynamic(kind, energy_uj - idle_uj, used, busy_us)
        for pod in running:
            claim = self._this_second.setdefault(pod.name, _Claim())
            claim.reserved_us += pod.request * _STEP_US // 1000
            claim.used_us += used[pod.name]
            claim.memory_gib_us += pod.memory_gib * _STEP_US
        if (self._second + STEP_SECONDS) % 1 == 0:
            self._divide_idle()
        self._step_gpus()

    def _watts(self, kind: str, load: float) -> float:
        machine = self.scenario.machine
        if kind == "package":
            return machine.maximum_watts * machine.curve.at(load)
        idle, full = machine.dram_watts or (0.0, 0.0)
        return idle + (full - idle) * load

    def _draw(self, kind: str, load: float) -> int:
        """Let the domains of a kind draw a step's energy, each socket the same."""
        domains = [domain for domain in self.domains if domain.startswith(kind)]
        part_uj = round(self._watts(kind, load) * _STEP_US / len(domains))
        for domain in domains:
            self._drawn[domain] += part_uj
        self.truth.nodes[kind] = self.truth.nodes.get(kind, 0) + part_uj * len(domains)
        return part_uj * len(domains)

    def _divide_dynamic(
        self, kind: str, dynamic_uj: float, used: Mapping[str, int], busy_us: int
    ) -> None:
        if busy_us == 0:
            return
        for pod, used_us in used.items():
            self.truth.of(pod, kind).dynamic += dynamic_uj * used_us / busy_us
        system_uj = dynamic_uj * (busy_us - sum(used.values())) / busy_us
        self.truth.system[kind] = self.truth.system.get(kind, 0.0) + system_uj

    def _divide_idle(self) -> None:
        """Divide the idle energy of the second that ends now."""
        machine = self.scenario.machine
        for kind in self._kinds():
            dram = kind == "dram"
            claims = {
                pod: claim.memory_gib_us if dram else max(claim.reserved_us, claim.used_us)
                for pod, claim in self._this_second.items()
            }
            reservable = machine.memory_gib if dram else machine.vcpus
            whole = max(reservable * 1_000_000, sum(claims.values()))
            idle_uj = self._watts(kind, 0.0) * 1_000_000
            for pod, claim in claims.items():
                self.truth.of(pod, kind).idle += idle_uj * claim / whole
        self._this_second = {}

    def _kinds(self) -> list[str]:
        return sorted({domain.partition("-")[0] for domain in self.domains})

    def _holders(self) -> list[tuple[Gpu, list[Pod]]]:
        """Each GPU with the pods that hold it now."""
        running = list(self.running())
        return [
            (gpu, [pod for pod in running if pod.gpu == index])
            for index, gpu in enumerate(self.scenario.machine.gpus)
        ]

    def _step_gpus(self) -> None:
        for gpu, holders in self._holders():
            kind = f"gpu/{gpu.uuid}"
            drawn_uj = idle_uj = round(gpu.idle_watts * _STEP_US)
            for pod in holders:
                busy_uj = round(pod.gpu_watts(self._second) * _STEP_US)
                self.truth.of(pod.name, kind).dynamic += busy_uj
                share = pod.slices / 7 if gpu.sharing == Sharing.PARTITIONS else 1 / len(holders)
                self.truth.of(pod.name, kind).idle += idle_uj * share
                drawn_uj += busy_uj
            self._gpu_drawn[gpu.uuid] += drawn_uj
            self.truth.nodes[kind] = self.truth.nodes.get(kind, 0) + drawn_uj
