"""A replay server for every test of a provider, and a client that tries again at once."""

from collections.abc import Iterator

import pytest

from carbonaware_operator.grid import endpoint
from replay_server import ReplayServer


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplayServer]:
    """Loopback, with no proxy in between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(endpoint._RETRY, "backoff_factor", 0)
    server = ReplayServer()
    yield server
    server.close()
