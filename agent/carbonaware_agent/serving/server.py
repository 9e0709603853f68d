"""The agent's HTTP endpoints. Every one of them only reads."""

import gzip
import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from carbonaware_agent.serving.board import Board
from carbonaware_agent.serving.exposition import CONTENT_TYPE

_log = logging.getLogger(__name__)
_IDLE_CONNECTION_SECONDS = 30
# Only a shutdown is looked for this often; the agent's process ends without one.
_POLL_SECONDS = 60.0


class BadQueryError(ValueError):
    """A query parameter has no usable value; the message names it."""


class MetricsServer(ThreadingHTTPServer):
    """Serves a board.

    alive: whether ticks still come; asked by /healthz. Raises OSError: the address is in use.
    """

    daemon_threads = True
    # The default of 5 makes the sixth of several readers that come at once wait for a second.
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], board: Board, alive: Callable[[], bool]) -> None:
        super().__init__(address, _Handler)
        self.board = board
        self.alive = alive

    def start(self) -> None:
        """Serve in a thread that ends with the process."""
        threading.Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), name="http", daemon=True
        ).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a connection early: a reader that left, as a rule."""
        _log.debug("connection ended", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_CONNECTION_SECONDS
    server_version = "carbonaware-agent"

    def do_GET(self) -> None:
        try:
            url = urlsplit(self.path)
        except ValueError:
            self._answer(HTTPStatus.BAD_REQUEST, b"not an address\n")
            return
        match url.path:
            case "/metrics":
                self._metrics()
            case "/metrics/accounting":
                self._accounting(url.query)
            case "/healthz":
                self._state(well=self.server.alive(), word="no tick for too long")
            case "/readyz":
                self._state(well=self.server.board.ready, word="nothing was saved yet")
            case _:
                self._answer(HTTPStatus.NOT_FOUND, b"not found\n")

    def _metrics(self) -> None:
        compressed = self._accepts_gzip()
        self._exposition(self.server.board.metrics(compressed=compressed), compressed=compressed)

    def _accounting(self, query: str) -> None:
        try:
            body = self.server.board.accounting(_since_us(query))
        except BadQueryError as error:
            self._answer(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
            return
        compressed = body is not None and self._accepts_gzip()
        if body is not None and compressed:
            body = gzip.compress(body, compresslevel=1)
        self._exposition(body, compressed=compressed)

    def _exposition(self, body: bytes | None, *, compressed: bool) -> None:
        if body is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"nothing was saved yet\n")
            return
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        self._answer(HTTPStatus.OK, body, headers)

    def _state(self, *, well: bool, word: str) -> None:
        if well:
            self._answer(HTTPStatus.OK, b"ok\n")
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{word}\n".encode())

    def _accepts_gzip(self) -> bool:
        return "gzip" in self.headers.get("Accept-Encoding", "")

    def _answer(
        self, status: HTTPStatus, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {"Content-Type": "text/plain; charset=utf-8"}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged: scrapers come every few seconds."""


def _since_us(query: str) -> int:
    text = parse_qs(query, keep_blank_values=True).get("since", ["0"])[-1]
    try:
        since_us = int(float(text) * 1_000_000)
    except (ValueError, OverflowError):
        since_us = -1
    if since_us < 0:
        raise BadQueryError(f"since={text!r} must be Unix time in seconds")
    return since_us
