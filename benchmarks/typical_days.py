"""Make the table of typical days: `python -m benchmarks.typical_days TRACES`.

TRACES holds hourly intensities as CSV files: eurosys24/zones_2022_lca.csv, a column for each zone,
and electricitymaps/ZONE_2022-2023.csv, which are newer and win. Both are of Electricity Maps.
"""

import csv
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.fallback_tables import TABLES

HEAD = """\
# Mean intensity of each hour of the day (UTC) over a year, gCO2e/kWh: lifecycle, consumption.
# source: Electricity Maps
# licence: Open Database License 1.0; contents under the Database Contents License 1.0
# attribution: (c) Electricity Maps, https://www.electricitymaps.com
# Each row: zone, year, 24 means from midnight on.
"""
NEWER, OLDER = "2023", "2022"

_HOUR = slice(11, 13)  # of 2022-01-01T00:00:00Z
_MOST_ESTIMATES = 0.5

Days = dict[str, tuple[str, list[float]]]


def older(rows: Iterable[dict[str, str]]) -> Days:
    """The typical days of a file with a column for each zone."""
    hours: dict[str, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for zone in row.keys() - {"utc"}:
            if row[zone]:
                hours[zone][int(row["utc"][_HOUR])].append(float(row[zone]))
    return {zone: (OLDER, _means(of)) for zone, of in hours.items()}


def newer(zone: str, rows: Iterable[dict[str, str]]) -> Days:
    """The typical day of a file of one zone; none where most of its hours are estimates."""
    year = [row for row in rows if row["utc"].startswith(NEWER)]
    if statistics.fmean(int(row["estimated"]) for row in year) > _MOST_ESTIMATES:
        return {}
    hours: defaultdict[int, list[float]] = defaultdict(list)
    for row in year:
        hours[int(row["utc"][_HOUR])].append(float(row["lca_g_per_kwh"]))
    return {zone: (NEWER, _means(hours))}


def _means(hours: dict[int, list[float]]) -> list[float]:
    return [statistics.fmean(values) for _, values in sorted(hours.items())]


def main(traces: Path, target: Path = TABLES / "typical-days.txt") -> None:
    """Write the table."""
    days = older(_rows(traces / "eurosys24" / "zones_2022_lca.csv"))
    for file in sorted((traces / "electricitymaps").glob("*.csv")):
        days |= newer(file.stem.partition("_")[0], _rows(file))
    lines = (
        f"{zone} {year} {' '.join(str(round(mean)) for mean in means)}\n"
        for zone, (year, means) in sorted(days.items())
    )
    target.write_text(HEAD + "".join(lines), encoding="utf-8")


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
