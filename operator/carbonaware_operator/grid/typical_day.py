"""The typical day of a zone: how its intensity goes through the hours, learnt from its archive."""

from dataclasses import dataclass
from datetime import UTC

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.archive import MAX_PERIODS, Archive
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant

LEAST_DAYS = 14
"""Two of each day of the week: of less, one windy week would pass for the zone's habit."""

_HOURS = 24
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class TypicalDay:
    """The mean intensity of every hour of the day, UTC, index 0 = midnight, mgCO2e/kWh.

    last: the start of the newest period that it rests on; factors: which emissions are counted,
    None where that is not known.
    """

    hours: tuple[MilligramsPerKWh, ...]
    last: Instant
    factors: EmissionFactors | None = None

    @property
    def mean(self) -> MilligramsPerKWh:
        """The mean of the whole day."""
        return MilligramsPerKWh(round(sum(self.hours) / _HOURS))

    def scaled(self, mean: MilligramsPerKWh, instant: Instant) -> MilligramsPerKWh:
        """The value of an instant on a day of the same shape with this mean."""
        if not self.mean:
            return mean
        hour = self.hours[instant.astimezone(UTC).hour]
        return MilligramsPerKWh(round(mean * hour / self.mean))


def typical_day(archive: Archive) -> TypicalDay | None:
    """The typical day of an archive; None where it knows less than `LEAST_DAYS` or lacks an hour.

    A period counts for the hour that it begins in.
    """
    if MAX_PERIODS * archive.period_seconds < LEAST_DAYS * _DAY_SECONDS:
        return None  # it could never hold as much, and would be gone through for nothing
    sums, counts, last = [0] * _HOURS, [0] * _HOURS, None
    for last, mean in archive.known():
        sums[last.hour] += mean.milligrams_per_kwh
        counts[last.hour] += 1
    known = sum(counts) * archive.period_seconds
    if last is None or known < LEAST_DAYS * _DAY_SECONDS or not all(counts):
        return None
    hours = (round(total / count) for total, count in zip(sums, counts, strict=True))
    return TypicalDay(tuple(MilligramsPerKWh(hour) for hour in hours), last, archive.factors)
