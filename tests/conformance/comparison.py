"""Ratios of what was attributed to what is true."""

import re
from collections.abc import Iterable
from itertools import pairwise

from agent_builders import a_uid
from conformance.node import Truth
from conformance.page import GAPS, POD, Page
from conformance.replay import Cut, Outcome
from conformance.scenario import Pod

AGENT = "agent"
KEPLER, SCAPHANDRE, CEEMS = "Kepler", "Scaphandre", "CEEMS"
TOOLS = (AGENT, KEPLER, SCAPHANDRE, CEEMS)


def is_gpu(kind: str) -> bool:
    """Whether a domain kind is a GPU."""
    return kind.startswith("gpu/")


def compared(tool: str, kind: str) -> bool:
    """Whether a tool's figures for pods contain a domain kind; CEEMS divides memory by its use."""
    return not is_gpu(kind) and (tool != CEEMS or kind == "package")


def true_dynamic(truth: Truth, pods: Iterable[str], tool: str) -> float:
    """True dynamic microjoules of pods in the domains that a tool divides."""
    names = set(pods)
    return sum(
        parts.dynamic
        for (pod, kind), parts in truth.pods.items()
        if pod in names and compared(tool, kind)
    )


def level_ratios(cuts: list[Cut], tool: str) -> list[float]:
    """Attributed over true dynamic energy of all pods, from each cut to the next."""
    ratios = []
    for before, after in pairwise(cuts):
        pods = {pod for pod, _ in after.truth.pods}
        true = true_dynamic(after.truth, pods, tool) - true_dynamic(before.truth, pods, tool)
        ratios.append((_total(after, tool) - _total(before, tool)) / true)
    return ratios


def _total(cut: Cut, tool: str) -> float:
    if tool == AGENT:
        return _dynamic_on(cut.page)
    return sum(cut.peers[tool].values())


def _dynamic_on(page: Page) -> float:
    return float(page.sum(POD, component="dynamic")) * 1e6


def agent_energy(outcome: Outcome, pod: Pod, component: str, *, gpu: bool = False) -> float:
    """Microjoules that the agent attributed to a pod, on the CPU's domains or on GPUs.

    From the last value of each series, as a pod leaves the page ten minutes after its end.
    """
    uid = a_uid(outcome.scenario.pods.index(pod) + 1)
    total = 0.0
    for series, value in outcome.pod_totals.items():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
        if (labels["pod_uid"], labels["component"], is_gpu(labels["domain"])) == (
            uid,
            component,
            gpu,
        ):
            total += float(value) * 1e6
    return total


def gpu_kind(outcome: Outcome, pod: Pod) -> str:
    """The domain kind of the GPU that a pod holds."""
    assert pod.gpu is not None
    return f"gpu/{outcome.scenario.machine.gpus[pod.gpu].uuid}"


def pod_ratio(outcome: Outcome, tool: str, pods: Iterable[Pod]) -> float | None:
    """Attributed over true dynamic energy of some pods together; None where there is none."""
    pods = list(pods)
    true = true_dynamic(outcome.end.truth, (pod.name for pod in pods), tool)
    # Of pods that caused less than a joule a ratio says nothing.
    if true < 1e6:
        return None
    if tool == AGENT:
        return sum(agent_energy(outcome, pod, "dynamic") for pod in pods) / true
    return sum(outcome.end.peers[tool].get(pod.name, 0.0) for pod in pods) / true


def worst_pod(outcome: Outcome, tool: str) -> float | None:
    """The ratio of the pod whose dynamic energy is farthest from the truth."""
    ratios = [pod_ratio(outcome, tool, [pod]) for pod in outcome.scenario.pods]
    known = [ratio for ratio in ratios if ratio is not None]
    return max(known, key=lambda ratio: abs(ratio - 1), default=None)


def ended(outcome: Outcome) -> list[Pod]:
    """The pods that ended before the scenario did."""
    seconds = outcome.scenario.seconds
    return [pod for pod in outcome.scenario.pods if pod.end is not None and pod.end < seconds]


def node_ratio(outcome: Outcome, tool: str) -> float:
    """The node's energy over its true energy; CEEMS counts packages, the others memory too."""
    truth = outcome.end.truth.nodes
    kinds = [kind for kind in truth if compared(tool, kind)]
    true = sum(truth[kind] for kind in kinds)
    if tool == AGENT:
        page = outcome.end.page
        return float(sum(page.node(kind) for kind in kinds)) * 1e6 / true
    return outcome.peer_node_uj[tool] / true


def idle_ratio(outcome: Outcome) -> float | None:
    """Idle energy that the agent charged to pods over what the rule gives for exact idle power.

    On processors and memory; None where no pod is due any.
    """
    pods = outcome.end.truth.pods.items()
    true = sum(parts.idle for (_, kind), parts in pods if not is_gpu(kind))
    if true == 0:
        return None
    return sum(agent_energy(outcome, pod, "idle") for pod in outcome.scenario.pods) / true


def gaps(outcome: Outcome) -> int:
    """Intervals that the agent itself reports as unreadable, lost or only estimated."""
    return int(outcome.end.page.sum(GAPS))
