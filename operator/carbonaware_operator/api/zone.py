"""CarbonZone: one electricity grid zone, where its intensity comes from and what it is now."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from carbonaware_operator.api.schema import (
    ATOMIC_LIST,
    Conditions,
    Count64,
    GramsPerKWh,
    MilligramsPerKWhField,
    Name,
    Schema,
    Timestamp,
    rule,
    rules,
)
from carbonaware_operator.api.sources import EmissionFactors, SignalKind, Source
from carbonaware_operator.api.tariff import CurrentPrice, Tariff

Region = Annotated[str, Field(min_length=1, max_length=63)]


def _marginal(field: str) -> str:
    """CEL: the source in a field of the spec gives marginal intensity."""
    source = f"self.{field}"
    chosen = (
        f"has({source}.{member}) && {source}.{member}.signal == 'Marginal'"
        for member in ("carbonAwareSDK", "prometheus", "configMap")
    )
    watt_time = f"{source}.wattTime"
    default = f"has({watt_time}) && (!has({watt_time}.signal) || {watt_time}.signal == 'Marginal')"
    return " || ".join((default, *chosen))


class CarbonZoneSpec(Schema):
    """A grid zone and its sources."""

    model_config = rules(
        rule(
            f"has(self.accountingSource) || !({_marginal('source')})",
            "must have `accountingSource` when `source` gives marginal intensity: limits and"
            " emissions are made of averages",
        ),
        rule(
            f"!has(self.accountingSource) || !({_marginal('accountingSource')})",
            "`accountingSource` must give average intensity",
        ),
    )

    source: Annotated[
        Source,
        Field(
            description="Where the intensity comes from that jobs are decided on; a marginal one"
            " is shown, and jobs are decided on `accountingSource`."
        ),
    ]
    accounting_source: Annotated[
        Source | None,
        Field(
            description="Where the average intensity comes from that emissions are priced with."
            " Default: `source`."
        ),
    ] = None
    regions: Annotated[
        list[Region] | None,
        Field(
            max_length=64,
            description="Cloud regions in this zone, as in the label topology.kubernetes.io/region"
            " of nodes, such as eu-central-1; the first that the built-in table knows gives the"
            " fallback when the zone itself is not known.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ] = None
    fallback_grams_per_kwh: Annotated[
        GramsPerKWh | None,
        Field(
            alias="fallbackGramsPerKWh",
            description="Intensity to decide with when the source has none, gCO2e/kWh."
            " Default: the built-in table: zone, cloud region, country, world.",
        ),
    ] = None
    tariff: Annotated[
        Tariff | None, Field(description="What a kilowatt-hour costs here, by time.")
    ] = None
    pue_milli: Annotated[
        int | None,
        Field(
            ge=1000,
            le=5000,
            description="Power usage effectiveness of the data centre x 1000. Default: 1000.",
        ),
    ] = None


class CurrentIntensity(Schema):
    """The intensity now."""

    milligrams_per_kwh: Annotated[
        MilligramsPerKWhField,
        Field(alias="milligramsPerKWh", description="Intensity, mgCO2e/kWh."),
    ]
    signal: Annotated[SignalKind, Field(description="Average or Marginal.")]
    emission_factors: Annotated[
        EmissionFactors | None, Field(description="Lifecycle or Direct, where known.")
    ] = None
    source: Annotated[Name, Field(description="Who says so.")]
    observed_time: Annotated[Timestamp, Field(description="Start of the value's interval.")]
    estimated: Annotated[bool, Field(description="True when the value may be revised.")] = False


class ForecastIntensity(Schema):
    """The average intensity that is expected."""

    issued_time: Annotated[Timestamp, Field(description="When it was made.")]
    start_time: Annotated[Timestamp, Field(description="Start of the first value's interval.")]
    step_seconds: Annotated[
        int, Field(ge=1, le=86400, description="Length of every interval, seconds.")
    ]
    milligrams_per_kwh: Annotated[
        list[MilligramsPerKWhField],
        Field(
            alias="milligramsPerKWh",
            max_length=1024,
            description="Mean intensity of each interval, mgCO2e/kWh.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ]
    source: Annotated[Name, Field(description="Who says so.")]


class FallbackLevel(StrEnum):
    """What stands in for a missing value, from the closest to the zone to the farthest."""

    FORECAST = "Forecast"
    DECLARED = "Declared"
    ZONE = "Zone"
    HISTORY = "History"
    CLOUD_REGION = "CloudRegion"
    COUNTRY = "Country"
    WORLD = "World"


class FallbackInEffect(Schema):
    """The intensity that stands in while the source has none that is fresh."""

    milligrams_per_kwh: Annotated[
        MilligramsPerKWhField,
        Field(alias="milligramsPerKWh", description="Intensity, mgCO2e/kWh."),
    ]
    level: Annotated[
        FallbackLevel,
        Field(
            description="Forecast: what was expected of now; Declared: fallbackGramsPerKWh; Zone,"
            " CloudRegion, Country, World: a yearly mean; History: the mean of the archive."
        ),
    ]
    source: Annotated[Name, Field(description="Who says so, and of what.")]
    emission_factors: Annotated[
        EmissionFactors | None, Field(description="Lifecycle or Direct, where known.")
    ] = None
    year: Annotated[
        int | None, Field(ge=1970, le=9000, description="The year that a mean is of.")
    ] = None
    typical_day: Annotated[
        bool, Field(description="True when the mean follows the zone's own typical day.")
    ] = False


class ZoneSummary(Schema):
    """The intensity in effect for people: what `kubectl get czone` shows."""

    intensity: Annotated[
        Name | None,
        Field(
            description="What jobs are decided on now, such as `312 g/kWh`; a fallback has a tilde."
        ),
    ] = None
    source: Annotated[Name | None, Field(description="Where that value is from.")] = None


class History(Schema):
    """What is archived of the zone."""

    periods: Annotated[Count64, Field(description="Accounting periods with a value.")]
    archive: Annotated[Name, Field(description="ConfigMap in the operator's namespace.")]


class CarbonZoneStatus(Schema):
    """What the operator knows of the zone."""

    observed_generation: Annotated[
        Count64 | None, Field(description="The generation of the spec last acted on.")
    ] = None
    summary: Annotated[
        ZoneSummary | None, Field(description="The intensity in effect, for people.")
    ] = None
    current: Annotated[CurrentIntensity | None, Field(description="The intensity now.")] = None
    marginal: Annotated[
        CurrentIntensity | None,
        Field(description="The marginal intensity now, where `source` gives one; shown only."),
    ] = None
    forecast: Annotated[
        ForecastIntensity | None, Field(description="The intensity that is expected.")
    ] = None
    forecast_error_percent: Annotated[
        int | None,
        Field(
            ge=0,
            le=10_000,
            description="Mean absolute percentage error of such forecasts in the last eight weeks;"
            " absent before a day of them can be compared with what came.",
        ),
    ] = None
    fallback: Annotated[
        FallbackInEffect | None,
        Field(description="What jobs are decided on while no intensity is fresh."),
    ] = None
    current_price: Annotated[
        CurrentPrice | None, Field(description="What a kilowatt-hour costs now.")
    ] = None
    history: Annotated[History | None, Field(description="What is archived.")] = None
    conditions: Annotated[
        Conditions | None, Field(description="Ready, Fresh and AdmissionPolicyBound, with reasons.")
    ] = None


class CarbonZone(Schema):
    """One electricity grid zone: where its intensity comes from and what it is now."""

    spec: Annotated[CarbonZoneSpec, Field(description="The zone's sources.")]
    status: Annotated[
        CarbonZoneStatus | None, Field(description="What the operator knows of the zone.")
    ] = None
