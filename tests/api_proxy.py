"""A reverse proxy on loopback before the real API server, in which a test makes faults happen."""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import aiohttp
from aiohttp import web

from testbed.cluster import Cluster

Hook = Callable[[str, str], bool]
"""Called with method and path after the API server answered; true drops the answer."""


@dataclass(frozen=True)
class Asked:
    """One request; `name` is that of the object, in the path or in what is to be created."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    name: str


@dataclass(frozen=True)
class Refusal:
    """An answer in place of the API server's, which is not asked."""

    status: int
    reason: str
    message: str
    retry_after: int | None = None


class Broken(Enum):
    """What becomes of an answer that the API server gives: the request has had its effect."""

    TIME_OUT = "never comes"
    CUT = "connection ends"


Fault = Refusal | Broken
Disturb = Callable[[Asked], Fault | None]
"""Asked of every request but watches; None lets it through."""


class ApiProxy:
    """Runs in a thread of its own; passes everything on except for what the test disturbs.

    `done` are the writes, dry runs too, that the API server has carried out.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.after_answer: Hook = lambda _method, _path: False
        self.disturb: Disturb = lambda _asked: None
        self.done: list[Asked] = []
        self.watches_broken = threading.Event()
        self.gone_answers = 0
        self._server = cluster.server
        self._watches: set[asyncio.Task[Any]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.url = ""

    def __enter__(self) -> "ApiProxy":
        """Start serving."""
        self._thread.start()
        assert self._ready.wait(10), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def break_watches(self) -> None:
        """Cut every watch, and let none through until they are mended."""
        self.watches_broken.set()
        self._loop.call_soon_threadsafe(self._cut)

    def mend_watches_with_gone(self) -> None:
        """Answer the next watch of each resource with 410 Gone, as after a long absence."""
        self._gone_for: set[str] = set()
        self.watches_broken.clear()

    def _cut(self) -> None:
        for task in self._watches:
            task.cancel()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._gone_for = {"*"}
        insecure = ssl.create_default_context()
        insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=insecure, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{tail:.*}", self._pass_on)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            self.url = f"http://127.0.0.1:{port}"
            self._ready.set()
            await self._stop.wait()
            self._cut()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        watching = request.query.get("watch") in ("true", "1")
        if watching and self.watches_broken.is_set():
            return web.Response(status=503)
        if watching and self._is_gone(request.path):
            return _gone()
        headers = {k: v for k, v in request.headers.items() if k.lower() != "host"}
        body = await request.read()
        asked = _asked(request, body)
        fault = None if watching else self.disturb(asked)
        if isinstance(fault, Refusal):
            return _refused(fault)
        upstream = await self._session.request(
            request.method, self._server + request.raw_path, headers=headers, data=body or None
        )
        async with upstream:
            if watching:
                return await self._stream(request, upstream)
            answer = await upstream.read()
            if asked.method != "GET" and upstream.ok:
                self.done.append(asked)
            if fault is Broken.TIME_OUT:
                await self._stop.wait()
            if fault is Broken.CUT or self.after_answer(request.method, request.path):
                assert request.transport is not None
                request.transport.abort()
            kept = ("content-type", "content-encoding", "retry-after")
            passed = {k: v for k, v in upstream.headers.items() if k.lower() in kept}
            return web.Response(status=upstream.status, body=answer, headers=passed)

    def _is_gone(self, path: str) -> bool:
        if "*" in self._gone_for or path in self._gone_for:
            return False
        self._gone_for.add(path)
        self.gone_answers += 1
        return True

    async def _stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=upstream.status)
        response.content_type = "application/json"
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
        finally:
            self._watches.discard(task)
        return response


def _asked(request: web.Request, body: bytes) -> Asked:
    name = request.path.partition("/namespaces/")[2].split("/")[2:3]
    if request.method == "POST" and body:
        name = [json.loads(body).get("metadata", {}).get("name", "")]
    return Asked(request.method, request.path, dict(request.query), body, "".join(name))


def _refused(refusal: Refusal) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": refusal.status,
        "reason": refusal.reason,
        "message": refusal.message,
    }
    after = refusal.retry_after
    headers = {} if after is None else {"Retry-After": str(after)}
    return web.json_response(status, status=refusal.status, headers=headers)


def _gone() -> web.Response:
    """What the API server sends when the resourceVersion asked for is too old."""
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    event = {"type": "ERROR", "object": {**status, "apiVersion": "v1", "status": "Failure"}}
    return web.Response(text=json.dumps(event) + "\n", content_type="application/json")
