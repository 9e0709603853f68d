"""What ridge regression looks at: how the last days differ from their profile, and the calendar.

Columns are grouped. A group's weight says how freely the regression may use it: columns are
brought to unit variance and multiplied by it, so that the same penalty shrinks them less.
"""

from dataclasses import dataclass

import numpy as np

from carbonaware_operator.forecasting.days import PROFILE_DAYS, days_before, profile_of
from carbonaware_operator.forecasting.model import LIMIT_DAYS
from carbonaware_operator.forecasting.prices import DayAheadPrices, published_until
from carbonaware_operator.forecasting.series import (
    DAY_HOURS,
    HOUR,
    FloatArray,
    History,
    IntArray,
    filled,
    log_intensity,
)
from carbonaware_operator.quantities.instants import Instant

FIRST_ORIGIN = PROFILE_DAYS * DAY_HOURS
"""The first index from which features can be computed."""

_LONG_DAYS = (56, 112, 224)
_LAST_HOURS = (1, 3, 6, 12)
_LEVEL_DAYS = 7
_YEAR_DAYS = 365.25

_PRICE_HOURS = 32
"""Most hours of price used: at 00:00 UTC the Californian market knows the next 32."""

_PRICE_WEIGHT = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What is known at k origins.

    columns: float64[k, p]; weights: float64[p], see above.
    usual: float64[k, LIMIT_HOURS], log intensity going by the profile alone; the regression learns
        what differs from it.
    """

    columns: FloatArray
    weights: FloatArray
    usual: FloatArray


def features(history: History, origins: IntArray, price_unit: float | None) -> Features:
    """What was known at each origin; each must be at least `FIRST_ORIGIN`.

    price_unit: what `price_unit` returned for the history that was fitted; None without prices.
    """
    logs = log_intensity(filled(history.values))
    days = days_before(logs, origins)
    profile = profile_of(days)
    groups = [
        *_intensity_groups(logs, origins, days, profile),
        *_calendar_groups(history, origins),
    ]
    if history.prices is not None and price_unit is not None:
        groups.append((_PRICE_WEIGHT, _price_columns(history, history.prices, origins, price_unit)))
    return Features(
        columns=np.concatenate([columns for _, columns in groups], axis=1),
        weights=np.concatenate([np.full(c.shape[1], weight) for weight, c in groups]),
        usual=np.tile(profile, (1, LIMIT_DAYS)),
    )


def price_unit(history: History) -> float | None:
    """The price above which its growth counts less and less; None without prices."""
    if history.prices is None or np.isnan(history.prices.values).all():
        return None
    return float(np.nanmedian(np.abs(history.prices.values))) or 1.0


def _intensity_groups(
    logs: FloatArray, origins: IntArray, days: FloatArray, profile: FloatArray
) -> list[tuple[float, FloatArray]]:
    above = days - profile[:, None]
    level = profile.mean(axis=1, keepdims=True)
    last = [above[:, 0, -hours:].mean(axis=1) for hours in _LAST_HOURS]
    return [
        (2.0, above[:, 0]),
        (0.5, above[:, 1]),
        (3.0, np.stack(last, axis=1)),
        (1.0, above[:, :_LEVEL_DAYS].mean(axis=2)),
        (1.0, level),
        (0.5, profile - level),
        (1.0, _long_levels(logs, origins) - level),
    ]


def _long_levels(logs: FloatArray, origins: IntArray) -> FloatArray:
    """Means of the last months, float64[k, 3], of what there is of them."""
    sums = np.concatenate([[0.0], np.cumsum(logs)])
    firsts = np.maximum(origins[:, None] - DAY_HOURS * np.array(_LONG_DAYS), 0)
    means: FloatArray = (sums[origins][:, None] - sums[firsts]) / (origins[:, None] - firsts)
    return means


def _calendar_groups(history: History, origins: IntArray) -> list[tuple[float, FloatArray]]:
    hours = origins + int(history.start.timestamp()) // 3600
    weekday = np.eye(7)[(hours // DAY_HOURS) % 7]
    angle = 2 * np.pi * hours / (DAY_HOURS * _YEAR_DAYS)
    waves = [wave(n * angle) for n in (1, 2) for wave in (np.sin, np.cos)]
    return [(1.0, weekday), (1.0, np.stack(waves, axis=1))]


def _price_columns(
    history: History, prices: DayAheadPrices, origins: IntArray, unit: float
) -> FloatArray:
    """How the published prices of the coming hours differ from their profile, float64[k, 34].

    An hour whose price was not published at the origin counts as usual.
    """
    end = int(origins.max()) + _PRICE_HOURS
    padded = np.full(end, np.nan)
    padded[: min(end, len(prices.values))] = prices.values[:end]
    # Scarcity makes prices a hundredfold: beyond the unit they count by their logarithm.
    scaled = filled(np.arcsinh(padded / unit))
    days = days_before(scaled, origins)
    profile = profile_of(days)
    ahead = np.arange(_PRICE_HOURS)
    coming = origins[:, None] + ahead
    above = scaled[coming] - profile[:, ahead % DAY_HOURS]
    published = [(published_until(now, prices.zone) - now) // HOUR for now in _at(history, origins)]
    above[(ahead >= np.array(published)[:, None]) | np.isnan(padded[coming])] = 0.0
    next_day = above[:, :DAY_HOURS].mean(axis=1, keepdims=True)
    last_day = (days[:, 0] - profile).mean(axis=1, keepdims=True)
    return np.concatenate([above, next_day, last_day], axis=1)


def _at(history: History, origins: IntArray) -> list[Instant]:
    return [history.at(int(origin)) for origin in origins]
