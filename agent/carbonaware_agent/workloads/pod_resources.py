"""Which pod holds which GPU device, as kubelet tells on its pod-resources socket.

The answer names pods by namespace and name, without a uid, and may still list pods that ended.
Message and field numbers: kubelet's podresources/v1 API.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from carbonaware_agent.workloads.protobuf import fields

_LIST = "/v1.PodResourcesLister/List"
_TIMEOUT_SECONDS = 5.0
# The device plugin lets resources be renamed only within its own domain.
_PLUGIN_DOMAIN = b"nvidia.com/"
_DRA_DRIVER = b"gpu.nvidia.com"
_DRA_DEVICES = b"k8s.gpu.nvidia.com/"

_PODS = 1
_NAME, _NAMESPACE, _CONTAINERS = 1, 2, 3
_DEVICES, _DYNAMIC = 2, 5
_RESOURCE_NAME, _DEVICE_IDS = 1, 2
_CLAIM_RESOURCES = 4
_CDI_DEVICES, _DRIVER, _DEVICE_NAME = 1, 2, 4
_CDI_NAME = 1


class PodResourcesError(Exception):
    """Kubelet could not be asked, or answered something else; the message says why."""


class Allocation(NamedTuple):
    """A GPU device that a pod holds. device: as its plugin or driver calls it."""

    namespace: str
    pod: str
    device: str


def list_allocations(socket: Path) -> list[Allocation]:
    """Ask kubelet. Raises PodResourcesError."""
    # Imported here because a node without GPUs need not pay for it.
    from carbonaware_agent.workloads.grpc_call import GrpcError, unary

    try:
        return parse(unary(socket, _LIST, timeout_seconds=_TIMEOUT_SECONDS))
    # ValueError: h2 does not expect headers that are no text.
    except (OSError, GrpcError, ValueError) as error:
        raise PodResourcesError(f"{socket}: {error}") from error


def parse(answer: bytes) -> list[Allocation]:
    """The NVIDIA devices in a ListPodResourcesResponse, each once for a pod.

    Raises PodResourcesError: it is not one.
    """
    try:
        found = [
            allocation
            for number, pod in fields(answer)
            if number == _PODS
            for allocation in _allocations(pod)
        ]
    except ValueError as error:
        raise PodResourcesError(f"not a list of pods: {error}") from error
    # An init container hands its devices on, so that a pod shows them twice.
    return list(dict.fromkeys(found))


def _allocations(pod: bytes) -> Iterator[Allocation]:
    parts = list(fields(pod))
    names = dict(parts)
    namespace, name = names.get(_NAMESPACE, b"").decode(), names.get(_NAME, b"").decode()
    for number, container in parts:
        if number == _CONTAINERS:
            for device in _devices(container):
                yield Allocation(namespace, name, device)


def _devices(container: bytes) -> Iterator[str]:
    for number, content in fields(container):
        if number == _DEVICES:
            yield from _of_plugin(content)
        elif number == _DYNAMIC:
            for inner, claim in fields(content):
                if inner == _CLAIM_RESOURCES:
                    yield from _of_claim(claim)


def _of_plugin(devices: bytes) -> Iterator[str]:
    parts = list(fields(devices))
    if dict(parts).get(_RESOURCE_NAME, b"").startswith(_PLUGIN_DOMAIN):
        yield from (content.decode() for number, content in parts if number == _DEVICE_IDS)


def _of_claim(claim: bytes) -> Iterator[str]:
    """A claim's device by its name; older kubelets tell only what the runtime calls it."""
    parts = list(fields(claim))
    known = dict(parts)
    if known.get(_DRIVER) == _DRA_DRIVER and _DEVICE_NAME in known:
        yield known[_DEVICE_NAME].decode()
        return
    for number, device in parts:
        name = dict(fields(device)).get(_CDI_NAME, b"") if number == _CDI_DEVICES else b""
        if name.startswith((_DRA_DEVICES, _PLUGIN_DOMAIN)):
            yield name.decode()
