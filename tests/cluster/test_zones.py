"""What is read and written around CarbonZones, against an API in memory."""

import base64

import pytest

from carbonaware_operator.api.zone import CarbonZoneStatus, CurrentIntensity
from carbonaware_operator.cluster.kube import CARBON_ZONES, CONFIG_MAPS, SECRETS, ApiError
from carbonaware_operator.cluster.zones import MANAGER, ZoneObjects, archive_name
from carbonaware_operator.grid.errors import (
    SignalMalformed,
    SignalMisconfigured,
    SignalUnreachable,
)
from carbonaware_operator.grid.sources import Reference
from fakes import FakeKube
from provider_answers import secret

NAMESPACE = "carbonaware-system"
SECRET = Reference("Secret", "em", ("token",))
CONFIG_MAP = Reference("ConfigMap", "day", ("csv",))


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def objects(kube: FakeKube) -> ZoneObjects:
    return ZoneObjects(kube, NAMESPACE)


class TestTexts:
    async def test_of_a_secret(self, kube: FakeKube, objects: ZoneObjects):
        """The key of a Secret of the operator's namespace, decoded."""
        kube.put(SECRETS, NAMESPACE, secret("em", token="k-1"))

        assert {"token": "k-1"} == await objects.texts(SECRET)

    async def test_of_a_config_map(self, kube: FakeKube, objects: ZoneObjects):
        """The text as it stands."""
        kube.put(CONFIG_MAPS, NAMESPACE, {"metadata": {"name": "day"}, "data": {"csv": "a,b\n"}})

        assert {"csv": "a,b\n"} == await objects.texts(CONFIG_MAP)

    async def test_of_a_config_map_made_from_a_file_of_bytes(
        self, kube: FakeKube, objects: ZoneObjects
    ):
        """`kubectl create configmap` puts what is no plain text under binaryData."""
        body = {"metadata": {"name": "day"}, "binaryData": {"csv": encoded("a,b\n")}}
        kube.put(CONFIG_MAPS, NAMESPACE, body)

        assert {"csv": "a,b\n"} == await objects.texts(CONFIG_MAP)

    @pytest.mark.parametrize("labels", [{}, {"carbonaware.io/provider": "false"}], ids=str)
    async def test_of_a_secret_that_is_not_for_providers(
        self, kube: FakeKube, objects: ZoneObjects, labels: dict[str, str]
    ):
        """A zone may name any Secret of the namespace: its owner says whether it was meant."""
        body = secret("em", token="hunter2")
        kube.put(SECRETS, NAMESPACE, body | {"metadata": {"name": "em", "labels": labels}})

        with pytest.raises(SignalMisconfigured, match="must have the label") as caught:
            await objects.texts(SECRET)

        assert "hunter2" not in str(caught.value)

    async def test_that_is_not_there(self, objects: ZoneObjects):
        """A missing object is named, with what to do."""
        with pytest.raises(
            SignalMisconfigured, match="Secret carbonaware-system/em does not exist; create it"
        ):
            await objects.texts(SECRET)

    async def test_under_another_key(self, kube: FakeKube, objects: ZoneObjects):
        """A missing key is named; the keys that there are, are not."""
        kube.put(SECRETS, NAMESPACE, secret("em", other="k"))

        with pytest.raises(SignalMisconfigured, match="must have the key 'token'"):
            await objects.texts(SECRET)

    async def test_that_is_not_text(self, kube: FakeKube, objects: ZoneObjects):
        """Bytes that are no text are refused, and not repeated."""
        body = secret("em") | {"data": {"token": encoded(b"hunter2\xff")}}
        kube.put(SECRETS, NAMESPACE, body)

        with pytest.raises(SignalMalformed, match="must be text") as caught:
            await objects.texts(SECRET)

        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize("name", ["../../kube-system/secrets/x", "a/b", "..", "A", "x?y"])
    async def test_outside_of_the_namespace(self, kube: FakeKube, objects: ZoneObjects, name: str):
        """A name that would lead to another path is refused before anything is asked."""
        with pytest.raises(SignalMisconfigured, match="must be a DNS name"):
            await objects.texts(Reference("Secret", name, ("token",)))

        assert [] == kube.requests

    async def test_of_a_config_map_elsewhere(self, kube: FakeKube, objects: ZoneObjects):
        """The exporter's has a namespace of its own; keys that may be absent may be so."""
        body = {"metadata": {"name": "ci"}, "binaryData": {"data": encoded("[]")}}
        kube.put(CONFIG_MAPS, "kube-system", body)
        ref = Reference("ConfigMap", "ci", ("data",), ("made",), namespace="kube-system")

        assert {"data": "[]"} == await objects.texts(ref)

    async def test_of_a_namespace_that_is_none(self, kube: FakeKube, objects: ZoneObjects):
        """It becomes a part of the path as well."""
        with pytest.raises(SignalMisconfigured, match="must be a DNS name"):
            await objects.texts(Reference("ConfigMap", "ci", ("data",), namespace="a/../b"))

        assert [] == kube.requests

    @pytest.mark.parametrize(
        ("status", "error", "says"),
        [
            (403, SignalMisconfigured, "must be allowed to get Secret"),
            (500, SignalUnreachable, "could not be read"),
            (0, SignalUnreachable, "could not be read"),
        ],
    )
    async def test_that_cannot_be_read(
        self, kube: FakeKube, objects: ZoneObjects, status: int, error: type, says: str
    ):
        """A lack of rights is told apart from a server that does not answer."""
        kube.fail(SECRETS.path(NAMESPACE, "em"), ApiError(status, "x", "x"))

        with pytest.raises(error, match=says):
            await objects.texts(SECRET)


class TestArchive:
    async def test_is_read_as_it_was_written(self, kube: FakeKube, objects: ZoneObjects):
        """Bytes survive; the object says whose it is."""
        await objects.write_archive("de", b"\x00\xffx")

        assert b"\x00\xffx" == await objects.archive("de")
        stored = kube.stored(CONFIG_MAPS, NAMESPACE, "carbonaware-archive-de")
        assert {"app.kubernetes.io/managed-by": "carbonaware"} == stored["metadata"]["labels"]

    async def test_may_not_be_there_yet(self, objects: ZoneObjects):
        """The first start finds none."""
        assert await objects.archive("de") is None

    async def test_that_somebody_spoiled_is_none(self, kube: FakeKube, objects: ZoneObjects):
        """What is no base64 is no archive."""
        body = {"metadata": {"name": archive_name("de")}, "binaryData": {"archive": "a"}}
        kube.put(CONFIG_MAPS, NAMESPACE, body)

        assert await objects.archive("de") is None

    async def test_that_cannot_be_read_is_not_taken_for_none(
        self, kube: FakeKube, objects: ZoneObjects
    ):
        """Or it would be overwritten with less."""
        kube.fail(CONFIG_MAPS.path(NAMESPACE), ApiError(500, "x", "x"))

        with pytest.raises(ApiError):
            await objects.archive("de")


class TestArchiveName:
    def test_is_told_from_the_zone(self):
        """People find it."""
        assert "carbonaware-archive-eu.de-lu" == archive_name("eu.de-lu")

    def test_of_long_names_stays_a_name_and_distinct(self):
        """Names of objects end at 253 characters, and end in a letter or digit."""
        one, other = ("a" * 219 + ".-"[:1] + "b" * 30 + end for end in "xy")

        assert archive_name(one) != archive_name(other)
        assert len(archive_name(one)) <= 253
        assert ".-" not in archive_name(one)
        assert archive_name(one)[-1].isalnum()


class TestStatus:
    async def test_is_written_whole(self, kube: FakeKube, objects: ZoneObjects):
        """What a status leaves out is gone from the object; the spec is never touched."""
        kube.put(CARBON_ZONES, None, {"metadata": {"name": "de"}, "spec": {"source": {}}})
        current = CurrentIntensity(
            milligrams_per_kwh=300_000,
            signal="Average",
            source="Static",
            observed_time="2026-06-15T12:00:00Z",
        )

        await objects.write_status("de", CarbonZoneStatus(observed_generation=1, current=current))
        first = kube.stored(CARBON_ZONES, None, "de")
        await objects.write_status("de", CarbonZoneStatus(observed_generation=2))
        second = kube.stored(CARBON_ZONES, None, "de")

        assert {
            "milligramsPerKWh": 300_000,
            "signal": "Average",
            "source": "Static",
            "observedTime": "2026-06-15T12:00:00Z",
            "estimated": False,
        } == first["status"]["current"]
        assert {"observedGeneration": 2} == second["status"]
        assert {"source": {}} == second["spec"]
        assert "carbonaware-signals" == MANAGER
