"""The formula: one domain's energy over one interval, divided among pods, system and nobody.

Dynamic energy follows CPU time. Idle energy follows the idle policy; by default the larger of
what a pod reserved and what it used, so that pods without requests do not ride for free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from carbonaware_agent.attribution.apportion import apportion


class IdlePolicy(StrEnum):
    """Who pays for energy that the node would have drawn without any work."""

    REQUESTS = "requests"
    USAGE = "usage"
    EQUAL = "equal"
    NONE = "none"


class PodUse(NamedTuple):
    """One pod over one interval. A tuple, as one is made for each pod every second.

    pod: the uid in its cgroup's name. busy_us: CPU time. reserved_us: CPU request times the time
    its cgroup existed. present_us: the time its cgroup existed.
    """

    pod: str
    busy_us: int
    reserved_us: int = 0
    present_us: int = 0


@dataclass(frozen=True, slots=True)
class NodeUse:
    """All pods of a node over one interval.

    busy_us: CPU time of everything on the node, without steal; it may be below the pods' sum,
    because the kernel counts it in ticks. allocatable_us: the CPU time that pods can reserve.
    binding: nobody can use what another reserved, as of a device; so use adds nothing to a claim.
    """

    pods: tuple[PodUse, ...]
    busy_us: int
    allocatable_us: int
    binding: bool = False


@dataclass(frozen=True, slots=True)
class Attribution:
    """Where the energy went, in microjoules. The lists are aligned with the pods of the use."""

    dynamic_uj: list[int]
    idle_uj: list[int]
    system_uj: int
    unallocated_uj: int


def attribute(
    energy_uj: int, idle_uj: int, use: NodeUse, policy: IdlePolicy = IdlePolicy.REQUESTS
) -> Attribution:
    """Divide a domain's energy; the parts sum to `energy_uj` exactly.

    idle_uj: what the domain would have drawn over the interval without work; more than the energy
    itself counts as all of it.
    """
    idle = min(energy_uj, idle_uj)
    dynamic_parts, system = _divide(
        energy_uj - idle, [pod.busy_us for pod in use.pods], use.busy_us
    )
    claims, capacity = _claims(use, policy)
    idle_parts, unallocated = _divide(idle, claims, capacity)
    return Attribution(dynamic_parts, idle_parts, system, unallocated)


def _divide(energy_uj: int, weights: Sequence[int], whole: int) -> tuple[list[int], int]:
    """The parts of each weight, and the rest that belongs to `whole` beyond their sum."""
    claimed = sum(weights)
    if energy_uj == 0 or claimed == 0:
        return [0] * len(weights), energy_uj
    parts = apportion(energy_uj, [*weights, max(0, whole - claimed)])
    rest = parts.pop()
    return parts, rest


def _claims(use: NodeUse, policy: IdlePolicy) -> tuple[list[int], int]:
    """Each pod's claim on idle energy, and the sum from which the rest is unallocated."""
    match policy:
        case IdlePolicy.REQUESTS if use.binding:
            return [pod.reserved_us for pod in use.pods], use.allocatable_us
        case IdlePolicy.REQUESTS:
            return [max(pod.reserved_us, pod.busy_us) for pod in use.pods], use.allocatable_us
        case IdlePolicy.USAGE:
            return [pod.busy_us for pod in use.pods], use.busy_us
        case IdlePolicy.EQUAL:
            return [pod.present_us for pod in use.pods], 0
        case IdlePolicy.NONE:
            return [0] * len(use.pods), 0


def merge(earlier: NodeUse, later: NodeUse) -> NodeUse:
    """The use over two adjoining intervals, for a domain that could not be read in between."""
    pods = {pod.pod: pod for pod in earlier.pods}
    for pod in later.pods:
        before = pods.get(pod.pod)
        pods[pod.pod] = pod if before is None else _added(before, pod)
    return NodeUse(
        pods=tuple(pods.values()),
        busy_us=earlier.busy_us + later.busy_us,
        allocatable_us=earlier.allocatable_us + later.allocatable_us,
        binding=earlier.binding or later.binding,
    )


def _added(one: PodUse, other: PodUse) -> PodUse:
    return PodUse(
        pod=one.pod,
        busy_us=one.busy_us + other.busy_us,
        reserved_us=one.reserved_us + other.reserved_us,
        present_us=one.present_us + other.present_us,
    )
