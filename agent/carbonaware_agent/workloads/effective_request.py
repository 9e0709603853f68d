"""What CPU and memory a pod reserves on its node, as the scheduler counts it."""

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
_QUANTITY = re.compile(
    r"([+-]?(?:\d{1,20}\.?\d{0,20}|\.\d{1,20}))([eE][+-]?\d{1,2}|[numkMGTPE]|[KMGTPE]i)?"
)
_SCALES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}

Amount = Callable[[str], int]


def millicores(quantity: str) -> int:
    """A Kubernetes CPU quantity in thousandths of a core, rounded up; 0 if it is none."""
    return _rounded_up(quantity, per_unit=Decimal(1000))


def kibibytes(quantity: str) -> int:
    """A Kubernetes memory quantity in KiB, rounded up; 0 if it is none."""
    return _rounded_up(quantity, per_unit=1 / Decimal(1024))


def effective_cpu_request(spec: Mapping[str, Any]) -> int:
    """A pod's CPU request in millicores."""
    return _effective_request(spec, "cpu", millicores)


def effective_memory_request(spec: Mapping[str, Any]) -> int:
    """A pod's memory request in KiB."""
    return _effective_request(spec, "memory", kibibytes)


def _effective_request(spec: Mapping[str, Any], resource: str, amount: Amount) -> int:
    """The larger of all containers together and of each initialisation step.

    Sidecars (init containers that restart) count from their start on. The overhead of the runtime
    class comes on top. A request on the pod itself takes the place of its containers'.
    """
    overhead = amount(str((spec.get("overhead") or {}).get(resource, "0")))
    whole_pod = _request(spec, resource, amount)
    if whole_pod:
        return whole_pod + overhead
    sidecars = steps = 0
    for container in spec.get("initContainers") or []:
        requested = _request(container, resource, amount)
        steps = max(steps, sidecars + requested)
        if container.get("restartPolicy") == "Always":
            sidecars += requested
    containers: Iterable[Mapping[str, Any]] = spec.get("containers") or []
    running = sidecars + sum(_request(container, resource, amount) for container in containers)
    return max(running, steps) + overhead


def _request(container: Mapping[str, Any], resource: str, amount: Amount) -> int:
    requests = (container.get("resources") or {}).get("requests") or {}
    return amount(str(requests.get(resource, "0")))


def _rounded_up(quantity: str, *, per_unit: Decimal) -> int:
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        return 0
    number, suffix = match.groups()
    scale = _SCALES.get(suffix or "")
    value = Decimal(number) * scale if scale else Decimal(number + (suffix or ""))
    return max(0, int((value * per_unit).to_integral_value(rounding="ROUND_CEILING")))
