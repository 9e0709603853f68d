"""One gRPC call without arguments over a Unix socket: HTTP/2 by `h2`, bytes in and out.

The gRPC runtime takes 16 MB of memory, a third of what the agent may use; this takes one.
"""

import socket
import struct
import time
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error

# gRPC's own limit is 4 MiB, which a node with many pods and devices passes.
LARGEST_ANSWER = 16 * 1024 * 1024
_RECEIVED_AT_ONCE = 65536
# Compressed or not, and the length: in front of each message.
_PREFIX = struct.Struct(">BI")


class GrpcError(Exception):
    """The call did not succeed; the message says why."""


def unary(path: Path, method: str, *, timeout_seconds: float) -> bytes:
    """Call a method with an empty message; returns the message that answers.

    method: such as /v1.PodResourcesLister/List. Raises GrpcError or OSError.
    """
    deadline = time.monotonic() + timeout_seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        connection.connect(str(path))
        try:
            answer = _Exchange(connection, method).run(deadline)
        except H2Error as error:
            raise GrpcError(f"not HTTP/2: {error}") from error
    if len(answer) < _PREFIX.size:
        raise GrpcError("no message in the answer")
    compressed, length = _PREFIX.unpack_from(answer)
    if compressed or length != len(answer) - _PREFIX.size:
        raise GrpcError("the answer is compressed or not whole")
    return answer[_PREFIX.size :]


class _Exchange:
    """A connection on which one request is made."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        self._socket = connection
        self._http = H2Connection(H2Configuration(client_side=True))
        self._headers: dict[bytes, bytes] = {}
        self._answer = bytearray()
        self._ended = False
        self._http.initiate_connection()
        self._http.send_headers(
            1,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", method),
                (":authority", "localhost"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            ],
        )
        self._http.send_data(1, _PREFIX.pack(0, 0), end_stream=True)

    def run(self, deadline: float) -> bytes:
        while not self._ended:
            self._socket.sendall(self._http.data_to_send())
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                raise TimeoutError("no answer in time")
            # A server that sends byte by byte must not hold the call for ever.
            self._socket.settimeout(left_seconds)
            received = self._socket.recv(_RECEIVED_AT_ONCE)
            if not received:
                raise GrpcError("the connection was closed")
            for event in self._http.receive_data(received):
                self._take(event)
        if self._header(b"grpc-status") != "0":
            raise GrpcError(
                f"HTTP {self._header(b':status')}, gRPC {self._header(b'grpc-status')}: "
                f"{self._header(b'grpc-message')}"
            )
        return bytes(self._answer)

    def _header(self, name: bytes) -> str:
        return self._headers.get(name, b"").decode(errors="replace")

    def _take(self, event: Event) -> None:
        match event:
            case ResponseReceived() | TrailersReceived():
                self._headers |= dict(event.headers)
            case DataReceived():
                self._answer += event.data
                self._http.acknowledge_received_data(event.flow_controlled_length, 1)
                if len(self._answer) > LARGEST_ANSWER:
                    raise GrpcError(f"the answer is larger than {LARGEST_ANSWER} bytes")
            case StreamEnded():
                self._ended = True
            case StreamReset():
                raise GrpcError(f"the call was reset, code {event.error_code}")
            case _:
                pass
