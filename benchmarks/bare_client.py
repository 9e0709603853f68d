"""A client of the API server that does nothing but ask: it fills clusters, and is the partner."""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Object = dict[str, Any]
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
CARBON_AWARE_JOBS = "/apis/carbonaware.io/v1alpha1/namespaces/{}/carbonawarejobs"
IN_FLIGHT = 64
_WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")


class BareClient:
    """Requests to one API server; an answer of 429 or 409 is taken as a call to ask again."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session, self._server = session, server

    async def create_all(
        self, path: str, bodies: Iterable[Object], *, in_flight: int = IN_FLIGHT
    ) -> float:
        """Create objects, so many at a time; the seconds it took."""
        left = iter(bodies)
        begun = time.monotonic()
        await asyncio.gather(*(self._create_each(path, left) for _ in range(in_flight)))
        return time.monotonic() - begun

    async def _create_each(self, path: str, bodies: Iterable[Object]) -> None:
        for body in bodies:  # the iterator is shared: each body is taken once
            text = json.dumps(body).encode()
            while not await self._created(path, text):
                pass

    async def _created(self, path: str, text: bytes) -> bool:
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._server + path, data=text, headers=headers) as answer:
            told = await answer.read()
            if answer.status == 429:
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
                return False
            if answer.status == 409:
                return b"AlreadyExists" in told
            if answer.status >= 400:
                raise RuntimeError(f"POST {path}: {answer.status} {told[:500]!r}")
            return True

    async def list(self, path: str) -> list[Object]:
        """All objects of a collection."""
        items: list[Object] = []
        token = ""
        while True:
            page = await self._page(path, token)
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items

    async def version(self, path: str) -> str:
        """The resourceVersion of a collection now."""
        page = await self._page(path, "", limit=1)
        return str(page["metadata"]["resourceVersion"])

    async def _page(self, path: str, token: str, limit: int = 500) -> Object:
        query = {"limit": str(limit)} | ({"continue": token} if token else {})
        async with self._session.get(self._server + path, params=query) as answer:
            answer.raise_for_status()
            page: Object = await answer.json()
            return page

    async def watch(self, path: str, version: str) -> AsyncIterator[Object]:
        """Each event of a collection since a resourceVersion, until nobody reads on."""
        query = {"watch": "1", "resourceVersion": version}
        unlimited = aiohttp.ClientTimeout(total=None)
        async with self._session.get(
            self._server + path, params=query, timeout=unlimited
        ) as answer:
            async for line in answer.content:
                yield json.loads(line)

    async def writes(self) -> Counter[str]:
        """Writing requests that the API server has counted so far, by resource; no dry runs."""
        async with self._session.get(self._server + "/metrics") as answer:
            text = await answer.text()
        counted: Counter[str] = Counter()
        for line in text.splitlines():
            if line.startswith("apiserver_request_total{") and 'dry_run=""' in line:
                labels, _, value = line.rpartition(" ")
                if any(f'verb="{verb}"' in labels for verb in _WRITES):
                    counted[_label(labels, "resource")] += int(float(value))
        return counted


def _label(labels: str, name: str) -> str:
    return labels.partition(f'{name}="')[2].partition('"')[0]


@asynccontextmanager
async def bare_client(kubeconfig: Path, server: str = "") -> AsyncIterator[BareClient]:
    """A client with the rights of a kubeconfig; server: another address than the one in it."""
    config = yaml.safe_load(kubeconfig.read_text())  # noqa: ASYNC240 - before anything is asked
    token = config["users"][0]["user"]["token"]
    insecure = ssl.create_default_context()  # a benchmark's own server, on loopback
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=insecure, limit=0),
        headers={"Authorization": f"Bearer {token}"},
        read_bufsize=2**22,  # an event of a watch is one line
    ) as session:
        yield BareClient(session, server or config["clusters"][0]["cluster"]["server"])
