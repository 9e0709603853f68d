"""CarbonZone: one electricity grid zone, where its intensity comes from and what it is now."""

from enum import StrEnum
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
    rule,
    rules,
)


class SourceType(StrEnum):
    """Where the intensity comes from."""

    ELECTRICITY_MAPS = "ElectricityMaps"
    RECORDING = "Recording"
    STATIC = "Static"


class EmissionFactors(StrEnum):
    """Which emissions an intensity counts."""

    LIFECYCLE = "Lifecycle"
    DIRECT = "Direct"


class SignalKind(StrEnum):
    """What an intensity says; numbers of the two kinds are never mixed."""

    AVERAGE = "Average"
    MARGINAL = "Marginal"


class SecretReference(Schema):
    """A key of a Secret in the operator's namespace."""

    name: Annotated[Name, Field(description="Name of the Secret.")]
    key: Annotated[Name, Field(description="Key in the Secret.")]


class ConfigMapReference(Schema):
    """A key of a ConfigMap in the operator's namespace."""

    name: Annotated[Name, Field(description="Name of the ConfigMap.")]
    key: Annotated[Name, Field(description="Key in the ConfigMap.")]


class ElectricityMapsSource(Schema):
    """Electricity Maps API v3."""

    zone: Annotated[
        str, Field(min_length=1, max_length=64, description="Zone key there, such as DE.")
    ]
    emission_factors: Annotated[
        EmissionFactors | None,
        Field(description="Lifecycle or Direct emission factors. Default: Lifecycle."),
    ] = None
    url: Annotated[
        str | None,
        Field(
            max_length=512,
            pattern="^https?://",
            description="Base URL. Default: https://api.electricitymaps.com/v3.",
        ),
    ] = None
    secret_ref: Annotated[SecretReference, Field(description="Where the API key is.")]


class RecordingSource(Schema):
    """A recorded series that is played from the creation of the CarbonZone on."""

    model_config = rules(
        rule(
            "has(self.file) != has(self.configMapRef)",
            "must have exactly one of `file` and `configMapRef`",
        )
    )

    file: Annotated[
        str | None,
        Field(min_length=1, max_length=1024, description="Path of a CSV file at the operator."),
    ] = None
    config_map_ref: Annotated[
        ConfigMapReference | None, Field(description="A ConfigMap that holds the CSV text.")
    ] = None
    column: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=128,
            description="Column with gCO2e/kWh; the first column holds the start of each row."
            " Default: the second column.",
        ),
    ] = None
    speed: Annotated[
        int | None,
        Field(
            ge=1,
            le=86400,
            description="Recorded seconds that pass in a real second. Default: 1.",
        ),
    ] = None
    loop: Annotated[
        bool | None,
        Field(description="Start again at the end; else the signal ends there. Default: false."),
    ] = None


class StaticSource(Schema):
    """One value for ever."""

    grams_per_kwh: Annotated[
        GramsPerKWh, Field(alias="gramsPerKWh", description="Average intensity, gCO2e/kWh.")
    ]


class Source(Schema):
    """Where the intensity comes from."""

    model_config = rules(
        rule(
            "(self.type == 'ElectricityMaps') == has(self.electricityMaps)"
            " && (self.type == 'Recording') == has(self.recording)"
            " && (self.type == 'Static') == has(self.static)",
            "must have the member that `type` names, and no other",
        )
    )

    type: Annotated[SourceType, Field(description="Which of the members below is set.")]
    electricity_maps: Annotated[
        ElectricityMapsSource | None, Field(description="Electricity Maps API v3.")
    ] = None
    recording: Annotated[
        RecordingSource | None, Field(description="A recorded series, played at any speed.")
    ] = None
    static: Annotated[StaticSource | None, Field(description="One value for ever.")] = None


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
