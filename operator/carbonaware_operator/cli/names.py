"""The names that are in a cluster or a kubeconfig, for shell completion."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from kubernetes.aio.config.kube_config import list_kube_config_contexts

from carbonaware_operator.cli.options import Target
from carbonaware_operator.cli.session import run
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, CARBON_ZONES, Kind, KubeClient

_KINDS = {
    "job": CARBON_AWARE_JOBS,
    "zone": CARBON_ZONES,
    "namespace": Kind("v1", "namespaces", namespaced=False),
}
_TARGET = ("kubeconfig", "context", "user", "namespace")


def names_of(kind: str, options: Mapping[str, Any], patience_seconds: float) -> list[str]:
    """All names of a kind. Raises CommandError; TimeoutError: the cluster takes too long."""
    target = Target(**{name: options.get(name) for name in _TARGET})
    if kind == "context":
        contexts, _ = list_kube_config_contexts(target.kubeconfig or os.environ.get("KUBECONFIG"))
        return [str(context["name"]) for context in contexts]

    async def command(kube: KubeClient, namespace: str) -> list[str]:
        async with asyncio.timeout(patience_seconds):
            found = kube.list(_KINDS[kind], namespace, only_metadata=True)
            return [str(body["metadata"]["name"]) async for body in found]

    return run(target, command)
