"""From the source of a CarbonZone to the provider that answers for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from carbonaware_operator.api.sources import (
    MEMBERS,
    CarbonAwareSDKSource,
    ConfigMapSource,
    ElectricityMapsSource,
    EmissionFactors,
    EnergyChartsSource,
    PrometheusSource,
    RecordingSource,
    SignalKind,
    Source,
    SourceType,
    StaticSource,
    UKCarbonIntensitySource,
    WattTimeSource,
)
from carbonaware_operator.grid import (
    electricity_maps,
    energy_charts,
    exporter,
    uk_carbon_intensity,
    watt_time,
)
from carbonaware_operator.grid.carbon_aware_sdk import CarbonAwareSDK
from carbonaware_operator.grid.egress import Egress, hosts_of
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.prometheus import Prometheus
from carbonaware_operator.grid.readings import Api, Average, Marginal
from carbonaware_operator.grid.recording import Recording, read_file, read_series
from carbonaware_operator.grid.static import Static
from carbonaware_operator.quantities.emissions import milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant

PROVIDER_HOSTS = hosts_of(
    (
        electricity_maps.DEFAULT_URL,
        energy_charts.DEFAULT_URL,
        uk_carbon_intensity.DEFAULT_URL,
        watt_time.DEFAULT_URL,
    )
)
"""The hosts of the providers that have a URL of their own: allowed unless others are named."""

AverageProvider = Static | Recording | Average

_ApiMember = (
    ElectricityMapsSource
    | WattTimeSource
    | UKCarbonIntensitySource
    | EnergyChartsSource
    | CarbonAwareSDKSource
    | PrometheusSource
    | ConfigMapSource
)
_Member = _ApiMember | RecordingSource | StaticSource


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a zone may make its reader do: whom to ask, and where files of recordings lie.

    recordings: the one folder of them; None where a zone may name no file.
    """

    egress: Egress
    recordings: Path | None = None


OF_A_USER = Permissions(Egress(hosts=None, local_addresses=True), recordings=Path("/"))
"""Of a user who asks with the user's own rights, from the user's own machine."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Keys of a Secret or a ConfigMap that have to be read before a provider can be made.

    namespace: None for the operator's own, which is the only one for Secrets.
    optional: keys that may be absent.
    """

    kind: Literal["Secret", "ConfigMap"]
    name: str
    keys: tuple[str, ...]
    optional: tuple[str, ...] = ()
    namespace: str | None = None


def reference(source: Source) -> Reference | None:
    """What has to be read from the cluster before the provider can be made."""
    match _member(source):
        case ElectricityMapsSource(secret_ref=ref):
            return Reference("Secret", ref.name, (ref.key,))
        case WattTimeSource(secret_ref=credentials):
            return Reference("Secret", credentials.name, ("username", "password"))
        case RecordingSource(config_map_ref=text) if text is not None:
            return Reference("ConfigMap", text.name, (text.key,))
        case ConfigMapSource(namespace=namespace, name=name):
            return Reference(
                "ConfigMap",
                name or exporter.DEFAULT_NAME,
                (exporter.DATA_KEY,),
                (exporter.ISSUED_KEY,),
                namespace or exporter.DEFAULT_NAMESPACE,
            )
        case _:
            return None


def signal_of(source: Source) -> SignalKind:
    """Which kind of intensity a source gives."""
    match _member(source):
        case WattTimeSource(signal=signal):
            return signal or SignalKind.MARGINAL
        case CarbonAwareSDKSource() | PrometheusSource() | ConfigMapSource() as member:
            return member.signal
        case _:
            return SignalKind.AVERAGE


def provider(
    source: Source, *, created: Instant, texts: Mapping[str, str], permissions: Permissions
) -> AverageProvider:
    """The provider of average intensity of a zone; blocks where it reads a file.

    created: the creation of the CarbonZone, from which a recording plays.
    texts: what `reference` names, by key; empty where it names nothing.
    Raises SignalError; SignalMisconfigured as well when the source gives marginal intensity.
    """
    match _member(source):
        case StaticSource() as member:
            return Static(milligrams_per_kwh(member.grams_per_kwh), created)
        case RecordingSource() as member:
            return _recording(member, created, texts, permissions.recordings)
        case member if signal_of(source) is SignalKind.AVERAGE:
            return Average(_api(member, texts, permissions.egress))
        case _:
            raise SignalMisconfigured(
                f"source {source.type} gives marginal intensity; `accountingSource` must give"
                " average intensity"
            )


def marginal_provider(
    source: Source, *, texts: Mapping[str, str], permissions: Permissions
) -> Marginal:
    """The provider of marginal intensity of a zone; see `provider`. Raises SignalError."""
    match _member(source):
        case StaticSource() | RecordingSource():
            pass
        case member if signal_of(source) is SignalKind.MARGINAL:
            return Marginal(_api(member, texts, permissions.egress))
    raise SignalMisconfigured(f"source {source.type} gives average intensity, not marginal")


def _member(source: Source) -> _Member:
    found: dict[SourceType, _Member | None] = {
        SourceType.ELECTRICITY_MAPS: source.electricity_maps,
        SourceType.WATT_TIME: source.watt_time,
        SourceType.UK_CARBON_INTENSITY: source.uk_carbon_intensity,
        SourceType.ENERGY_CHARTS: source.energy_charts,
        SourceType.CARBON_AWARE_SDK: source.carbon_aware_sdk,
        SourceType.PROMETHEUS: source.prometheus,
        SourceType.CONFIG_MAP: source.config_map,
        SourceType.RECORDING: source.recording,
        SourceType.STATIC: source.static,
    }
    member = found[source.type]
    if member is None:
        raise SignalMisconfigured(
            f"`source` must have the member `{MEMBERS[source.type]}` that `type` names"
        )
    return member


def _api(member: _ApiMember, texts: Mapping[str, str], egress: Egress) -> Api:
    match member:
        case ElectricityMapsSource():
            return _electricity_maps(member, texts, egress)
        case WattTimeSource():
            return _watt_time(member, texts, egress)
        case UKCarbonIntensitySource():
            return _uk_carbon_intensity(member, egress)
        case EnergyChartsSource():
            url = member.url or energy_charts.DEFAULT_URL
            return energy_charts.EnergyCharts(country=member.country, url=url, egress=egress)
        case CarbonAwareSDKSource(url=url, location=location, emission_factors=factors):
            return CarbonAwareSDK(location=location, url=url, egress=egress, factors=factors)
        case PrometheusSource(url=url, query=query, emission_factors=factors):
            return Prometheus(query=query, url=url, egress=egress, factors=factors)
        case ConfigMapSource():
            return _exporter(member, texts)
        case _:
            assert_never(member)


def _electricity_maps(
    member: ElectricityMapsSource, texts: Mapping[str, str], egress: Egress
) -> Api:
    return electricity_maps.ElectricityMaps(
        zone=member.zone,
        key=texts.get(member.secret_ref.key, ""),
        factors=member.emission_factors or EmissionFactors.LIFECYCLE,
        url=member.url or electricity_maps.DEFAULT_URL,
        egress=egress,
    )


def _watt_time(member: WattTimeSource, texts: Mapping[str, str], egress: Egress) -> Api:
    return watt_time.WattTime(
        region=member.region,
        username=texts.get("username", ""),
        password=texts.get("password", ""),
        signal=member.signal or SignalKind.MARGINAL,
        url=member.url or watt_time.DEFAULT_URL,
        egress=egress,
    )


def _uk_carbon_intensity(member: UKCarbonIntensitySource, egress: Egress) -> Api:
    return uk_carbon_intensity.UKCarbonIntensity(
        region_id=member.region_id,
        postcode=member.postcode,
        url=member.url or uk_carbon_intensity.DEFAULT_URL,
        egress=egress,
    )


def _exporter(member: ConfigMapSource, texts: Mapping[str, str]) -> Api:
    return exporter.ExporterConfigMap(
        texts=texts,
        namespace=member.namespace or exporter.DEFAULT_NAMESPACE,
        name=member.name or exporter.DEFAULT_NAME,
        location=member.location,
        factors=member.emission_factors,
    )


def _recording(
    source: RecordingSource, created: Instant, texts: Mapping[str, str], folder: Path | None
) -> Recording:
    if (ref := source.config_map_ref) is not None:
        text, origin = texts.get(ref.key, ""), f"ConfigMap {ref.name}, key {ref.key}"
    else:
        text, origin = read_file(source.file or "", folder), f"file {source.file}"
    series = read_series(text, source.column, origin=origin)
    return Recording(series, created, source.speed or 1, source.loop or False)
