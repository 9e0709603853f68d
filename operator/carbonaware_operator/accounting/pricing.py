"""Pricing: the grid intensity of each accounting period, and of the same run begun at once.

Prices are a function of the energy by period and of what the zone's archive says, so an account
does not depend on when the operator looked. Only average intensity prices anything.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from carbonaware_operator.accounting.ledger import OPEN_FOR
from carbonaware_operator.accounting.sums import freeze
from carbonaware_operator.api.ledger import Ledger, LedgerPeriod
from carbonaware_operator.grid.archive import PeriodIntensity
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant, parse_instant
from carbonaware_operator.quantities.periods import HOUR_SECONDS, periods_between

MOST_OPEN_PERIODS = 512
"""Half of what the CRD lets `hours` hold: one posting may add as many before they are folded."""

Shift = tuple[Instant, int]
"""From when on the run is how many seconds later than run-at-once."""


IntensityOf = Callable[[Instant], PeriodIntensity | None]
"""The mean of the period that starts at an instant; None where nothing is known."""


def price(
    ledger: Ledger,
    *,
    intensity: IntensityOf,
    shifts: Sequence[Shift],
    pue_milli: int,
    now: Instant,
) -> Ledger:
    """Price the open periods anew and make old ones final; the same ledger when nothing changes.

    intensity: of the job's zone, in periods as long as the ledger's.
    shifts: in order of time; the one in effect at the end of a period holds for all of it. Without
    shifts nothing is compared.
    pue_milli: captured by each period when it is first priced.
    A price once given is replaced by another, never taken away: an archive that has not been read
    yet must not undo it.
    A period is final 24 hours after its end. Of more than `MOST_OPEN_PERIODS` open ones the oldest
    become final earlier, as the CRD bounds the list: that happens when periods last seconds. Energy
    that arrives for a period already final is priced and rounded apart.
    """
    seconds = ledger.period_seconds or HOUR_SECONDS
    priced = [_priced(period, seconds, intensity, shifts, pue_milli) for period in ledger.hours]
    final = _count_of_final(priced, seconds, now)
    if final == 0 and priced == ledger.hours:
        return ledger
    return ledger.model_copy(
        update={
            "revision": ledger.revision + 1,
            "hours": priced[final:],
            "frozen": freeze(ledger.frozen, priced[:final]),
        }
    )


def _count_of_final(periods: Sequence[LedgerPeriod], seconds: int, now: Instant) -> int:
    """How many of the periods, which are in order of time, are final."""
    last_start = now - OPEN_FOR - timedelta(seconds=seconds)
    old = sum(parse_instant(period.start_time) <= last_start for period in periods)
    return max(old, len(periods) - MOST_OPEN_PERIODS)


def _priced(
    period: LedgerPeriod,
    seconds: int,
    intensity: IntensityOf,
    shifts: Sequence[Shift],
    pue_milli: int,
) -> LedgerPeriod:
    start = parse_instant(period.start_time)
    mean = intensity(start)
    if mean is None:
        return period
    changes: dict[str, object] = {
        "milligrams_per_kwh": mean.milligrams_per_kwh,
        "pue_milli": period.pue_milli or pue_milli,
        "estimated": mean.estimated,
    }
    baseline = _baseline(start, seconds, intensity, shifts)
    if baseline:
        changes["baseline_milligrams_per_kwh"] = baseline.milligrams_per_kwh
        changes["estimated"] = mean.estimated or baseline.estimated
    return period.model_copy(update=changes)


def _baseline(
    start: Instant, seconds: int, intensity: IntensityOf, shifts: Sequence[Shift]
) -> PeriodIntensity | None:
    """The mean of the stretch in which run-at-once would have used a period's energy."""
    if not shifts:
        return None
    end = start + timedelta(seconds=seconds)
    # Energy before the first shift can only be a difference of clocks: the first one holds.
    in_effect = [later for since, later in shifts if since < end] or [shifts[0][1]]
    return _mean_over(start - timedelta(seconds=in_effect[-1]), seconds, intensity)


def _mean_over(start: Instant, seconds: int, intensity: IntensityOf) -> PeriodIntensity | None:
    """The mean over one period's length, weighted by time; None when any of it is unknown."""
    length = timedelta(seconds=seconds)
    end, weighted, estimated = start + length, 0, False
    for first in periods_between(start, end, seconds):
        mean = intensity(first)
        if mean is None:
            return None
        overlap = min(first + length, end) - max(first, start)
        weighted += mean.milligrams_per_kwh * int(overlap.total_seconds())
        estimated = estimated or mean.estimated
    return PeriodIntensity(MilligramsPerKWh((weighted + seconds // 2) // seconds), estimated)
