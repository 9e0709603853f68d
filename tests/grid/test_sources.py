"""From the source in a CarbonZone to its provider."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.api.sources import EmissionFactors, Source
from carbonaware_operator.grid import errors
from carbonaware_operator.grid.electricity_maps import ElectricityMaps
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.recording import Recording, Series
from carbonaware_operator.grid.sources import provider, reference
from carbonaware_operator.grid.static import Static

CREATED = datetime(2026, 6, 15, 12, tzinfo=UTC)
TEXT = "utc,a,b\n2022-01-01T00:00Z,1,3\n2022-01-01T01:00Z,2,4\n"
SECRET = {"name": "em", "key": "token"}


def a_source(type_: str, **member: object) -> Source:
    return Source.model_validate({"type": type_, type_[0].lower() + type_[1:]: member})


class TestProvider:
    def test_of_a_static_source(self):
        """A static source needs nothing else."""
        source = a_source("Static", gramsPerKWh=300)

        assert reference(source) is None
        assert Static(300_000, CREATED) == provider(source, created=CREATED, text=None)

    def test_of_a_recording_in_a_config_map(self):
        """The text of the ConfigMap is handed in; speed is 1 and there is no loop by default."""
        source = a_source("Recording", configMapRef={"name": "day", "key": "csv"}, column="b")

        made = provider(source, created=CREATED, text=TEXT)

        assert ("day", "csv") == (reference(source).name, reference(source).key)
        series = Series("b", timedelta(hours=1), (3000, 4000))
        assert Recording(series, CREATED, speed=1, loop=False) == made

    def test_of_a_recording_in_a_file(self, tmp_path: Path):
        """The file is read at the operator."""
        (tmp_path / "day.csv").write_text(TEXT)
        source = a_source("Recording", file=str(tmp_path / "day.csv"), speed=60, loop=True)

        made = provider(source, created=CREATED, text=None)

        assert reference(source) is None
        assert isinstance(made, Recording)
        assert ("Recording/a", 60, True) == (made.source, made.speed, made.loop)

    def test_of_electricity_maps(self):
        """The key comes from the Secret; emission factors are those of the life cycle."""
        source = a_source("ElectricityMaps", zone="DE", secretRef=SECRET)

        made = provider(source, created=CREATED, text="k")

        assert ("em", "token") == (reference(source).name, reference(source).key)
        assert isinstance(made, ElectricityMaps)
        assert ("ElectricityMaps/DE", EmissionFactors.LIFECYCLE) == (made.source, made.factors)

    def test_of_a_source_without_its_member(self):
        """What the CRD lets nobody write is refused all the same."""
        with pytest.raises(SignalMisconfigured, match="must have the member"):
            provider(Source.model_validate({"type": "Static"}), created=CREATED, text=None)


def test_every_error_has_a_reason_of_its_own():
    """Each error of the tree becomes one reason that users can script against."""
    tree = [getattr(errors, name) for name in dir(errors) if name.startswith("Signal")]
    leaves = [e for e in tree if isinstance(e, type) and e.__mro__[1] is errors.SignalError]

    reasons = [leaf.reason for leaf in leaves]

    assert len(leaves) == 6
    assert len(set(reasons)) == 6
    assert set(reasons) <= set(SignalReason)
