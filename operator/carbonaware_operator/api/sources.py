"""The sources of a CarbonZone: which provider says what its intensity is, and how to ask it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from carbonaware_operator.api.schema import GramsPerKWh, Name, Schema, rule, rules


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
