"""What CPU a pod reserves on its node, as the scheduler counts it."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_SUFFIXES = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}


def millicores(quantity: str) -> int:
    """A Kubernetes CPU quantity in thousandths of a core, rounded up; 0 if it is none."""
    scale = _SUFFIXES.get(quantity[-1:], Decimal(1))
    number = quantity[:-1] if scale != 1 else quantity
    try:
        value = Decimal(number) * scale * 1000
    except InvalidOperation:
        return 0
    return int(value.to_integral_value(rounding="ROUND_CEILING"))


def effective_cpu_request(spec: Mapping[str, Any]) -> int:
    """A pod's CPU request in millicores.

    The larger of all containers together and of each initialisation step, where sidecars (init
    containers that restart) count from their start on; plus the overhead of the runtime class. A
    request on the pod itself takes the place of its containers'.
    """
    overhead = millicores(str((spec.get("overhead") or {}).get("cpu", "0")))
    whole_pod = _cpu_request(spec)
    if whole_pod:
        return whole_pod + overhead
    sidecars = steps = 0
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars += _cpu_request(container)
            steps = max(steps, sidecars)
        else:
            steps = max(steps, sidecars + _cpu_request(container))
    running = sidecars + _sum(spec.get("containers") or [])
    return max(running, steps) + overhead


def _sum(containers: Iterable[Mapping[str, Any]]) -> int:
    return sum(_cpu_request(container) for container in containers)


def _cpu_request(container: Mapping[str, Any]) -> int:
    requests = (container.get("resources") or {}).get("requests") or {}
    return millicores(str(requests.get("cpu", "0")))
