"""What a CarbonZone cannot make the operator do: nothing leaves it, and the zone says why."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import NOON
from carbonaware_operator.cluster.kube import CARBON_ZONES, SECRETS
from carbonaware_operator.engine.signals import SignalsLoop
from carbonaware_operator.grid import egress
from carbonaware_operator.grid.egress import Egress
from carbonaware_operator.grid.sources import PROVIDER_HOSTS, Permissions
from carbonaware_operator.store.zones import ZoneStore, zone_record
from fakes import FakeKube, ManualClock, eventually
from provider_answers import secret

NAMESPACE = "carbonaware-system"
KEY = "hunter2"
BY_DEFAULT = Egress(frozenset(PROVIDER_HOSTS))


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A listener on loopback; every name and every address leads to it."""
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        connect = socket.socket.connect
        monkeypatch.setattr(
            socket.socket, "connect", lambda self, _: connect(self, ("127.0.0.1", port))
        )
        yield listener


def nobody_came(listener: socket.socket) -> bool:
    """Whether nothing has connected."""
    try:
        listener.accept()
    except BlockingIOError:
        return True
    return False


@pytest.fixture
def kube() -> FakeKube:
    """The operator's namespace: a provider's key, and the password of a database."""
    made = FakeKube()
    made.put(SECRETS, NAMESPACE, secret("em", token=KEY))
    made.put(SECRETS, NAMESPACE, secret("database", token=KEY) | {"metadata": {"name": "database"}})
    return made


async def ready_condition(
    kube: FakeKube, source: dict[str, Any], permissions: Permissions
) -> dict[str, Any]:
    """What the loop writes into the status of a zone with this source."""
    store = ZoneStore()
    metadata = {"name": "de", "creationTimestamp": f"{NOON:%FT%TZ}", "generation": 1}
    body = kube.put(CARBON_ZONES, None, {"metadata": metadata, "spec": {"source": source}})
    store.apply(zone_record(body))
    loop = SignalsLoop(
        zones=store,
        kube=kube,
        clock=ManualClock(NOON),
        namespace=NAMESPACE,
        permissions=permissions,
        on_change=lambda _: None,
    )
    running = asyncio.create_task(loop.run())
    leading = asyncio.create_task(loop.lead())
    await eventually(lambda: "status" in kube.stored(CARBON_ZONES, None, "de"), seconds=30)
    running.cancel()
    leading.cancel()
    conditions = kube.stored(CARBON_ZONES, None, "de")["status"]["conditions"]
    return next(c for c in conditions if c["type"] == "Ready")


def electricity_maps(url: str, name: str = "em") -> dict[str, Any]:
    """A source that sends the key of a Secret to a URL."""
    member = {"zone": "DE", "url": url, "secretRef": {"name": name, "key": "token"}}
    return {"type": "ElectricityMaps", "electricityMaps": member}


def prometheus(url: str) -> dict[str, Any]:
    """A source without a key."""
    return {
        "type": "Prometheus",
        "prometheus": {"url": url, "query": "x", "signal": "Average"},
    }


CASES = {
    "a Secret without the label": (
        electricity_maps("https://api.electricitymaps.com", "database"),
        BY_DEFAULT,
        "must have the label",
    ),
    "a key to a foreign host": (
        electricity_maps("https://evil.example"),
        BY_DEFAULT,
        "evil.example:443 must be allowed",
    ),
    "a metadata address": (
        prometheus("http://169.254.169.254/latest"),
        Egress(frozenset({"169.254.169.254"})),
        "must not be a loopback, link-local",
    ),
    "http with a key": (
        electricity_maps("http://api.electricitymaps.com"),
        BY_DEFAULT,
        "must begin with https://",
    ),
    "a name that resolves to a metadata address": (
        prometheus("http://prometheus.monitoring:9090"),
        Egress(frozenset({"prometheus.monitoring:9090"})),
        "resolves to 169.254.169.254",
    ),
    "a file of the operator's": (
        {"type": "Recording", "recording": {"file": "/etc/hostname"}},
        BY_DEFAULT,
        "--recordings-folder",
    ),
}


@pytest.mark.parametrize(("source", "rules", "says"), CASES.values(), ids=CASES)
async def test_is_refused_with_a_reason_and_nothing_is_sent(
    kube: FakeKube,
    stranger: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, Any],
    rules: Egress,
    says: str,
):
    """Whoever writes a CarbonZone reads no Secret, reaches no service and opens no file by it."""
    metadata_address = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(egress.socket, "getaddrinfo", lambda *_, **__: metadata_address)

    ready = await ready_condition(kube, source, Permissions(rules))

    assert nobody_came(stranger)
    assert ("False", "Misconfigured") == (ready["status"], ready["reason"])
    assert says in ready["message"]
    assert KEY not in ready["message"]


async def test_what_is_allowed_is_asked(kube: FakeKube, stranger: socket.socket):
    """The listener of these tests hears who comes."""
    rules = Egress(frozenset({"localhost"}), local_addresses=True)
    source = {"type": "EnergyCharts", "energyCharts": {"country": "de", "url": "http://localhost"}}

    ready = asyncio.create_task(ready_condition(kube, source, Permissions(rules)))

    await eventually(lambda: not nobody_came(stranger), seconds=30)
    assert "Unreachable" == (await ready)["reason"]


async def test_a_recording_below_the_folder_is_played(kube: FakeKube, tmp_path: Path):
    """The administrator has mounted it for zones to name."""
    (tmp_path / "day.csv").write_text("t,v\n2022-01-01T00:00Z,1\n2022-01-01T01:00Z,2\n")
    source = {"type": "Recording", "recording": {"file": "day.csv"}}

    ready = await ready_condition(kube, source, Permissions(BY_DEFAULT, recordings=tmp_path))

    assert "True" == ready["status"]
