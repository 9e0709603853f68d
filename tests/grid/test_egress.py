"""What a CarbonZone cannot have the operator ask, however the address is spelt."""

import socket
from collections.abc import Callable
from typing import Any

import pytest

from carbonaware_operator.grid import egress
from carbonaware_operator.grid.egress import Egress, parse_host
from carbonaware_operator.grid.endpoint import Endpoint
from carbonaware_operator.grid.errors import SignalMisconfigured, SignalUnreachable
from carbonaware_operator.grid.sources import PROVIDER_HOSTS
from replay_server import ReplayServer

NAME = "provider.example"
ANY_HOST = Egress(hosts=None)
LOCAL = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.23",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
]
USUAL = ["93.184.215.14", "10.0.0.5", "192.168.1.9", "172.16.0.1", "100.64.0.1", "fd12::5",
         "2606:2800::1", "64:ff9b::5db8:d70e"]  # fmt: skip


def ask(url: str, rules: Egress, *, keyed: bool = False) -> Any:
    """Ask as every provider does."""
    subject = "zone 'DE'"
    return Endpoint(url, member="some", subject=subject, egress=rules, keyed=keyed).ask("/now")


def url_of(address: str) -> str:
    """A URL with an address as its host."""
    return f"https://[{address}]/v3" if ":" in address else f"https://{address}/v3"


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make every name resolve to these addresses."""

    def to(*addresses: str) -> None:
        entries = [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443))
            for a in addresses
        ]
        monkeypatch.setattr(egress.socket, "getaddrinfo", lambda *_, **__: entries)

    return to


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a connection was tried to; none is made."""
    tried: list[str] = []

    def refuse(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(egress, "create_connection", refuse)
    return tried


class TestHosts:
    @pytest.mark.parametrize(
        ("allowed", "url"),
        [
            ("provider.example", "https://provider.example/v3"),
            ("provider.example", "https://PROVIDER.example.:8443/v3"),
            ("Provider.Example.", "https://provider.example"),
            ("provider.example:443", "https://provider.example/v3"),
            ("prometheus.monitoring:9090", "http://prometheus.monitoring:9090"),
            ("prometheus:80", "http://prometheus"),
            ("[fd12::5]:9090", "http://[fd12::5]:9090"),
            ("10.0.0.5", "http://10.0.0.5:9090"),
        ],
    )
    def test_that_are_allowed_are_asked(self, allowed: str, url: str):
        """By name on every port, or on one; case and a trailing dot do not matter."""
        Egress(frozenset({parse_host(allowed)})).admit(url, "some", keyed=False)

    @pytest.mark.parametrize(
        ("allowed", "url"),
        [
            ("provider.example", "https://evil.example/v3"),
            ("provider.example", "https://provider.example.evil.example"),
            ("provider.example", "https://evil-provider.example"),
            ("provider.example:443", "https://provider.example:8443"),
            ("provider.example:443", "http://provider.example"),
            ("example", "https://provider.example"),
        ],
    )
    def test_that_are_not_allowed_are_not_asked(self, connected: list[str], allowed: str, url: str):
        """The message says which flag lacks which host."""
        with pytest.raises(SignalMisconfigured, match="--allowed-provider-hosts"):
            ask(url, Egress(frozenset({parse_host(allowed)})))

        assert [] == connected

    def test_of_the_built_in_providers_are_allowed_by_default(self):
        """And no others: whatever else is asked, the administrator has named."""
        assert (
            "api.carbonintensity.org.uk",
            "api.electricitymaps.com",
            "api.energy-charts.info",
            "api.watttime.org",
        ) == PROVIDER_HOSTS

    @pytest.mark.parametrize("entry", ["", "https://x.example", "x.example/v3", "x:http", "*"])
    def test_must_be_hosts(self, entry: str):
        """A URL or a pattern would allow nothing, and nobody would know."""
        with pytest.raises(ValueError, match="HOST or HOST:PORT"):
            parse_host(entry)


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "https://user:pw@provider.example/",
            "https://provider.example@evil.example/",
            "https://provider.example/latest/?",
            "https://provider.example/latest/#",
            "https://evil.example\\@provider.example/",
            "file:///etc/passwd",
            "ftp://provider.example/",
            "https://",
            "https:///v3",
        ],
    )
    def test_have_a_host_and_a_path_alone(self, connected: list[str], url: str):
        """A query or a fragment would take in the path that we add; a user would be a key."""
        with pytest.raises(SignalMisconfigured, match=r"`some\.url` must"):
            ask(url, ANY_HOST)

        assert [] == connected

    @pytest.mark.parametrize("rules", [ANY_HOST, Egress(None, local_addresses=True)], ids=repr)
    def test_are_https_where_a_key_is_sent(self, connected: list[str], rules: Egress):
        """Whoever is on the way would read it."""
        with pytest.raises(SignalMisconfigured, match="must begin with https://"):
            ask(f"http://{NAME}/v3", rules, keyed=True)

        assert [] == connected


class TestAddresses:
    @pytest.mark.parametrize("address", LOCAL)
    def test_that_are_local_are_not_asked(self, connected: list[str], address: str):
        """What listens there trusts whoever can reach it."""
        with pytest.raises(SignalMisconfigured, match="--allow-local-provider-addresses"):
            ask(url_of(address), ANY_HOST)

        assert [] == connected

    @pytest.mark.parametrize("address", LOCAL)
    def test_that_a_name_resolves_to_are_local_too(
        self, resolves: Callable[..., None], connected: list[str], address: str
    ):
        """Whoever owns a name chooses where it leads."""
        resolves(address)

        with pytest.raises(SignalMisconfigured, match=f"{NAME}, which resolves to"):
            ask(f"https://{NAME}/v3", Egress(frozenset({NAME})))

        assert [] == connected

    @pytest.mark.parametrize("address", USUAL)
    def test_of_networks_are_asked(
        self, resolves: Callable[..., None], connected: list[str], address: str
    ):
        """A Prometheus of the cluster has a private one."""
        resolves(address)

        with pytest.raises(SignalUnreachable):
            ask(f"https://{NAME}/v3", Egress(frozenset({NAME})))

        assert {address} == set(connected)

    def test_that_were_checked_are_those_connected_to(
        self, monkeypatch: pytest.MonkeyPatch, connected: list[str]
    ):
        """A name that resolves to another address a moment later gains nothing."""
        answers = iter(["93.184.215.14"] + ["169.254.169.254"] * 9)

        def rebinding(*_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 443))]

        monkeypatch.setattr(egress.socket, "getaddrinfo", rebinding)

        with pytest.raises(SignalMisconfigured, match=r"resolves to 169\.254\.169\.254"):
            ask(f"https://{NAME}/v3", Egress(frozenset({NAME})))

        assert ["93.184.215.14"] == connected

    @pytest.mark.parametrize("spelling", ["localhost", "127.1", "0x7f.0.0.1", "2130706433"])
    def test_are_local_in_every_spelling(self, replay: ReplayServer, spelling: str):
        """What the resolver understands is what counts."""
        port = replay.url.rpartition(":")[2]

        with pytest.raises(SignalMisconfigured, match="must not be a loopback"):
            ask(f"http://{spelling}:{port}", ANY_HOST)

        assert [] == replay.asked

    def test_are_asked_when_the_administrator_says_so(self, replay: ReplayServer):
        """A proxy beside the operator listens on loopback; a key does not leave the machine."""
        replay.give("/now", {"a": 1})

        rules = Egress(frozenset({"127.0.0.1"}), local_addresses=True)

        assert {"a": 1} == ask(replay.url, rules, keyed=True)
