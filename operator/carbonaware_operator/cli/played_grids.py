"""Grids that can be played without network or cluster: a zone's own series, or published means."""

from dataclasses import dataclass
from datetime import timedelta

from carbonaware_operator.api.reasons import SignalReason
from carbonaware_operator.api.sources import SignalKind, Source, SourceType
from carbonaware_operator.api.zone import CarbonZoneSpec
from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.manifests import Manifests
from carbonaware_operator.grid.errors import SignalError
from carbonaware_operator.grid.fallback import Known, fallback_intensity, zone_keys
from carbonaware_operator.grid.fallback_table import built_in
from carbonaware_operator.grid.points import PointKind
from carbonaware_operator.grid.provider import Provider
from carbonaware_operator.grid.recording import Recording
from carbonaware_operator.grid.sources import OF_A_USER, provider, reference, signal_of
from carbonaware_operator.grid.typical_days import PublishedDay, published_day
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.planning.simulate import View
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant

NO_VALUE = "the source has no value for now"

_HOURS = 24


@dataclass(frozen=True, slots=True)
class PlayedGrid:
    """A zone whose intensity is known at every instant.

    origin: where the values are from, in one phrase; hour: how long an hour of them lasts.
    """

    zone: str
    origin: str
    source: Provider
    fallback: Fallback
    hour: timedelta = timedelta(hours=1)

    def view(self, now: Instant) -> View:
        """The zone as the operator would see it, and until when."""
        stale = timedelta(seconds=self.source.cadence.stale)
        points = self.source.points(now - stale, now)
        if not points or now >= points[-1].end + stale:
            return View(self._outlook(Missing(SignalReason.STALE, NO_VALUE)), None)
        newest, valid_until = points[-1], points[-1].end + stale
        estimated = newest.kind is PointKind.ESTIMATE
        signal = Signal(newest.intensity, newest.source, newest.start, valid_until, estimated)
        return View(self._outlook(signal), newest.end if now < newest.end else valid_until)

    def first_day(self, start: Instant) -> list[MilligramsPerKWh | None]:
        """The value of each of the first 24 hours; None where there is none."""
        outlooks = (self.view(start + number * self.hour).outlook for number in range(_HOURS))
        signals = (outlook.current if outlook else None for outlook in outlooks)
        return [signal.intensity if isinstance(signal, Signal) else None for signal in signals]

    def _outlook(self, current: Signal | Missing) -> Outlook:
        return Outlook(self.zone, current, self.fallback)


def played_grid(name: str, manifests: Manifests, start: Instant) -> PlayedGrid | None:
    """The grid of a zone of the files, else of a built-in one by its key; None without either.

    Raises CommandError: what a zone of the files refers to is missing or cannot be read.
    """
    spec = manifests.zones.get(name)
    if spec is None:
        key, known = name.upper(), built_in().zones
        return _published(name, [key], _yearly(key)) if key in known else None
    source = _average(spec)
    standing_in = fallback_intensity(spec, Known(name), start)
    fallback = Fallback(standing_in.intensity, standing_in.origin)
    if source.type not in (SourceType.RECORDING, SourceType.STATIC):
        return _published(name, zone_keys(spec, name, built_in()), fallback)
    try:
        texts = _texts(name, source, manifests)
        played = provider(source, created=start, texts=texts, permissions=OF_A_USER)
    except SignalError as error:
        raise CommandError(f"CarbonZone {name}: {error}") from error
    return _own_series(name, played, fallback)


def _average(spec: CarbonZoneSpec) -> Source:
    marginal = signal_of(spec.source) is SignalKind.MARGINAL
    return spec.accounting_source if marginal and spec.accounting_source else spec.source


def _texts(name: str, source: Source, manifests: Manifests) -> dict[str, str]:
    wanted = reference(source)
    if wanted is None:
        return {}
    if wanted.name not in manifests.texts:
        raise CommandError(
            f"CarbonZone {name} plays ConfigMap {wanted.name}: give the file that holds it too"
        )
    return manifests.texts[wanted.name]


def _own_series(name: str, played: Provider, fallback: Fallback) -> PlayedGrid:
    if not isinstance(played, Recording):
        return PlayedGrid(name, "its fixed value", played, fallback)
    speed = "" if played.speed == 1 else f", {played.speed} times as fast"
    hour = timedelta(hours=1) / played.speed
    return PlayedGrid(name, f"its recording{speed}", played, fallback, hour)


def _published(name: str, keys: list[str], fallback: Fallback) -> PlayedGrid:
    """Published means of a zone: of each hour where there are any, else of its year."""
    day = published_day(keys)
    if day:
        return PlayedGrid(name, day.source, day, fallback)
    flat = PublishedDay((fallback.intensity,) * _HOURS, fallback.source, factors=None)
    return PlayedGrid(name, f"{fallback.source}, the same all day", flat, fallback)


def _yearly(key: str) -> Fallback:
    mean = built_in().zones[key]
    return Fallback(mean.intensity, f"{mean.source}, zone {key}, mean of {mean.year}")
