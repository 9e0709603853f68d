"""Node agents: where they are, and what they say.

An agent is found by its address: given by a flag, or as an endpoint of a Service in the operator's
namespace. Whatever one of them answers concerns it alone.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import aiohttp

from carbonaware_operator.accounting.samples import Reading, SamplesError, parse_reading
from carbonaware_operator.cluster.kube import ENDPOINT_SLICES, ApiError, KubeClient
from carbonaware_operator.quantities.instants import Instant

log = logging.getLogger(__name__)

SERVICE = "carbonaware-agent"
PORT_NAME = "metrics"
PATH = "/metrics/accounting"
SCRAPES_IN_FLIGHT = 32
MOST_BYTES = 64 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_CHUNK = 1 << 16


class ScrapeResult(StrEnum):
    """How a scrape ended; values of the metric's label `result`."""

    OK = "ok"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Scrape:
    """One agent's answer; `reading` is None unless the result is OK."""

    url: str
    result: ScrapeResult
    reading: Reading | None = None


class AgentScraper:
    """Finds agents and asks them for the energy of owners."""

    def __init__(
        self,
        kube: KubeClient,
        *,
        namespace: str,
        service: str = SERVICE,
        urls: Sequence[str] = (),
    ) -> None:
        self._kube, self._namespace, self._service = kube, namespace, service
        self._given = [url.rstrip("/") for url in urls]
        self._found: list[str] = []

    async def find(self) -> list[str]:
        """Base URLs of all agents; those found last while the API server does not tell."""
        selector = f"kubernetes.io/service-name={self._service}"
        try:
            slices = [
                piece
                async for piece in self._kube.list(
                    ENDPOINT_SLICES, self._namespace, selector=selector
                )
            ]
        except ApiError as error:
            log.warning("agents not looked up", extra={"error": error.message})
        else:
            self._found = _urls(slices)
        return list(dict.fromkeys([*self._given, *self._found]))

    async def scrape(
        self, since: Mapping[str, Instant], *, owners: AbstractSet[str], period_seconds: int
    ) -> list[Scrape]:
        """Ask agents, many at a time, and answer in any order; raises nothing.

        since: for each base URL, from when on marks are needed.
        owners: uids; the series of all others are left out.
        """
        scrapes: list[Scrape] = []
        waiting = iter(since.items())

        async def ask(session: aiohttp.ClientSession) -> None:
            for url, start in waiting:
                scrapes.append(await _scraped(session, url, start, owners, period_seconds))

        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            await asyncio.gather(*(ask(session) for _ in range(SCRAPES_IN_FLIGHT)))
        return scrapes


async def _scraped(
    session: aiohttp.ClientSession,
    url: str,
    since: Instant,
    owners: AbstractSet[str],
    period_seconds: int,
) -> Scrape:
    try:
        body = await _body(session, url, since)
        # A large answer takes seconds to parse; the lease and the probes cannot wait for it.
        reading = await asyncio.to_thread(_read, body, owners, period_seconds)
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
        malformed = isinstance(error, SamplesError)
        result = ScrapeResult.MALFORMED if malformed else ScrapeResult.UNREACHABLE
        text = str(error) or type(error).__name__
        log.warning("agent not read", extra={"url": url, "result": result.value, "error": text})
        return Scrape(url, result)
    return Scrape(url, ScrapeResult.OK, reading)


async def _body(session: aiohttp.ClientSession, url: str, since: Instant) -> bytes:
    query = {"since": str(max(0, int(since.timestamp())))}
    # An agent never redirects; following one would let it aim requests of the operator.
    async with session.get(url + PATH, params=query, allow_redirects=False) as answer:
        if answer.status != 200:
            raise aiohttp.ClientError(f"the agent answers HTTP {answer.status}")
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > MOST_BYTES:
                raise SamplesError(f"the answer must be at most {MOST_BYTES} bytes")
        return bytes(body)


def _read(body: bytes, owners: AbstractSet[str], period_seconds: int) -> Reading:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise SamplesError("the answer must be UTF-8") from error
    reading = parse_reading(text, period_seconds=period_seconds)
    mine = tuple(series for series in reading.series if series.owner_uid in owners)
    return replace(reading, series=mine)


def _urls(slices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Base URLs of the usable endpoints, one for each pod even if it has two address families."""
    urls: dict[str, str] = {}
    for piece in sorted(slices, key=lambda piece: str(piece.get("addressType"))):
        for pod, url in _endpoints(piece):
            urls.setdefault(pod, url)
    return sorted(urls.values())


def _endpoints(piece: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(uid of the pod, else the URL itself; base URL) of each usable endpoint of a slice."""
    ports = [port.get("port") for port in piece.get("ports") or [] if port.get("name") == PORT_NAME]
    for endpoint in piece.get("endpoints") or []:
        if not (ports and _usable(endpoint.get("conditions") or {})):
            continue
        address = endpoint["addresses"][0]
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{ports[0]}"
        yield (endpoint.get("targetRef") or {}).get("uid") or url, url


def _usable(conditions: Mapping[str, bool | None]) -> bool:
    """Ready, or still serving while it ends; unknown counts as ready, as Kubernetes asks for."""
    return conditions.get("ready") is not False or bool(conditions.get("serving"))
