"""What node agents show at `/metrics`, reached with the user's own rights.

In a cluster by the API server's proxy of their pods, so that a user needs no route to a node; or
at addresses that the user gives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cluster.kube import (
    PODS,
    ApiError,
    KubeClient,
    Object,
    read_at_most,
)

# Labels that no value of the chart changes: `nameOverride` changes the label `name`.
SELECTOR = "app.kubernetes.io/part-of=carbonaware,app.kubernetes.io/component=agent"
PORT = 9102
PATH = "/metrics"
MOST_BYTES = 64 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent: its node, or its address where that is all that is known; how to read its page."""

    node: str
    read: Callable[[], Awaitable[str]]


async def agents_in(
    kube: KubeClient, operator_namespace: str, report: Callable[[str], None]
) -> list[Agent]:
    """The agents whose pods run in a namespace, one for each node; `report` is told of others.

    Raises CommandError: there is none; ApiError.
    """
    pods = [pod async for pod in kube.list(PODS, operator_namespace, selector=SELECTOR)]
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    if not running:
        raise CommandError(
            f"no agent runs in namespace {operator_namespace}; name another one with"
            " --operator-namespace, or agents with --agent-url"
        )
    return [_behind_proxy(kube, pod) for pod in _one_a_node(running, report)]


def _one_a_node(pods: Sequence[Object], report: Callable[[str], None]) -> list[Object]:
    """Of agents on the same node, as while one takes another's place, the one that is to stay."""
    by_node: dict[str, list[Object]] = {}
    for pod in pods:
        by_node.setdefault(_node(pod), []).append(pod)
    for node, (kept, *others) in ((n, sorted(p, key=_leaving)) for n, p in by_node.items()):
        by_node[node] = [kept]
        for other in (each for each in others if "deletionTimestamp" not in each["metadata"]):
            report(
                f"Two agents run on {node}, and each measures all of it:"
                f" {other['metadata']['name']} is left out, {kept['metadata']['name']} is read"
            )
    return [kept for (kept,) in by_node.values()]


def _leaving(pod: Object) -> tuple[bool, bool, str]:
    """Sorts first who stays: not being deleted, ready, and always the same one of equals."""
    conditions = pod["status"].get("conditions") or []
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    metadata = pod["metadata"]
    return "deletionTimestamp" in metadata, not ready, metadata["name"]


def _node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName") or pod["metadata"]["name"])


def agents_at(urls: Sequence[str]) -> list[Agent]:
    """The agents at these base URLs."""
    return [_at(url) for url in dict.fromkeys(url.rstrip("/") for url in urls)]


async def pages(agents: Sequence[Agent], report: Callable[[str], None]) -> dict[str, str]:
    """The page of each agent that answers, by node; `report` is told of each that does not.

    Raises CommandError: none answers.
    """
    answers = await asyncio.gather(*(_read(agent) for agent in agents))
    read = {agent.node: text for agent, text in zip(agents, answers, strict=True)}
    silent = {node: text for node, text in read.items() if isinstance(text, _Silent)}
    if len(silent) == len(read):
        reason = next(iter(silent.values())).reason
        raise CommandError(f"no agent answers: {reason}")
    for node, silence in silent.items():
        report(f"The agent of {node} does not answer, its energy is left out: {silence.reason}")
    return {node: text for node, text in read.items() if isinstance(text, str)}


@dataclass(frozen=True, slots=True)
class _Silent:
    reason: str


async def _read(agent: Agent) -> str | _Silent:
    try:
        return await agent.read()
    except ApiError as error:
        return _Silent(error.message)
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
        return _Silent(str(error) or type(error).__name__)


def _behind_proxy(kube: KubeClient, pod: Object) -> Agent:
    metadata = pod["metadata"]
    target = f"{metadata['name']}:{_port(pod)}"
    path = f"{PODS.path(metadata['namespace'], target, 'proxy')}{PATH}"

    async def read() -> str:
        return (await kube.text(path, most=MOST_BYTES)).decode()

    return Agent(_node(pod), read)


def _port(pod: Object) -> int:
    for container in pod["spec"].get("containers") or []:
        for port in container.get("ports") or []:
            if port.get("name") == "metrics":
                return int(port["containerPort"])
    return PORT


def _at(url: str) -> Agent:
    async def read() -> str:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(url + PATH, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise aiohttp.ClientError(f"{url} answers HTTP {answer.status}")
            return (await read_at_most(answer, MOST_BYTES)).decode()

    asked = urlsplit(url)
    return Agent(asked.netloc + asked.path or url, read)
