"""The operator as it is, with its event loop watched from inside: what held it, and for how long.

Run as `python -m benchmarks.watched_operator PORT FLAGS...`: the flags are the operator's. Whoever
sends a line to PORT is told, as one line of JSON, what was seen since the line before. The watch
costs two readings of clocks for each callback of the loop, under a microsecond together.
"""

import asyncio
import gc
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass
class Seen:
    """What the loop did since the last look; times in milliseconds.

    busy: processor time of all callbacks; longest, longest_processor: of one callback, by the
    wall, which counts what other processes took from it, and by the processor;
    longest_collection: processor time of one round of the garbage collector, part of a callback.
    """

    busy: float = 0.0
    longest: float = 0.0
    longest_name: str = ""
    longest_processor: float = 0.0
    longest_processor_name: str = ""
    longest_collection: float = 0.0


_seen = Seen()


def _watch() -> None:
    """Time every callback of every loop of this process."""
    plain = asyncio.Handle._run  # noqa: SLF001 - debug mode times callbacks too, but logs each

    def timed(handle: Any) -> None:
        wall, processor = time.perf_counter(), time.thread_time()
        plain(handle)
        took = (time.perf_counter() - wall) * 1000
        used = (time.thread_time() - processor) * 1000
        seen = _seen
        seen.busy += used
        if took > seen.longest:
            seen.longest, seen.longest_name = took, _name(handle)
        if used > seen.longest_processor:
            seen.longest_processor, seen.longest_processor_name = used, _name(handle)

    asyncio.Handle._run = timed  # type: ignore[method-assign]  # noqa: SLF001
    gc.callbacks.append(_Collections())


class _Collections:
    """Told by the garbage collector when a round begins and ends."""

    def __init__(self) -> None:
        self._begun = 0.0

    def __call__(self, phase: str, _: object) -> None:
        if phase == "start":
            self._begun = time.thread_time()
        else:
            took = (time.thread_time() - self._begun) * 1000
            _seen.longest_collection = max(_seen.longest_collection, took)


def _name(handle: Any) -> str:
    """The coroutine that a step of a task went on with, or the function that was called."""
    callback = handle._callback  # noqa: SLF001
    owner = getattr(callback, "__self__", None)
    called = owner.get_coro() if isinstance(owner, asyncio.Task) else callback
    return str(getattr(called, "__qualname__", called))


class _Answers(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Answer each line with what was seen since the one before."""
        global _seen
        for _ in self.rfile:
            seen, _seen = _seen, Seen()
            self.wfile.write(json.dumps(asdict(seen)).encode() + b"\n")


def main() -> None:
    """Watch the loop, then run the operator with the other arguments."""
    port = int(sys.argv.pop(1))
    server = socketserver.ThreadingTCPServer(("127.0.0.1", port), _Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _watch()

    from carbonaware_operator.__main__ import main as operate

    operate()


class WatchedOperator:
    """One running operator, its HTTP address, and what its loop did."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, url: str) -> None:
        self.process, self.url = process, url
        self._facts = psutil.Process(process.pid)
        self._line = _connected(process, port)

    def look(self) -> Seen:
        """What the loop did since the last look."""
        self._line.write(b"\n")
        self._line.flush()
        return Seen(**json.loads(self._line.readline()))

    @property
    def resident_megabytes(self) -> float:
        """Memory that it holds now."""
        return round(self._facts.memory_info().rss / 1e6, 1)


def _connected(process: subprocess.Popen[bytes], port: int) -> Any:
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def watched_operator(kubeconfig: Path, log: Path, *flags: str) -> Iterator[WatchedOperator]:
    """Start an operator whose loop is watched; it is asked to end at the end of the block."""
    port, http = free_port(), free_port()
    argv = [sys.executable, "-m", "benchmarks.watched_operator", str(port)]
    argv += [f"--kubeconfig={kubeconfig}", f"--listen=127.0.0.1:{http}", *flags]
    with log.open("ab") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, env=os.environ)
    try:
        yield WatchedOperator(process, port, f"http://127.0.0.1:{http}")
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
