"""Kubelet's pod-resources socket, played by a real gRPC server that answers with chosen bytes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc

LIST = "/v1.PodResourcesLister/List"


def field(number: int, content: bytes | str) -> bytes:
    """A protobuf field that has a length."""
    content = content.encode() if isinstance(content, str) else content
    length, size = b"", len(content)
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def a_listed_pod(
    name: str,
    devices: Sequence[str] = (),
    *,
    claims: Sequence[bytes] = (),
    namespace: str = "ml",
    resource: str = "nvidia.com/gpu",
) -> bytes:
    """A pod of one container in the answer; each device has an entry of its own, as kubelet does.

    cpu_ids and topology stand between the fields of interest, as they do in real answers.
    """
    topology = field(3, field(1, b"\x08\x01"))
    held = [field(2, field(1, resource) + field(2, device) + topology) for device in devices]
    dynamic = [field(5, field(2, "claim") + field(3, namespace) + field(4, c)) for c in claims]
    container = field(1, "main") + b"".join(held) + field(3, b"\x00\x01") + b"".join(dynamic)
    return field(1, field(1, name) + field(2, namespace) + field(3, container))


def a_claim(device: str = "", *, driver: str = "gpu.nvidia.com", cdi: str = "") -> bytes:
    """A device of a resource claim."""
    named = field(2, driver) + field(3, "n1") + field(4, device) if device else b""
    return (field(1, field(1, cdi)) if cdi else b"") + named


class FakeKubelet:
    """What the socket answers. failure: a status that it gives instead."""

    def __init__(self) -> None:
        self.pods: list[bytes] = []
        self.failure: grpc.StatusCode | None = None
        self.asked = 0

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """One call of List."""
        assert request == b""
        self.asked += 1
        if self.failure is not None:
            context.abort(self.failure, "as told")
        return b"".join(self.pods)


@contextmanager
def a_fake_kubelet(socket: Path) -> Iterator[FakeKubelet]:
    """A kubelet that listens on a socket, which is removed at the end as a restart does."""
    kubelet = FakeKubelet()
    with serving(socket, {LIST: kubelet.answer}):
        yield kubelet
    socket.unlink(missing_ok=True)


@contextmanager
def serving(
    socket: Path,
    unary: dict[str, Callable[[bytes, grpc.ServicerContext], bytes]],
    streams: dict[str, Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]] | None = None,
) -> Iterator[grpc.Server]:
    """A gRPC server of methods that take and give bytes, some of them many times."""
    methods = {name: grpc.unary_unary_rpc_method_handler(f) for name, f in unary.items()} | {
        name: grpc.unary_stream_rpc_method_handler(f) for name, f in (streams or {}).items()
    }
    server = grpc.server(
        ThreadPoolExecutor(max_workers=4),
        options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)],
    )
    for method, handler in methods.items():
        _, service, name = method.split("/")
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {name: handler})]
        )
    assert server.add_insecure_port(f"unix:{socket}")
    server.start()
    yield server
    server.stop(None).wait()
