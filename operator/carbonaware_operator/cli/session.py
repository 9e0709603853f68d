"""From the options of a command to a client of the cluster, and from its errors to exit codes."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.kube_config import list_kube_config_contexts

from carbonaware_operator.cli.errors import CommandError, UnreachableError
from carbonaware_operator.cli.options import Target
from carbonaware_operator.cluster.kube import ApiError, KubeClient, connect

T = TypeVar("T")

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 and the number of SIGINT."""

# What it ends in to read an object that lacks what every object of its kind has.
_MISSHAPEN = (LookupError, TypeError, AttributeError, ValueError, RecursionError)

_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def run(target: Target, command: Callable[[KubeClient, str], Awaitable[T]]) -> T:
    """Run a command with a client and the namespace in effect; the one edge to asyncio.

    Raises CommandError.
    """
    try:
        return asyncio.run(_connected(target, command))
    except KeyboardInterrupt as interrupt:
        raise click.exceptions.Exit(INTERRUPTED) from interrupt
    except ApiError as error:
        raise of_api(error) from error
    except _MISSHAPEN as error:
        raise of_another_shape(error) from error
    except ConfigException as error:
        raise UnreachableError(
            f"no usable kubeconfig: {error}; check --kubeconfig, --context and $KUBECONFIG"
        ) from error


async def _connected(target: Target, command: Callable[[KubeClient, str], Awaitable[T]]) -> T:
    kubeconfig = target.kubeconfig or os.environ.get("KUBECONFIG") or None
    api = await connect(target.kubeconfig, target.context)
    if target.user:
        api.set_default_header("Impersonate-User", target.user)
    try:
        namespace = target.namespace or _namespace_of(kubeconfig, target.context)
        return await command(KubeClient(api), namespace)
    finally:
        await api.close()


def _namespace_of(kubeconfig: str | None, context: str | None) -> str:
    """The context's namespace; in a pod without a kubeconfig, the pod's own."""
    try:
        contexts, current = list_kube_config_contexts(kubeconfig)
    except ConfigException:
        account = _SERVICE_ACCOUNT_NAMESPACE
        return account.read_text().strip() if account.exists() else "default"
    chosen = next((c for c in contexts if c["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")


def of_another_shape(error: Exception) -> CommandError:
    """An answer that has not the shape of Kubernetes' objects, or of ours."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return CommandError(
        f"the cluster answers what this program cannot read ({what}): update this program,"
        " or look what answers at the address of your kubeconfig"
    )


def of_api(error: ApiError) -> CommandError:
    """What an error of the API server means to a user."""
    message = " ".join(error.message.split())
    if error.status == 0:
        return UnreachableError(f"{message}; check --kubeconfig and --context")
    if error.status == 401:
        return CommandError("the cluster does not know you: log in to it again")
    if error.status == 403:
        return CommandError(f"{message}; ask the cluster's administrator for this right")
    if error.status == 404:
        return CommandError("the cluster does not know CarbonAwareJobs: install carbonaware there")
    return CommandError(message)
