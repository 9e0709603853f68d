"""Day-ahead prices: the market's own forecast of wind, sun and load, known half a day before."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from carbonaware_operator.quantities.instants import Instant

PUBLISHED_AT = time(13)
"""Local time from which the prices of the next local day are known: day-ahead auctions of Europe
and North America publish around it."""

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, eq=False)
class DayAheadPrices:
    """Prices of the market that a zone lies in.

    start: the first hour, the same as that of the history beside it.
    values: float64[m], any currency per MWh; index i is the hour `start` + i; NaN = missing. Those
        of the coming hours may go beyond the end of the history.
    zone: the market's own time zone; its days are auctioned.
    """

    start: Instant
    values: NDArray[np.float64]
    zone: tzinfo

    def known_at(self, now: Instant) -> "DayAheadPrices":
        """The prices published by then."""
        end = max(0, (published_until(now, self.zone) - self.start) // _HOUR)
        return DayAheadPrices(self.start, self.values[:end], self.zone)


def published_until(now: Instant, zone: tzinfo) -> Instant:
    """The end of the last local day whose prices are published at an instant, in UTC.

    That is today, and from `PUBLISHED_AT` on tomorrow.
    """
    local = now.astimezone(zone)
    days = 2 if local.time() >= PUBLISHED_AT else 1
    midnight = datetime.combine(local.date() + timedelta(days=days), time(), tzinfo=zone)
    return midnight.astimezone(UTC)
