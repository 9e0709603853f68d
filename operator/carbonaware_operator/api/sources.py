"""The sources of a CarbonZone: which provider says what its intensity is, and how to ask it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from carbonaware_operator.api.schema import BaseUrl, GramsPerKWh, Name, Schema, rule, rules


class SourceType(StrEnum):
    """Where the intensity comes from."""

    ELECTRICITY_MAPS = "ElectricityMaps"
    WATT_TIME = "WattTime"
    UK_CARBON_INTENSITY = "UKCarbonIntensity"
    ENERGY_CHARTS = "EnergyCharts"
    CARBON_AWARE_SDK = "CarbonAwareSDK"
    PROMETHEUS = "Prometheus"
    CONFIG_MAP = "ConfigMap"
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


class CredentialsReference(Schema):
    """A Secret in the operator's namespace with the keys `username` and `password`."""

    name: Annotated[Name, Field(description="Name of the Secret.")]


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
        BaseUrl | None, Field(description="Base URL. Default: https://api.electricitymaps.com/v3.")
    ] = None
    secret_ref: Annotated[SecretReference, Field(description="Where the API key is.")]


class WattTimeSource(Schema):
    """WattTime API v3."""

    region: Annotated[
        str, Field(min_length=1, max_length=64, description="Region there, such as CAISO_NORTH.")
    ]
    signal: Annotated[
        SignalKind | None,
        Field(description="Marginal (co2_moer) or Average (co2_aoer). Default: Marginal."),
    ] = None
    url: Annotated[
        BaseUrl | None, Field(description="Base URL. Default: https://api.watttime.org.")
    ] = None
    secret_ref: Annotated[
        CredentialsReference, Field(description="Where `username` and `password` are.")
    ]


class UKCarbonIntensitySource(Schema):
    """Carbon Intensity API of the National Energy System Operator of Great Britain; no key."""

    model_config = rules(
        rule(
            "[has(self.regionId), has(self.postcode), has(self.national)].filter(x, x).size() == 1",
            "must have exactly one of `regionId`, `postcode` and `national`",
        ),
        rule("!has(self.national) || self.national", "`national` must be true when it is set"),
    )

    region_id: Annotated[
        int | None, Field(ge=1, le=17, description="Number of a region there, 1 to 17.")
    ] = None
    postcode: Annotated[
        str | None,
        Field(
            max_length=4,
            pattern="^[A-Z]{1,2}[0-9][0-9A-Z]?$",
            description="First half of a postcode, such as RG10.",
        ),
    ] = None
    national: Annotated[bool | None, Field(description="True: Great Britain as a whole.")] = None
    url: Annotated[
        BaseUrl | None, Field(description="Base URL. Default: https://api.carbonintensity.org.uk.")
    ] = None


class EnergyChartsSource(Schema):
    """Energy-Charts of Fraunhofer ISE; no key."""

    country: Annotated[
        str,
        Field(max_length=8, pattern="^[a-z]{2,8}$", description="Country there, such as de."),
    ]
    url: Annotated[
        BaseUrl | None, Field(description="Base URL. Default: https://api.energy-charts.info.")
    ] = None


class CarbonAwareSDKSource(Schema):
    """Web API of the Green Software Foundation's Carbon Aware SDK, in front of some provider."""

    location: Annotated[
        str, Field(min_length=1, max_length=64, description="Location there, such as westeurope.")
    ]
    url: Annotated[BaseUrl, Field(description="Base URL of the API.")]
    signal: Annotated[
        SignalKind,
        Field(
            description="What its provider gives: Average for Electricity Maps, Marginal for"
            " WattTime. The answers do not say."
        ),
    ]
    emission_factors: Annotated[
        EmissionFactors | None, Field(description="Lifecycle or Direct, where known.")
    ] = None


class PrometheusSource(Schema):
    """A query of Prometheus, or of what speaks its HTTP API."""

    url: Annotated[
        BaseUrl, Field(description="Base URL, such as http://prometheus.monitoring:9090.")
    ]
    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            description="PromQL expression of one series, in gCO2e/kWh.",
        ),
    ]
    signal: Annotated[SignalKind, Field(description="Average or Marginal.")]
    emission_factors: Annotated[
        EmissionFactors | None, Field(description="Lifecycle or Direct, where known.")
    ] = None


class ConfigMapSource(Schema):
    """The ConfigMap that kubernetes-carbon-intensity-exporter writes."""

    namespace: Annotated[
        str | None,
        Field(min_length=1, max_length=63, description="Its namespace. Default: kube-system."),
    ] = None
    name: Annotated[Name | None, Field(description="Its name. Default: carbon-intensity.")] = None
    location: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="Location that its values must be of. Default: any, but only one.",
        ),
    ] = None
    signal: Annotated[
        SignalKind,
        Field(description="What the exporter's provider gives: Average or Marginal."),
    ]
    emission_factors: Annotated[
        EmissionFactors | None, Field(description="Lifecycle or Direct, where known.")
    ] = None


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


MEMBERS = {
    SourceType.ELECTRICITY_MAPS: "electricityMaps",
    SourceType.WATT_TIME: "wattTime",
    SourceType.UK_CARBON_INTENSITY: "ukCarbonIntensity",
    SourceType.ENERGY_CHARTS: "energyCharts",
    SourceType.CARBON_AWARE_SDK: "carbonAwareSDK",
    SourceType.PROMETHEUS: "prometheus",
    SourceType.CONFIG_MAP: "configMap",
    SourceType.RECORDING: "recording",
    SourceType.STATIC: "static",
}
"""Which field of a source goes with which `type`."""


class Source(Schema):
    """Where the intensity comes from."""

    model_config = rules(
        rule(
            " && ".join(f"(self.type == '{t}') == has(self.{m})" for t, m in MEMBERS.items()),
            "must have the member that `type` names, and no other",
        )
    )

    type: Annotated[SourceType, Field(description="Which of the members below is set.")]
    electricity_maps: Annotated[
        ElectricityMapsSource | None, Field(description="Electricity Maps API v3.")
    ] = None
    watt_time: Annotated[WattTimeSource | None, Field(description="WattTime API v3.")] = None
    uk_carbon_intensity: Annotated[
        UKCarbonIntensitySource | None, Field(description="Carbon Intensity API, Great Britain.")
    ] = None
    energy_charts: Annotated[
        EnergyChartsSource | None, Field(description="Energy-Charts of Fraunhofer ISE.")
    ] = None
    carbon_aware_sdk: Annotated[
        CarbonAwareSDKSource | None,
        Field(alias="carbonAwareSDK", description="Web API of the Carbon Aware SDK."),
    ] = None
    prometheus: Annotated[PrometheusSource | None, Field(description="A query of Prometheus.")] = (
        None
    )
    config_map: Annotated[
        ConfigMapSource | None,
        Field(description="The ConfigMap of kubernetes-carbon-intensity-exporter."),
    ] = None
    recording: Annotated[
        RecordingSource | None, Field(description="A recorded series, played at any speed.")
    ] = None
    static: Annotated[StaticSource | None, Field(description="One value for ever.")] = None
