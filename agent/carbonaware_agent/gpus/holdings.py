"""Joins what is known of GPUs: who was given a device, what it is part of, and who was active."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from carbonaware_agent.attribution.devices import Claim, Holding, Method
from carbonaware_agent.sources.nvml_activity import Activity, Layout
from carbonaware_agent.workloads.device_ids import Card, Part, resolve
from carbonaware_agent.workloads.pod_resources import Allocation
from carbonaware_agent.workloads.pods import Pod

# Who holds a part: a pod's cgroup uid, or None for a pod that the API server did not tell of.
_Holder = str | None
PodOfProcess = Callable[[int], str | None]


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What is shown of a card beside its energy. utilization: 0 to 1; None where not told."""

    uuid: str
    model: str
    utilization: float | None


@dataclass(frozen=True, slots=True)
class GpuPicture:
    """All GPUs at one moment, by domain. unresolved: devices of pods that nobody can place."""

    holdings: Mapping[str, Holding] = field(default_factory=dict)
    facts: Mapping[str, CardFacts] = field(default_factory=dict)
    unresolved: int = 0


class Hold(NamedTuple):
    """A part of a GPU in somebody's hands; two turns of one pod on one device are two holds."""

    holder: _Holder
    part: Part


@dataclass(frozen=True, slots=True)
class Sample:
    """Who held a card at one moment, who was active on it until then, and for whom."""

    holds: frozenset[Hold] = frozenset()
    activity: Activity = field(default_factory=Activity)
    used: Mapping[_Holder, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Joined:
    """Holds by the UUID of their GPU, and devices that mean no GPU known here."""

    holds: Mapping[str, Sequence[Hold]]
    unresolved: frozenset[str]


def join(
    allocations: Iterable[Allocation],
    cards: Sequence[Card],
    pods: Mapping[tuple[str, str], Pod],
) -> Joined:
    """Find the GPU and the pod of each allocation. pods: by namespace and name.

    Kubelet may still list pods that ended; those hold nothing.
    """
    holds: dict[str, list[Hold]] = {}
    unresolved = set()
    for allocation in allocations:
        pod = pods.get((allocation.namespace, allocation.pod))
        if pod is not None and pod.ended:
            continue
        part = resolve(allocation.device, cards)
        if part is None:
            unresolved.add(allocation.device)
        else:
            holder = None if pod is None else pod.cgroup_uid
            holds.setdefault(part.gpu, []).append(Hold(holder, part))
    return Joined(holds, frozenset(unresolved))


def sole_holder(pods: Iterable[Pod], cards: Sequence[Card]) -> Mapping[str, Sequence[Hold]]:
    """Holds as far as the API server's word goes: a pod that was given as many GPUs as there are.

    Which of several GPUs a pod holds is not in the API, so nobody holds any when it has only some.
    """
    holders = [pod for pod in pods if pod.gpus and not pod.ended]
    if len(holders) != 1 or holders[0].gpus != len(cards):
        return {}
    return {gpu.uuid: [Hold(holders[0].cgroup_uid, Part(gpu.uuid))] for gpu, _ in cards}


def used(
    processes: Mapping[int, int], holds: Iterable[Hold], pod_of_process: PodOfProcess
) -> dict[_Holder, int]:
    """The use of a card by holder; None: of visible processes in no holder's cgroup.

    Processes that cannot be seen are left out: they ended, or the host's ids are hidden.
    """
    holders = {hold.holder for hold in holds}
    found = Counter[_Holder]()
    for process, percent in processes.items():
        pod = pod_of_process(process)
        if pod is not None:
            found[pod if pod in holders else None] += percent
    return found


def holding(layout: Layout, holds: Sequence[Hold], sample: Sample) -> Holding:
    """How a card's energy is divided among those who hold it.

    Who came after the sample was taken is not in it, so that until the next one parts decide.
    """
    if not holds:
        return Holding()
    seen = sample.holds.issuperset(holds)
    if layout.slices:
        return _of_partitions(layout, holds, sample, seen=seen)
    turns = Counter(hold.holder for hold in holds)
    if len(turns) == 1:
        return _holding(Method.EXCLUSIVE, dict.fromkeys(turns, 1), {}, whole=1)
    active = {pod: percent for pod, percent in sample.used.items() if pod is None or pod in turns}
    if not seen or not any(percent for pod, percent in active.items() if pod is not None):
        return _holding(Method.EQUAL, turns, {}, whole=turns.total())
    return _holding(Method.SM_UTIL, turns, active, whole=turns.total())


def _of_partitions(layout: Layout, holds: Sequence[Hold], sample: Sample, *, seen: bool) -> Holding:
    """By slices, and within a device that several take turns on by turns."""
    turns = Counter(hold.part.device for hold in holds)
    unit = math.lcm(*turns.values())
    devices = {device.uuid: device for device in layout.devices}
    instances = sample.activity.instances if seen else {}
    parts, active = Counter[_Holder](), Counter[_Holder]()
    for holder, part in holds:
        device = devices.get(part.device or "")
        slices = layout.slices if device is None else device.slices
        share = slices * unit // turns[part.device]
        parts[holder] += share
        active[holder] += share * (instances.get(device.instance, 0) if device else 0)
    # What a device did for a pod that left it since is no stranger's.
    held = {hold.part.device for hold in (*holds, *sample.holds)}
    for device in layout.devices:
        if device.uuid not in held:
            active[None] += device.slices * unit * instances.get(device.instance, 0)
    method = Method.MIG_ACTIVITY if instances else Method.MIG_SLICES
    return _holding(method, parts, active, whole=layout.slices * unit)


def _holding(
    method: Method, parts: Mapping[_Holder, int], active: Mapping[_Holder, int], *, whole: int
) -> Holding:
    claims = tuple(
        Claim(pod, count, active.get(pod, 0)) for pod, count in parts.items() if pod is not None
    )
    return Holding(method, claims, whole, parts.get(None, 0), active.get(None, 0))
