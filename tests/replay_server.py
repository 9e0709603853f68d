"""A server on loopback that replays answers of the shapes that providers document.

It speaks HTTP, so that what is tested is the client as it runs: connections, time-outs, redirects.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.sources import Permissions

LOOPBACK = Egress(frozenset({"127.0.0.1"}), local_addresses=True)
"""What lets a replay server be asked."""

PERMISSIONS = Permissions(LOOPBACK)


@dataclass
class Answer:
    """One answer; `delay` seconds pass between its head and its body.

    truncated: so many bytes of the body do not come, though the head announces them.
    """

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    delay: float = 0.0
    truncated: int = 0


@dataclass
class Asked:
    """One request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


Script = Callable[[Asked], Answer]


class ReplayServer:
    """Gives each path its answers in turn, the last one for ever; `script` answers all others."""

    def __init__(self, script: Script | None = None) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.script = script or (lambda _: Answer(b"{}", 404))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def give(self, path: str, *answers: Any) -> None:
        """Answer requests for a path, in turn: an Answer, or what is sent as JSON."""
        self.answers[path] = [
            answer if isinstance(answer, Answer) else as_json(answer) for answer in answers
        ]

    def answer(self, asked: Asked) -> Answer:
        """What a request is answered with."""
        self.asked.append(asked)
        answers = self.answers.get(asked.path)
        if not answers:
            return self.script(asked)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.path for asked in self.asked]

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def as_json(value: Any) -> Answer:
    """An answer with a body of JSON."""
    return Answer(json.dumps(value).encode())


HTML = Answer(b"<html>Sign in</html>", 200, {"Content-Type": "text/html"})


def _handler(replay: ReplayServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            answer = replay.answer(Asked(parts.path, query, dict(self.headers)))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            time.sleep(answer.delay)
            with contextlib.suppress(ConnectionError):  # the client does not read on
                self.wfile.write(answer.body[: len(answer.body) - answer.truncated])

        def log_message(self, *_: object) -> None:
            pass

    return Handler
