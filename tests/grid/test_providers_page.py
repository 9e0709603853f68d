"""docs/providers.md: every provider has its table and a manifest that works."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbonaware_operator.api.sources import SignalKind, SourceType
from carbonaware_operator.api.zone import CarbonZoneSpec
from carbonaware_operator.grid.sources import marginal_provider, provider, reference, signal_of
from carbonaware_operator.grid.tariff import tariff_of
from replay_server import PERMISSIONS

PAGE = (Path(__file__).parents[2] / "docs/providers.md").read_text()
MANIFESTS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
CREATED = datetime(2026, 6, 15, 12, tzinfo=UTC)
TEXTS = {"token": "k", "username": "me", "password": "p", "data": "[]"}
DAY = {"day.csv": "utc,g\n2022-01-01T00:00Z,1\n2022-01-01T01:00Z,2\n"}


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: m["metadata"]["name"])
def test_every_manifest_makes_providers(manifest: dict[str, Any]):
    """With what its references would hold; fields that nobody knows are none."""
    spec = CarbonZoneSpec.model_validate(manifest["spec"])

    assert manifest["spec"] == spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    for source in (spec.source, spec.accounting_source):
        if source is None:
            continue
        ref = reference(source)
        texts = {key: (TEXTS | DAY)[key] for key in ref.keys} if ref else {}
        if signal_of(source) is SignalKind.MARGINAL:
            assert spec.accounting_source
            marginal_provider(source, texts=texts, permissions=PERMISSIONS)
        else:
            provider(source, created=CREATED, texts=texts, permissions=PERMISSIONS)
    if spec.tariff:
        tariff_of(spec.tariff)


def test_every_provider_is_on_the_page():
    """In the table at its head, and with a manifest."""
    shown = {manifest["spec"]["source"]["type"] for manifest in MANIFESTS}

    assert set(SourceType) == shown
    assert all(f"\n| {type_} |" in PAGE for type_ in SourceType)
