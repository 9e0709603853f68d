"""Where the operator may send questions to providers: a CarbonZone names hosts, these rules decide.

Whoever writes a CarbonZone chooses a URL that the operator asks from inside the cluster's network,
with a key of the operator's namespace. The administrator says which hosts may be asked; addresses
of the machine itself, of its link and of cloud metadata are refused however they are spelt. A name
is resolved once, and the connection goes to an address that was checked.
"""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util import Retry, Url, parse_url
from urllib3.util.connection import create_connection

from carbonaware_operator.grid.errors import SignalMisconfigured

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_PORTS = {"https": 443, "http": 80}
_METADATA = {
    # Those of 169.254.0.0/16 and fe80::/10 are link-local, and so refused without a name here.
    ip_address("100.100.100.200"),  # Alibaba Cloud
    ip_address("168.63.129.16"),  # Azure's WireServer
    ip_address("192.0.0.192"),  # Oracle Cloud
    ip_address("fd00:ec2::254"),  # AWS
    ip_address("fd20:ce::254"),  # Google Cloud
}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Egress:
    """What may be asked.

    hosts: `host` (every port) or `host:port`, as parse_host makes them; None for every host.
    local_addresses: whether loopback, link-local, metadata and such addresses may be asked too.
    """

    hosts: frozenset[str] | None
    local_addresses: bool = False

    def admit(self, url: str, member: str, *, keyed: bool) -> None:
        """Raise SignalMisconfigured when a URL may not be asked.

        member: the field of the CarbonZone that has the URL; keyed: whether a key is sent along.
        """
        parts = _parts(url, member)
        host = str(parts.host).lower().rstrip(".")
        place = f"{host}:{parts.port or _PORTS[str(parts.scheme)]}"
        if self.hosts is not None and not self.hosts & {host, place}:
            raise SignalMisconfigured(
                f"{place} must be allowed: the administrator adds it to the operator's"
                f" `--allowed-provider-hosts`, or `{member}.url` names a host that is there"
            )
        address = _literal(host)
        if address is not None and not self.local_addresses:
            _refuse_local(host, address)
        within = self.local_addresses and (
            host == "localhost" or (address is not None and address.is_loopback)
        )
        if keyed and parts.scheme != "https" and not within:
            raise SignalMisconfigured(
                f"`{member}.url` must begin with https://, because a key is sent to {place}"
            )

    def session(self, retry: Retry) -> requests.Session:
        """A session that connects to no address that is refused, whatever a name resolves to.

        Where the environment names a proxy, the proxy resolves names.
        """
        session = requests.Session()
        adapter = HTTPAdapter if self.local_addresses else _CheckingAdapter
        for scheme in ("https://", "http://"):
            session.mount(scheme, adapter(max_retries=retry))
        return session


def parse_host(entry: str) -> str:
    """An entry of the list of allowed hosts in its one spelling; raises ValueError."""
    spelt = entry.strip().lower()
    if not _HOST.fullmatch(spelt):
        raise ValueError(f"must be HOST or HOST:PORT, not {entry!r}")
    host, colon, port = spelt.rpartition(":")
    if spelt.endswith("]") or not colon:
        return spelt.rstrip(".")
    return f"{host.rstrip('.')}:{int(port)}"


def hosts_of(urls: Iterable[str]) -> tuple[str, ...]:
    """The hosts of some URLs, as entries of the list of allowed ones."""
    return tuple(sorted({str(parse_url(url).host) for url in urls}))


def _parts(url: str, member: str) -> Url:
    # The parser is the one that `requests` connects by: another might see another host.
    try:
        parts = parse_url(url)
    except LocationParseError:
        parts = Url()
    if parts.scheme not in _PORTS or not parts.host:
        raise SignalMisconfigured(f"`{member}.url` must be an http(s) URL with a host")
    if parts.auth or parts.query is not None or parts.fragment is not None or "\\" in url:
        raise SignalMisconfigured(
            f"`{member}.url` must have no user, query or fragment; keys belong in a Secret"
        )
    return parts


def _literal(host: str) -> _Address | None:
    """The address that a host is; None for a name."""
    try:
        return ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _refuse_local(host: str, address: _Address) -> None:
    if not _is_local(address):
        return
    which = host if _literal(host) else f"{host}, which resolves to {address},"
    raise SignalMisconfigured(
        f"{which} must not be a loopback, link-local, multicast or metadata address; the"
        " administrator allows those with the operator's `--allow-local-provider-addresses`"
    )


def _is_local(address: _Address) -> bool:
    """Whether an address leads to this machine, its link, or what a cloud tells its machines."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _is_local(inner)
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or address in _METADATA
        or (address.version == 4 and address.packed[0] == 0)  # "this network", which is this host
    )


def _connect(connection: HTTPConnection) -> socket.socket:
    """Resolve, check, and connect to what was checked."""
    host = connection.host.strip("[]")
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            _refuse_local(host, ip_address(address.partition("%")[0]))
        return _connect_to_any(connection, addresses)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, f"connecting to {host} took too long") from error
    except OSError as error:
        raise NewConnectionError(connection, f"no connection to {host}: {error}") from error


def _connect_to_any(connection: HTTPConnection, addresses: list[str]) -> socket.socket:
    refused: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return create_connection(
                (address, connection.port),
                connection.timeout,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except OSError as error:
            refused = error
    raise refused


class _CheckingHTTPConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _CheckingHTTPSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _CheckingHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _CheckingHTTPSConnection


class _CheckingAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
