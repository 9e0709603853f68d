"""From the source in a CarbonZone to its provider."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.api.sources import MEMBERS, SignalKind, Source, SourceType
from carbonaware_operator.grid import errors
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.readings import Average, Marginal
from carbonaware_operator.grid.recording import Recording, Series
from carbonaware_operator.grid.sources import (
    Reference,
    marginal_provider,
    provider,
    reference,
    signal_of,
)
from carbonaware_operator.grid.static import Static
from replay_server import PERMISSIONS

CREATED = datetime(2026, 6, 15, 12, tzinfo=UTC)
TEXT = "utc,a,b\n2022-01-01T00:00Z,1,3\n2022-01-01T01:00Z,2,4\n"
SECRET = {"name": "em", "key": "token"}


URL = "http://127.0.0.1:9"
CAISO = {"region": "CAISO_NORTH", "secretRef": {"name": "wt"}}
CREDENTIALS = {"username": "me", "password": "p"}


def a_source(type_: str, **member: object) -> Source:
    return Source.model_validate({"type": type_, MEMBERS[SourceType(type_)]: member})


class TestProvider:
    def test_of_a_static_source(self):
        """A static source needs nothing else."""
        source = a_source("Static", gramsPerKWh=300)

        assert reference(source) is None
        assert Static(300_000, CREATED) == provider(
            source, created=CREATED, texts={}, permissions=PERMISSIONS
        )

    def test_of_a_recording_in_a_config_map(self):
        """The text of the ConfigMap is handed in; speed is 1 and there is no loop by default."""
        source = a_source("Recording", configMapRef={"name": "day", "key": "csv"}, column="b")

        made = provider(source, created=CREATED, texts={"csv": TEXT}, permissions=PERMISSIONS)

        assert Reference("ConfigMap", "day", ("csv",)) == reference(source)
        series = Series("b", timedelta(hours=1), (3000, 4000))
        assert Recording(series, CREATED, speed=1, loop=False) == made

    def test_of_a_recording_in_a_file(self, tmp_path: Path):
        """The file is read at the operator."""
        (tmp_path / "day.csv").write_text(TEXT)
        source = a_source("Recording", file=str(tmp_path / "day.csv"), speed=60, loop=True)
        allowed = replace(PERMISSIONS, recordings=tmp_path)

        made = provider(source, created=CREATED, texts={}, permissions=allowed)

        assert reference(source) is None
        assert isinstance(made, Recording)
        assert ("Recording/a", 60, True) == (made.source, made.speed, made.loop)

    def test_of_a_source_without_its_member(self):
        """What the CRD lets nobody write is refused all the same."""
        with pytest.raises(SignalMisconfigured, match="must have the member `static`"):
            provider(
                Source.model_validate({"type": "Static"}),
                created=CREATED,
                texts={},
                permissions=PERMISSIONS,
            )


AVERAGES = {
    "ElectricityMaps": (a_source("ElectricityMaps", zone="DE", secretRef=SECRET), {"token": "k"}),
    "WattTime": (a_source("WattTime", signal="Average", **CAISO), CREDENTIALS),
    "UKCarbonIntensity": (a_source("UKCarbonIntensity", national=True), {}),
    "EnergyCharts": (a_source("EnergyCharts", country="de"), {}),
    "CarbonAwareSDK": (a_source("CarbonAwareSDK", location="x", url=URL, signal="Average"), {}),
    "Prometheus": (a_source("Prometheus", query="x", url=URL, signal="Average"), {}),
    "ConfigMap": (a_source("ConfigMap", signal="Average"), {"data": "[]"}),
}
MARGINALS = {
    "WattTime": (a_source("WattTime", **CAISO), CREDENTIALS),
    "CarbonAwareSDK": (a_source("CarbonAwareSDK", location="x", url=URL, signal="Marginal"), {}),
    "Prometheus": (a_source("Prometheus", query="x", url=URL, signal="Marginal"), {}),
    "ConfigMap": (a_source("ConfigMap", signal="Marginal"), {"data": "[]"}),
}


class TestKindOfSignal:
    @pytest.mark.parametrize("type_", AVERAGES)
    def test_average_is_made_of_average_sources(self, type_: str):
        """And nothing marginal of them."""
        source, texts = AVERAGES[type_]

        made = provider(source, created=CREATED, texts=texts, permissions=PERMISSIONS)

        assert SignalKind.AVERAGE is signal_of(source)
        assert isinstance(made, Average)
        assert made.source.startswith(type_)
        with pytest.raises(SignalMisconfigured, match="gives average intensity"):
            marginal_provider(source, texts=texts, permissions=PERMISSIONS)

    @pytest.mark.parametrize("type_", MARGINALS)
    def test_marginal_is_made_of_marginal_sources(self, type_: str):
        """And nothing average of them, however they came into the place of one."""
        source, texts = MARGINALS[type_]

        made = marginal_provider(source, texts=texts, permissions=PERMISSIONS)

        assert SignalKind.MARGINAL is signal_of(source)
        assert isinstance(made, Marginal)
        with pytest.raises(SignalMisconfigured, match="`accountingSource` must give average"):
            provider(source, created=CREATED, texts=texts, permissions=PERMISSIONS)

    @pytest.mark.parametrize(
        "source",
        [a_source("Static", gramsPerKWh=300), a_source("Recording", file="/x.csv")],
        ids=["Static", "Recording"],
    )
    def test_of_what_is_written_down_is_average(self, source: Source):
        """A recording and a static value have no other."""
        assert SignalKind.AVERAGE is signal_of(source)
        with pytest.raises(SignalMisconfigured, match="gives average intensity, not marginal"):
            marginal_provider(source, texts={}, permissions=PERMISSIONS)


class TestReference:
    def test_of_a_key(self):
        """One key of a Secret of the operator's namespace."""
        source, _ = AVERAGES["ElectricityMaps"]

        assert Reference("Secret", "em", ("token",)) == reference(source)

    def test_of_credentials(self):
        """Two keys of one Secret."""
        source, _ = MARGINALS["WattTime"]

        assert Reference("Secret", "wt", ("username", "password")) == reference(source)

    def test_of_the_exporters_config_map(self):
        """It is where the exporter writes it, unless that was told to write elsewhere."""
        elsewhere = a_source("ConfigMap", signal="Marginal", namespace="grid", name="ci")
        found = [reference(source) for source in (MARGINALS["ConfigMap"][0], elsewhere)]

        keys = ("data",), ("forecastDateTime",)
        assert [
            Reference("ConfigMap", "carbon-intensity", *keys, namespace="kube-system"),
            Reference("ConfigMap", "ci", *keys, namespace="grid"),
        ] == found

    @pytest.mark.parametrize("type_", ["EnergyCharts", "UKCarbonIntensity", "Prometheus"])
    def test_of_a_source_without_a_key(self, type_: str):
        """There is nothing to read."""
        assert reference(AVERAGES[type_][0]) is None


def test_every_type_has_its_member():
    """What `type` may be is what there are members for."""
    assert set(SourceType) == set(MEMBERS)
    aliases = {field.alias for field in Source.model_fields.values()}
    assert set(MEMBERS.values()) | {"type"} == aliases


def test_every_error_has_a_reason_of_its_own():
    """Each error of the tree becomes one reason that users can script against."""
    tree = [getattr(errors, name) for name in dir(errors) if name.startswith("Signal")]
    leaves = [e for e in tree if isinstance(e, type) and e.__mro__[1] is errors.SignalError]

    reasons = [leaf.reason for leaf in leaves]

    assert len(leaves) == 6
    assert len(set(reasons)) == 6
    assert set(reasons) <= set(SignalReason)
