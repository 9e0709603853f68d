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
from carbonaware_operator.cluster.kube import PODS, ApiError, KubeClient, Object

SELECTOR = "app.kubernetes.io/name=carbonaware,app.kubernetes.io/component=agent"
PORT = 9102
PATH = "/metrics"
_TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent: its node, or its address where that is all that is known; how to read its page."""

    node: str
    read: Callable[[], Awaitable[str]]


async def agents_in(kube: KubeClient, operator_namespace: str) -> list[Agent]:
    """The agents whose pods run in a namespace. Raises CommandError: there is none; ApiError."""
    pods = [pod async for pod in kube.list(PODS, operator_namespace, selector=SELECTOR)]
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    if not running:
        raise CommandError(
            f"no agent runs in namespace {operator_namespace}; name another one with"
            " --operator-namespace, or agents with --agent-url"
        )
    return [_behind_proxy(kube, pod) for pod in running]


def agents_at(urls: Sequence[str]) -> list[Agent]:
    """The agents at these base URLs."""
    return [_at(url.rstrip("/")) for url in urls]


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
        return (await kube.text(path)).decode()

    return Agent(pod["spec"].get("nodeName") or metadata["name"], read)


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
            return await answer.text()

    return Agent(urlsplit(url).netloc or url, read)
