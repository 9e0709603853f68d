"""From the source of a CarbonZone to the provider that answers for it."""

from carbonaware_operator.api.sources import (
    ConfigMapReference,
    ElectricityMapsSource,
    EmissionFactors,
    RecordingSource,
    SecretReference,
    Source,
    SourceType,
    StaticSource,
)
from carbonaware_operator.grid.electricity_maps import DEFAULT_URL, ElectricityMaps
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.provider import Provider
from carbonaware_operator.grid.recording import Recording, read_file, read_series
from carbonaware_operator.grid.static import Static
from carbonaware_operator.quantities.emissions import milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant

Reference = SecretReference | ConfigMapReference


def reference(source: Source) -> Reference | None:
    """What has to be read from the cluster before the provider can be made."""
    match _member(source):
        case ElectricityMapsSource(secret_ref=ref):
            return ref
        case RecordingSource(config_map_ref=ref):
            return ref
        case _:
            return None


def provider(source: Source, *, created: Instant, text: str | None) -> Provider:
    """The provider of a zone; blocks where it reads a file.

    created: the creation of the CarbonZone, from which a recording plays.
    text: what `reference` names, None where it names nothing.
    Raises SignalError.
    """
    member = _member(source)
    match member:
        case StaticSource():
            return Static(milligrams_per_kwh(member.grams_per_kwh), created)
        case RecordingSource():
            return _recording(member, created, text)
        case ElectricityMapsSource():
            return ElectricityMaps(
                zone=member.zone,
                key=text or "",
                factors=member.emission_factors or EmissionFactors.LIFECYCLE,
                url=member.url or DEFAULT_URL,
            )


def _member(source: Source) -> ElectricityMapsSource | RecordingSource | StaticSource:
    found = {
        SourceType.ELECTRICITY_MAPS: source.electricity_maps,
        SourceType.RECORDING: source.recording,
        SourceType.STATIC: source.static,
    }[source.type]
    if found is None:
        raise SignalMisconfigured(
            f"`source` must have the member that its type {source.type} names"
        )
    return found


def _recording(source: RecordingSource, created: Instant, text: str | None) -> Recording:
    if source.config_map_ref is not None:
        origin = f"ConfigMap {source.config_map_ref.name}, key {source.config_map_ref.key}"
    else:
        origin = f"file {source.file}"
    if text is None:
        text = read_file(source.file or "")
    series = read_series(text, source.column, origin=origin)
    return Recording(series, created, source.speed or 1, source.loop or False)
