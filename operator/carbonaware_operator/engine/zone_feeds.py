"""Which feeds a zone has: what its sources are asked for, and who uses what comes."""

from collections.abc import Callable, Mapping
from functools import partial

from carbonaware_operator.api.sources import SignalKind, Source
from carbonaware_operator.engine.feed import Archived, Asked, Asking, Feed, Newest
from carbonaware_operator.engine.zone_history import ZoneHistory
from carbonaware_operator.engine.zone_signal import ZoneSignal
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.points import MarginalPoint, Point
from carbonaware_operator.grid.sources import Permissions, marginal_provider, provider, signal_of
from carbonaware_operator.store.zones import ZoneRecord

AnyFeed = Feed[Point] | Feed[MarginalPoint]


def feeds_of(
    record: ZoneRecord,
    signal: ZoneSignal,
    history: ZoneHistory,
    *,
    asking: Asking,
    on_news: Callable[[], None],
) -> list[AnyFeed]:
    """One feed for each source of a zone.

    The average that is decided on comes from `source`, or from `accountingSource` when `source` is
    marginal; the average that is archived comes from `accountingSource` where there is one.
    """
    source, accounting = record.spec.source, record.spec.accounting_source
    average = partial(_average, record=record, permissions=asking.permissions)
    feed = partial(Feed[Point], record.name, asking=asking, on_news=on_news)
    archived = Archived(signal, history, signal)
    if accounting is None:
        return [feed(source, archived, make=average(source), forecasts_to=signal)]
    make = average(accounting)
    if _is_marginal(source):
        shown = Feed(
            record.name,
            source,
            Newest(signal.marginal),
            make=_marginal(source, asking.permissions),
            asking=asking,
            on_news=on_news,
        )
        return [feed(accounting, archived, make=make, forecasts_to=signal), shown]
    decides = feed(source, Newest(signal), make=average(source), forecasts_to=signal)
    prices = feed(accounting, Archived(signal.accounting, history, signal), make=make)
    return [decides, prices]


def _average(
    source: Source, record: ZoneRecord, permissions: Permissions
) -> Callable[[Mapping[str, str]], Asked[Point]]:
    return lambda texts: provider(
        source, created=record.created, texts=texts, permissions=permissions
    )


def _marginal(
    source: Source, permissions: Permissions
) -> Callable[[Mapping[str, str]], Asked[MarginalPoint]]:
    return lambda texts: marginal_provider(source, texts=texts, permissions=permissions)


def archives_what_decides(record: ZoneRecord) -> bool:
    """Whether the archive is of the average that jobs are decided on."""
    return record.spec.accounting_source is None or _is_marginal(record.spec.source)


def _is_marginal(source: Source) -> bool:
    try:
        return signal_of(source) is SignalKind.MARGINAL
    except SignalMisconfigured:
        return False  # an older CRD let it through; making its provider says what is wrong
