"""Posting: each joule once, in the period in which it was used."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting_fakes import (
    HOUR,
    MIDNIGHT,
    TrueSeries,
    a_ledger,
    a_mark,
    a_sample,
    energies,
    hours,
)
from carbonaware_operator.accounting import ledger as ledger_module
from carbonaware_operator.accounting.ledger import (
    LedgerFullError,
    empty_ledger,
    final,
    post,
    settle,
    unposted_since,
)
from carbonaware_operator.accounting.samples import SeriesSample
from carbonaware_operator.accounting.sums import sums_of
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.quantities.instants import Instant

NOON = MIDNIGHT + hours(12)


def posted(*samples: SeriesSample, to: Ledger | None = None) -> Ledger:
    """A ledger after one post."""
    return post(to or empty_ledger(), samples, period_seconds=HOUR)


class TestPost:
    def test_without_marks_puts_energy_into_the_period_of_the_sample(self) -> None:
        """What is above the last mark was used in the period that is still open."""
        ledger = posted(a_sample(7, NOON + hours(0.5)))

        assert {"2025-11-24T12:00:00Z": 7} == energies(ledger)

    def test_splits_energy_at_the_marks(self) -> None:
        """However long nobody asked, energy keeps the period it was used in."""
        marks = a_mark(NOON, 10), a_mark(NOON + hours(1), 10), a_mark(NOON + hours(2), 25)

        ledger = posted(a_sample(31, NOON + hours(3.2), *marks))

        assert {
            "2025-11-24T12:00:00Z": 10,
            "2025-11-24T14:00:00Z": 15,
            "2025-11-24T15:00:00Z": 6,
        } == energies(ledger)

    def test_starts_at_the_cursor(self) -> None:
        """Marks below the cursor were posted before."""
        before = posted(a_sample(12, NOON + hours(1.5), a_mark(NOON, 10)))

        ledger = posted(
            a_sample(20, NOON + hours(2.5), a_mark(NOON, 10), a_mark(NOON + hours(1), 17)),
            to=before,
        )

        assert [10, 7, 3] == list(energies(ledger).values())

    @pytest.mark.parametrize("value", [0, 11, 12])
    def test_ignores_a_value_that_is_not_above_the_cursor(self, value: int) -> None:
        """An old or repeated sample changes nothing, not even the revision."""
        before = posted(a_sample(12, NOON))

        assert before is posted(a_sample(value, NOON + hours(1)), to=before)

    def test_takes_a_new_epoch_for_a_new_series_from_zero(self) -> None:
        """A counter that began anew is added to what the one before had reached."""
        ledger = posted(a_sample(5, NOON, epoch="e2"), to=posted(a_sample(12, NOON)))

        assert 17 == sums_of(ledger).energy
        assert ["e1", "e2"] == [cursor.epoch for cursor in ledger.sources]

    def test_raises_the_revision_once_however_much_is_new(self) -> None:
        """A posting is one change of the account."""
        ledger = posted(a_sample(5, NOON), a_sample(6, NOON, node="n2"))

        assert 1 == ledger.revision

    def test_to_a_settled_ledger_is_ignored(self) -> None:
        """A closed account stays as it was charged."""
        closed = settle(posted(a_sample(12, NOON)))

        assert closed is posted(a_sample(99, NOON), to=closed)

    def test_makes_periods_of_another_length_final(self) -> None:
        """The period's length may be changed while jobs run; no energy is lost."""
        before = posted(a_sample(12, NOON))

        ledger = post(before, [a_sample(20, NOON)], period_seconds=60)

        assert (60, 20) == (ledger.period_seconds, sums_of(ledger).energy)
        assert {"2025-11-24T12:00:00Z": 8} == energies(ledger)

    def test_refuses_more_sources_than_the_crd_holds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Dropping a cursor would count its series twice, so the posting fails instead."""
        monkeypatch.setattr(ledger_module, "MOST_SOURCES", 2)

        with pytest.raises(LedgerFullError, match="at most 2"):
            posted(*(a_sample(1, NOON, node=f"n{n}") for n in range(3)))

    def test_result_survives_the_api(self) -> None:
        """What is written is what is read back."""
        ledger = posted(a_sample(12, NOON))

        text = ledger.model_dump_json(by_alias=True, exclude_none=True)

        assert ledger == Ledger.model_validate_json(text)


class TestSettle:
    def test_is_done_once(self) -> None:
        """Settling twice is settling once."""
        closed = settle(a_ledger(1))

        assert (True, 2) == (closed.settled, closed.revision)
        assert closed is settle(closed)

    def test_leaves_periods_open_to_revised_prices(self) -> None:
        """An account is final when it is settled and its last period is."""
        assert not final(settle(a_ledger(1)))
        assert final(settle(a_ledger()))
        assert not final(a_ledger())
        assert not final(None)


class TestUnpostedSince:
    def test_is_the_oldest_cursor(self) -> None:
        """Marks are needed from the series that was posted least recently."""
        ledger = posted(a_sample(1, NOON), a_sample(1, NOON + hours(2), node="n2"))

        assert NOON == unposted_since(ledger)

    def test_is_a_day_before_the_newest_cursor_at_most(self) -> None:
        """A node that died weeks ago does not make every agent tell of weeks."""
        ledger = posted(a_sample(1, NOON), a_sample(1, NOON + hours(100), node="n2"))

        assert NOON + hours(76) == unposted_since(ledger)

    def test_is_unknown_without_cursors(self) -> None:
        """The caller knows when the job began."""
        assert None is unposted_since(None)
        assert None is unposted_since(empty_ledger())


PERIOD = 10
_steps = st.lists(
    st.tuples(
        st.integers(0, 3),  # which series
        st.integers(0, 12_000),  # milliseconds since the step before
        st.integers(0, 10**9),  # microjoules
        st.booleans(),  # scraped after it
    ),
    min_size=1,
    max_size=40,
)


class TestEveryHistory:
    """Agents, crashes and reordering, against energies that are known."""

    @given(steps=_steps, deliveries=st.lists(st.tuples(st.integers(0, 39), st.booleans())))
    def test_gives_the_true_total_and_the_true_split(
        self, steps: list[tuple[int, int, int, bool]], deliveries: list[tuple[int, bool]]
    ) -> None:
        """Scrapes may repeat, overtake each other and have their write lost, and nodes may die."""
        series = [
            TrueSeries(node="n1", epoch="a"),
            TrueSeries(node="n1", epoch="b"),
            TrueSeries(node="n2", epoch="a"),
            TrueSeries(node="n3", epoch="a", source="tdp"),
        ]
        scrapes = _scrapes(series, steps)

        ledger = empty_ledger()
        delivered: dict[int, Instant] = {}
        for index, write_is_lost in deliveries:
            if not scrapes:
                break
            which, time = scrapes[index % len(scrapes)]
            after = post(ledger, [series[which].sample(time, PERIOD)], period_seconds=PERIOD)
            if not write_is_lost:
                ledger = after
                delivered[which] = max(time, delivered.get(which, time))

        truth: Counter[str] = Counter()
        for which, time in delivered.items():
            truth.update(series[which].by_period(time, PERIOD))
        assert dict(truth) == energies(ledger)
        assert sum(truth.values()) == sums_of(ledger).energy

    @given(steps=_steps)
    def test_is_independent_of_how_often_the_operator_looked(
        self, steps: list[tuple[int, int, int, bool]]
    ) -> None:
        """One scrape at the end tells the same as a scrape at every step."""
        series = [TrueSeries(node=f"n{n}") for n in range(4)]
        scrapes = _scrapes(series, [(*step[:3], True) for step in steps])
        often = empty_ledger()
        for which, time in scrapes:
            sample = series[which].sample(time, PERIOD, since=unposted_since(often))
            often = post(often, [sample], period_seconds=PERIOD)
        last = scrapes[-1][1]

        once = post(
            empty_ledger(), [one.sample(last, PERIOD) for one in series], period_seconds=PERIOD
        )

        assert energies(often) == energies(once)


def _scrapes(
    series: list[TrueSeries], steps: list[tuple[int, int, int, bool]]
) -> list[tuple[int, Instant]]:
    """Use energy step by step; the series and times that were scraped."""
    now, scrapes = MIDNIGHT, []
    for which, milliseconds, energy, scraped in steps:
        now += timedelta(milliseconds=milliseconds)
        series[which].use(energy, now)
        if scraped:
            scrapes.append((which, now))
    # A scrape sees its instant as a whole: what was used at the same instant later is in it, too.
    return scrapes
