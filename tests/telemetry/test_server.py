"""/healthz, /readyz and /metrics on the loopback address."""

import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Gauge

from carbonaware_operator.telemetry.server import Readiness, serve


@pytest.fixture
def readiness() -> Readiness:
    """Not ready yet."""
    return Readiness("listing objects")


@pytest.fixture
async def url(readiness: Readiness) -> AsyncIterator[str]:
    """A server with one metric."""
    registry = CollectorRegistry()
    Gauge("carbonaware_test", "A test", registry=registry).set(7)
    runner = await serve("127.0.0.1:0", registry, readiness)
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def fetched(url: str) -> tuple[int, str]:
    """Status and body of a page."""
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


class TestServe:
    async def test_is_healthy_before_it_is_ready(self, url):
        """An operator that waits for its CRDs must not be restarted for it."""
        assert (200, "ok\n") == await fetched(f"{url}/healthz")

    async def test_says_what_it_waits_for(self, url):
        """Whoever looks at a pod that is not ready learns why."""
        assert (503, "listing objects\n") == await fetched(f"{url}/readyz")

    async def test_is_ready_when_nothing_is_left_to_wait_for(self, url, readiness):
        """Readiness is read at each request."""
        readiness.waiting_for = ""

        assert (200, "ok\n") == await fetched(f"{url}/readyz")

    async def test_serves_metrics_as_text(self, url):
        """In the exposition format."""
        assert "carbonaware_test 7.0" in (await fetched(f"{url}/metrics"))[1]

    async def test_fails_on_a_port_that_is_taken(self, readiness):
        """The operator must not run without probes."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with pytest.raises(OSError, match="address"):
                await serve(f"127.0.0.1:{taken.getsockname()[1]}", CollectorRegistry(), readiness)
