"""The built-in table: yearly means of zones and countries, and the zones of cloud regions.

One text file for each origin stands in `tables/`, with source, licence and attribution in
its head; docs/fallback.md describes them. Nothing of it is fetched at run time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from carbonaware_operator.quantities.emissions import MilligramsPerKWh, milligrams_per_kwh

WORLD = "WORLD"
_FOLDER = Path(__file__).parent / "tables"
_HEAD = re.compile(r"# (\w+): (.+)")


@dataclass(frozen=True, slots=True)
class YearlyMean:
    """The mean average intensity of one year; `source` is who says so."""

    intensity: MilligramsPerKWh
    year: int
    source: str


@dataclass(frozen=True, slots=True)
class FallbackTable:
    """Means by zone key of Electricity Maps, by ISO 3166-1 alpha-2 country, and zones by region."""

    zones: Mapping[str, YearlyMean]
    countries: Mapping[str, YearlyMean]
    regions: Mapping[str, str]

    def zone(self, key: str) -> YearlyMean | None:
        """The mean of a zone."""
        return self.zones.get(key)

    def country(self, zone: str) -> YearlyMean | None:
        """The mean of the country that a zone key begins with, as `US` in `US-CAL-CISO`."""
        country = zone.partition("-")[0]
        return self.countries.get(country) or self.zones.get(country)

    @property
    def world(self) -> YearlyMean:
        """The mean of the world."""
        return self.countries[WORLD]


@cache
def built_in() -> FallbackTable:
    """The table that ships with the operator, read once."""
    regions = (row for _, row in table_rows("regions.txt"))
    return FallbackTable(
        zones=_means("zones.txt"),
        countries=_means("countries-owid.txt") | _means("countries-ember.txt"),
        regions={region: zone for _provider, region, zone in regions},
    )


def _means(name: str) -> dict[str, YearlyMean]:
    means = {}
    for head, (key, grams, *year) in table_rows(name):
        of = int(year[0] if year else head["year"])
        means[key] = YearlyMean(milligrams_per_kwh(int(grams)), of, head["source"])
    return means


def table_rows(name: str) -> list[tuple[dict[str, str], list[str]]]:
    """The cells of every row, each with what the head of its file says."""
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    matches = filter(None, map(_HEAD.fullmatch, lines))
    head = {match[1]: match[2] for match in matches}
    return [(head, line.split()) for line in lines if not line.startswith("#")]
