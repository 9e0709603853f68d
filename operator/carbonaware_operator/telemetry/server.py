"""/healthz, /readyz and /metrics, served before anything else starts."""

from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest


@dataclass(slots=True)
class Readiness:
    """Why the operator is not ready yet; empty when it is."""

    waiting_for: str = "start"


async def serve(address: str, registry: CollectorRegistry, readiness: Readiness) -> web.AppRunner:
    """Listen on HOST:PORT; /healthz answers as long as the event loop turns.

    Raises OSError: the address cannot be bound.
    """

    async def health(_: web.Request) -> web.Response:
        return _answer("")

    async def ready(_: web.Request) -> web.Response:
        return _answer(readiness.waiting_for)

    async def metrics(_: web.Request) -> web.Response:
        text = generate_latest(registry)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes(
        [web.get("/healthz", health), web.get("/readyz", ready), web.get("/metrics", metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = address.rpartition(":")
    await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    return runner


def _answer(problem: str) -> web.Response:
    return web.Response(status=503, text=problem + "\n") if problem else web.Response(text="ok\n")
