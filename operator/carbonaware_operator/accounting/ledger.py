"""Posting: from cumulative counters to energy by accounting period, each joule exactly once.

A ledger holds a cursor for each series of each agent, which only rises, and the energy between the
positions of a cursor by period; both change together. Reading an agent twice, late, out of order or
after a crash therefore gives the same account.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from carbonaware_operator.accounting.samples import SeriesSample
from carbonaware_operator.accounting.sums import freeze
from carbonaware_operator.api.ledger import Ledger, LedgerPeriod, SourceCursor
from carbonaware_operator.quantities.instants import Instant, format_instant, parse_instant
from carbonaware_operator.quantities.periods import period_start

MOST_SOURCES = 4096
OPEN_FOR = timedelta(hours=24)
"""How long after its end a period may still be priced anew."""

_Key = tuple[str, str, str, str, str]


class LedgerFullError(ValueError):
    """A job has been run by more series than its ledger can hold cursors for."""


def empty_ledger() -> Ledger:
    """The account of a job that has used nothing yet."""
    return Ledger(sources=[], hours=[])


def post(ledger: Ledger, samples: Iterable[SeriesSample], *, period_seconds: int) -> Ledger:
    """Take in samples of the job's series; the same ledger when they bring nothing new.

    Energy above a cursor goes to the periods that the marks delimit, and what is above the last
    mark to the period in which the sample was taken. A series without a cursor begins at 0. A
    settled ledger takes nothing in. When the length of periods has changed, the periods so far
    become final as they are.
    Raises LedgerFullError.
    """
    if ledger.settled:
        return ledger
    cursors = {_key_of_cursor(cursor): cursor for cursor in ledger.sources}
    gained: dict[Instant, int] = defaultdict(int)
    for sample in samples:
        _advance(cursors, gained, sample, period_seconds)
    if not gained:
        return ledger
    if len(cursors) > MOST_SOURCES:
        raise LedgerFullError(
            f"a job's ledger must have at most {MOST_SOURCES} sources (nodes x domains x"
            f" restarts of agents), not {len(cursors)}"
        )
    current = _in_periods_of(ledger, period_seconds)
    return current.model_copy(
        update={
            "revision": ledger.revision + 1,
            "period_seconds": period_seconds,
            "sources": [cursors[key] for key in sorted(cursors)],
            "hours": _with_energy(current.hours, gained),
        }
    )


def settle(ledger: Ledger) -> Ledger:
    """Close the account: no more energy is taken in. Its periods stay open to revised prices."""
    if ledger.settled:
        return ledger
    return ledger.model_copy(update={"settled": True, "revision": ledger.revision + 1})


def final(ledger: Ledger | None) -> bool:
    """True when neither more energy nor another price can come."""
    return bool(ledger and ledger.settled and not ledger.hours)


def unposted_since(ledger: Ledger | None) -> Instant | None:
    """The oldest instant after which a series of the job may hold energy that is not posted.

    None without cursors. A cursor that is a day behind the newest is of a series that has ended or
    whose node is gone; it holds back nobody. Should it move after all, its energy is still counted
    in full, but from then on by the marks that the agent was asked for.
    """
    times = [parse_instant(cursor.time) for cursor in ledger.sources] if ledger else []
    return max(min(times), max(times) - OPEN_FOR) if times else None


def _advance(
    cursors: dict[_Key, SourceCursor],
    gained: dict[Instant, int],
    sample: SeriesSample,
    period_seconds: int,
) -> None:
    """Raise one cursor to a sample, and put the energy between the two into periods."""
    key = (sample.node, sample.owner_uid, sample.domain, sample.source, sample.epoch)
    cursor = cursors.get(key)
    position = cursor.microjoules if cursor else 0
    if sample.microjoules <= position:
        return
    rest = (period_start(sample.time, period_seconds), sample.microjoules)
    for period, cumulative in (*sample.marks, rest):
        if cumulative > position:
            gained[period] += cumulative - position
            position = cumulative
    cursors[key] = SourceCursor(
        node=sample.node,
        owner=sample.owner_uid,
        zone=sample.domain,
        source=sample.source,
        epoch=sample.epoch,
        microjoules=sample.microjoules,
        time=format_instant(sample.time),
    )


def _with_energy(hours: list[LedgerPeriod], gained: dict[Instant, int]) -> list[LedgerPeriod]:
    periods = {period.start_time: period for period in hours}
    for start, microjoules in gained.items():
        name = format_instant(start)
        before = periods.get(name) or LedgerPeriod(start_time=name, microjoules=0)
        total = before.microjoules + microjoules
        periods[name] = before.model_copy(update={"microjoules": total})
    return [periods[name] for name in sorted(periods)]


def _in_periods_of(ledger: Ledger, period_seconds: int) -> Ledger:
    if ledger.period_seconds in (None, period_seconds):
        return ledger
    frozen = freeze(ledger.frozen, ledger.hours)
    return ledger.model_copy(update={"hours": [], "frozen": frozen})


def _key_of_cursor(cursor: SourceCursor) -> _Key:
    return (cursor.node, cursor.owner, cursor.zone, cursor.source, cursor.epoch)
