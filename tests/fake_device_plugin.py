"""A device plugin for the real kubelet, whose devices exist by name alone."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from fake_kubelet import field, serving

# Kubelet listens there whatever its root folder is.
PLUGINS = Path("/var/lib/kubelet/device-plugins")


@contextmanager
def a_device_plugin(resource: str, devices: Sequence[str]) -> Iterator[None]:
    """A plugin that is registered at this machine's kubelet."""
    ended = threading.Event()
    listed = b"".join(field(1, field(1, device) + field(2, "Healthy")) for device in devices)

    def list_and_watch(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield listed
        ended.wait()

    socket = PLUGINS / f"{resource.replace('/', '-')}.sock"
    unary = {
        "/v1beta1.DevicePlugin/GetDevicePluginOptions": lambda *_: b"",
        # One answer for one container, which needs nothing to use the device.
        "/v1beta1.DevicePlugin/Allocate": lambda *_: field(1, b""),
    }
    streams = {"/v1beta1.DevicePlugin/ListAndWatch": list_and_watch}
    with serving(socket, unary, streams):
        _register(socket.name, resource)
        yield
        ended.set()
    socket.unlink(missing_ok=True)


def _register(endpoint: str, resource: str) -> None:
    with grpc.insecure_channel(f"unix:{PLUGINS / 'kubelet.sock'}") as channel:
        register = channel.unary_unary("/v1beta1.Registration/Register")
        register(field(1, "v1beta1") + field(2, endpoint) + field(3, resource), timeout=30)
