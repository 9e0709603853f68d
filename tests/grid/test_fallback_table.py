"""The built-in table: how much it knows, that it can be true, and that it is shipped."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks import fallback_tables
from carbonaware_operator.grid import fallback_table
from carbonaware_operator.grid.fallback_table import built_in

ROOT = Path(__file__).parents[2]
TABLES = sorted(fallback_tables.TABLES.glob("*.txt"))


class TestBuiltIn:
    def test_knows_the_zones_countries_and_regions_of_the_world(self):
        """At least 350 zones, 220 countries, and 130 regions of three clouds."""
        table = built_in()
        countries = {key.partition("-")[0] for key in table.zones} | set(table.countries)

        assert 350 <= len(table.zones)
        assert 220 <= len(countries - {"WORLD"})
        assert 130 <= len(table.regions)
        assert all(table.country(country) for country in countries)

    def test_knows_the_zone_of_every_region(self):
        """A region without a mean would be a step that never holds."""
        table = built_in()

        assert [] == [region for region, zone in table.regions.items() if not table.zone(zone)]

    @pytest.mark.parametrize("region", ["eu-central-1", "europe-west3", "germanywestcentral"])
    def test_knows_a_place_by_the_names_of_three_clouds(self, region: str):
        """Frankfurt, in this case."""
        assert "DE" == built_in().regions[region]

    def test_holds_only_what_a_grid_can_be(self):
        """No electricity is without emissions over its lifecycle, and lignite ends at 1500."""
        table = built_in()
        means = [*table.zones.values(), *table.countries.values()]

        assert all(0 < mean.intensity < 1_500_000 for mean in means)
        assert all(2000 <= mean.year <= 2025 for mean in means)

    def test_finds_a_country_in_the_zones_where_no_country_is_listed(self):
        """Curaçao has no row of its own among countries."""
        table = built_in()

        assert "CW" not in table.countries
        assert table.zone("CW") == table.country("CW-ANY")

    def test_says_who_says_so(self):
        """Origin and year go with every value."""
        world = built_in().world

        assert ("Ember", 2024) == (world.source, world.year)


class TestFiles:
    @pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
    def test_state_source_licence_and_attribution(self, path: Path):
        """Whoever copies a table copies its terms."""
        head = path.read_text()

        assert all(re.search(f"^# {key}: .+", head, re.M) for key in ("source", "licence"))
        assert re.search("^# attribution: .+", head, re.M)

    @pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
    def test_are_named_in_the_notice(self, path: Path):
        """NOTICE and docs/fallback.md know every origin."""
        for text in (ROOT / "NOTICE", ROOT / "docs" / "fallback.md"):
            assert path.name in text.read_text()

    def test_are_in_the_wheel(self, tmp_path: Path):
        """The operator of an image has them as the one of a checkout."""
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        (wheel,) = tmp_path.glob("*.whl")

        names = zipfile.ZipFile(wheel).namelist()

        assert [] == [
            path.name
            for path in TABLES
            if f"carbonaware_operator/grid/tables/{path.name}" not in names
        ]
        assert any(name.endswith("licenses/NOTICE") for name in names)


def test_are_made_from_published_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ember before Our World in Data; a mean of zero is no mean; groups are no countries."""
    for name, text in {
        "electricitymaps_zone_yearly.csv": "zone,lca_g_per_kwh_2025\nDE,342\nAE,348\n",
        "ember_country_averages.csv": (
            "code,year,g_per_kwh\nWorld,2024,472.94\nDEU,2024,340.6\nCAF,2022,0.0\nASEAN,2024,573\n"
        ),
        "codecarbon_country_mix.csv": "iso3,year,g_per_kwh\nDEU,2023,381\nCAF,2022,90\n",
        "cloud_region_to_zone.csv": "provider,region,zone\naws,eu-central-1,DE\n",
    }.items():
        (tmp_path / name).write_text(text)

    fallback_tables.main(tmp_path, tmp_path / "tables")

    monkeypatch.setattr(fallback_table, "_FOLDER", tmp_path / "tables")
    table = built_in.__wrapped__()
    assert {"DE": 342_000, "AE": 348_000} == {k: v.intensity for k, v in table.zones.items()}
    assert {"WORLD": 473_000, "DE": 341_000, "CF": 90_000} == {
        k: v.intensity for k, v in table.countries.items()
    }
    assert {"eu-central-1": "DE"} == table.regions
