"""Address ranges that two clusters on one machine never share.

Each cluster takes the lowest free slot, 0 to 255, and the slot decides every range.
"""

import contextlib
import ipaddress
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import PrerequisiteMissingError

_SLOTS = 256
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SERVICES = "10.213.0.0/16"
_PODS = "10.214.0.0/16"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The ranges of one slot.

    slot: 0 to 255.
    Raises ValueError: the slot is out of range.
    """

    slot: int

    def __post_init__(self) -> None:
        if not 0 <= self.slot < _SLOTS:
            raise ValueError(f"slot is {self.slot}; it must be 0 to {_SLOTS - 1}")

    @property
    def service_range(self) -> str:
        """The /24 that cluster addresses of services come from."""
        return _subnet(_SERVICES, self.slot)

    @property
    def pod_range(self) -> str:
        """The /24 that pods get their addresses from."""
        return _subnet(_PODS, self.slot)

    @property
    def api_service(self) -> str:
        """The address at which pods find the API server: the first of the service range."""
        return str(ipaddress.ip_network(self.service_range)[1])

    @property
    def bridge(self) -> str:
        """The host's own address on the pods' bridge."""
        return str(ipaddress.ip_network(self.pod_range)[1])

    @property
    def bridge_name(self) -> str:
        """The name of the pods' bridge; at most 15 characters, the kernel's limit."""
        return f"carbontb{self.slot}"


def lowest_free_slot(taken: Collection[int]) -> int:
    """The lowest slot that no cluster on this machine holds.

    Raises PrerequisiteMissingError: all are taken.
    """
    for slot in range(_SLOTS):
        if slot not in taken:
            return slot
    raise PrerequisiteMissingError(
        f"all {_SLOTS} slots are taken; end clusters with `python -m testbed down --name NAME`"
    )


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nothing listens on at this address.

    It lies outside the range from which the kernel serves outgoing connections: there, while a
    server is down, some client gets its port and the server cannot start again.
    Raises PrerequisiteMissingError: 100 attempts found none.
    """
    lowest, highest = map(int, _EPHEMERAL.read_text().split())
    candidates = [port for port in range(10_000, 65_536) if not lowest <= port <= highest]
    for _ in range(100):
        port = secrets.choice(candidates or range(10_000, 65_536))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, port))
            return port
    raise PrerequisiteMissingError(f"no TCP port is free at {address}; end some programs")


def _subnet(network: str, slot: int) -> str:
    return str(list(ipaddress.ip_network(network).subnets(new_prefix=24))[slot])
