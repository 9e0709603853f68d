"""Make the operator's fallback tables: `python -m benchmarks.fallback_tables FOLDER`.

FOLDER holds the published figures as CSV files: electricitymaps_zone_yearly.csv,
ember_country_averages.csv, codecarbon_country_mix.csv and cloud_region_to_zone.csv. One table is
written for each origin, because their licences differ and share-alike holds for a database.
"""

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

TABLES = Path(__file__).parents[1] / "operator/carbonaware_operator/grid/tables"

ZONES = """\
# Mean intensity of grid zones, gCO2e/kWh: lifecycle, consumption.
# source: Electricity Maps
# year: 2025
# licence: Open Database License 1.0; contents under the Database Contents License 1.0
# attribution: (c) Electricity Maps, https://www.electricitymaps.com
# Each row: zone and mean.
"""
EMBER = """\
# Mean intensity of countries' generation, gCO2e/kWh: lifecycle.
# source: Ember
# licence: CC BY-SA 4.0, as stated by CO2.js, which they were taken from
# attribution: Ember, Yearly Electricity Data, https://ember-energy.org
# Each row: country (ISO 3166-1 alpha-2, or WORLD), mean, year.
"""
OWID = """\
# Mean intensity of generation, gCO2e/kWh: lifecycle; countries that Ember's table lacks.
# source: Our World in Data
# licence: CC BY 4.0
# attribution: Our World in Data, https://ourworldindata.org/energy; by way of CodeCarbon (MIT)
# Each row: country (ISO 3166-1 alpha-2), mean, year.
"""
REGIONS = """\
# The grid zone that a cloud region lies in, zones named as by Electricity Maps.
# source: carbonaware
# licence: Apache License 2.0
# attribution: the carbonaware authors
# Each row: provider, region, zone.
"""

# ISO 3166-1: alpha-3 codes by alpha-2 codes, of the countries that the published figures name.
_ALPHA = """
AF AFG AL ALB DZ DZA AS ASM AO AGO AG ATG AR ARG AM ARM AW ABW AU AUS AT AUT AZ AZE BS BHS BH
BHR BD BGD BB BRB BY BLR BE BEL BZ BLZ BJ BEN BM BMU BT BTN BO BOL BA BIH BW BWA BR BRA BN BRN
BG BGR BF BFA BI BDI CV CPV KH KHM CM CMR CA CAN KY CYM CF CAF TD TCD CL CHL CN CHN CO COL KM
COM CG COG CD COD CK COK CR CRI CI CIV HR HRV CU CUB CY CYP CZ CZE DK DNK DJ DJI DM DMA DO DOM
EC ECU EG EGY SV SLV GQ GNQ ER ERI EE EST SZ SWZ ET ETH EH ESH FK FLK FO FRO FJ FJI FI FIN FR
FRA GF GUF PF PYF GA GAB GM GMB GE GEO DE DEU GH GHA GI GIB GR GRC GL GRL GD GRD GP GLP GU GUM
GT GTM GN GIN GW GNB GY GUY HT HTI HN HND HK HKG HU HUN IS ISL IN IND ID IDN IR IRN IQ IRQ IE
IRL IL ISR IT ITA JM JAM JP JPN JO JOR KZ KAZ KE KEN KI KIR KP PRK KR KOR KW KWT KG KGZ LA LAO
LV LVA LB LBN LS LSO LR LBR LY LBY LT LTU LU LUX MO MAC MG MDG MW MWI MY MYS MV MDV ML MLI MT
MLT MQ MTQ MR MRT MU MUS MX MEX MD MDA MN MNG ME MNE MS MSR MA MAR MZ MOZ MM MMR NA NAM NR NRU
NP NPL NL NLD NC NCL NZ NZL NI NIC NE NER NG NGA MK MKD NO NOR OM OMN PK PAK PS PSE PA PAN PG
PNG PY PRY PE PER PH PHL PL POL PT PRT PR PRI QA QAT RE REU RO ROU RU RUS RW RWA SH SHN KN KNA
LC LCA PM SPM VC VCT WS WSM ST STP SA SAU SN SEN RS SRB SC SYC SL SLE SG SGP SK SVK SI SVN SB
SLB SO SOM ZA ZAF SS SSD ES ESP LK LKA SD SDN SR SUR SE SWE CH CHE SY SYR TW TWN TJ TJK TZ TZA
TH THA TL TLS TG TGO TO TON TT TTO TN TUN TR TUR TM TKM TC TCA UG UGA UA UKR AE ARE GB GBR US
USA UY URY UZ UZB VU VUT VE VEN VN VNM VG VGB VI VIR XK XKX YE YEM ZM ZMB ZW ZWE WORLD World
"""
ALPHA_2 = {three: two for two, three in re.findall(r"(\w+)\s(\w+)", _ALPHA)}


def zones(rows: Iterable[dict[str, str]]) -> Iterator[str]:
    """A line for each zone."""
    return (f"{row['zone']} {row['lca_g_per_kwh_2025']}" for row in rows)


def countries(rows: Iterable[dict[str, str]], code: str, known: set[str]) -> Iterator[str]:
    """A line for each country that is not in `known`, which takes it in.

    A mean of 0 is left out: no electricity is without emissions over its lifecycle.
    """
    for row in rows:
        country, grams = ALPHA_2.get(row[code]), round(float(row["g_per_kwh"]))
        if country and country not in known and grams:
            known.add(country)
            yield f"{country} {grams} {row['year']}"


def regions(rows: Iterable[dict[str, str]]) -> Iterator[str]:
    """A line for each cloud region."""
    return (f"{row['provider']} {row['region']} {row['zone']}" for row in rows)


def main(folder: Path, target: Path = TABLES) -> None:
    """Write all tables."""
    known: set[str] = set()
    ember = countries(_rows(folder / "ember_country_averages.csv"), "code", known)
    owid = countries(_rows(folder / "codecarbon_country_mix.csv"), "iso3", known)
    target.mkdir(exist_ok=True)
    _write(target / "zones.txt", ZONES, zones(_rows(folder / "electricitymaps_zone_yearly.csv")))
    _write(target / "countries-ember.txt", EMBER, ember)
    _write(target / "countries-owid.txt", OWID, owid)
    _write(target / "regions.txt", REGIONS, regions(_rows(folder / "cloud_region_to_zone.csv")))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _write(path: Path, head: str, lines: Iterable[str]) -> None:
    path.write_text(head + "".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
