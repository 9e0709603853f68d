"""CarbonZone: one electricity grid zone, where its intensity comes from and what it is now."""

from typing import Annotated

from pydantic import Field

from carbonaware_operator.api.schema import (
    Conditions,
    Count64,
    GramsPerKWh,
    MilligramsPerKWhField,
    Name,
    Schema,
    Timestamp,
)
from carbonaware_operator.api.sources import EmissionFactors, Source


class CarbonZoneSpec(Schema):
    """A grid zone and its sources."""

    source: Annotated[Source, Field(description="Where the average intensity comes from.")]
    fallback_grams_per_kwh: Annotated[
        GramsPerKWh | None,
        Field(
            alias="fallbackGramsPerKWh",
            description="Intensity to decide with when the source has none, gCO2e/kWh."
            " Default: the world's mean, 473 (Ember, 2024).",
        ),
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
    signal: Annotated[
        str, Field(description="Kind of signal.", json_schema_extra={"enum": ["Average"]})
    ]
    emission_factors: Annotated[
        EmissionFactors | None, Field(description="Lifecycle or Direct, where known.")
    ] = None
    source: Annotated[Name, Field(description="Who says so.")]
    observed_time: Annotated[Timestamp, Field(description="Start of the value's interval.")]
    estimated: Annotated[bool, Field(description="True when the value may be revised.")] = False


class History(Schema):
    """What is archived of the zone."""

    periods: Annotated[Count64, Field(description="Accounting periods with a value.")]
    archive: Annotated[Name, Field(description="ConfigMap in the operator's namespace.")]


class CarbonZoneStatus(Schema):
    """What the operator knows of the zone."""

    observed_generation: Annotated[
        Count64 | None, Field(description="The generation of the spec last acted on.")
    ] = None
    current: Annotated[CurrentIntensity | None, Field(description="The intensity now.")] = None
    history: Annotated[History | None, Field(description="What is archived.")] = None
    conditions: Annotated[
        Conditions | None, Field(description="Ready and Fresh, with reasons.")
    ] = None


class CarbonZone(Schema):
    """One electricity grid zone: where its intensity comes from and what it is now."""

    spec: Annotated[CarbonZoneSpec, Field(description="The zone's sources.")]
    status: Annotated[
        CarbonZoneStatus | None, Field(description="What the operator knows of the zone.")
    ] = None
