"""simulate(): what it says is what decide() says, at every instant."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, a_child, a_held_job, a_window, an_outlook, hours, minutes, some_windows
from carbonaware_operator.api.job import Strategy, WhenDeadlineReached, WhenSignalMissing
from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason
from carbonaware_operator.planning.decision import Fail, Hold, Release
from carbonaware_operator.planning.rules import decide
from carbonaware_operator.planning.simulate import Grid, View, mean_intensity, simulate
from carbonaware_operator.planning.situation import Job, Situation
from carbonaware_operator.planning.windows import ALWAYS
from carbonaware_operator.quantities.emissions import milligrams_per_kwh
from carbonaware_operator.quantities.instants import Instant

WEEK = hours(24 * 7)


def an_hourly_grid(grams: Sequence[float | None]) -> Grid:
    """A grid of these values, an hour for each from noon on; the last one for ever."""

    def view(now: Instant) -> View:
        hour = max(0, min((now - NOON) // hours(1), len(grams) - 1))
        last = hour == len(grams) - 1
        return View(an_outlook(grams[hour]), None if last else NOON + hours(hour + 1))

    return view


def told(job: Job, grams: Sequence[float | None]) -> list[tuple[float, str]]:
    """Hours after noon and reason of each step."""
    steps = simulate(job, an_hourly_grid(grams), NOON, NOON + WEEK)
    return [((step.time - NOON) / hours(1), step.decision.reason) for step in steps]


NOON_TO_TWO = some_windows(a_window("15:00", "17:00"))

CASES = {
    "the first hour below the limit starts it": (
        a_held_job(max_grams=200), [300, 250, 190, 100],
        [(0, HoldReason.ABOVE_MAX_INTENSITY), (2, ReleaseReason.INTENSITY_ACCEPTABLE)],
    ),
    "a deadline wins, also between two values": (
        a_held_job(max_grams=200, deadline=NOON + minutes(90)), [300, 250, 190],
        [(0, HoldReason.ABOVE_MAX_INTENSITY), (1.5, ReleaseReason.DEADLINE_REACHED)],
    ),
    "a deadline may fail it": (
        a_held_job(
            max_grams=200, deadline=NOON + hours(1),
            when_deadline_reached=WhenDeadlineReached.FAIL,
        ), [300],
        [(0, HoldReason.ABOVE_MAX_INTENSITY), (1, EndReason.DEADLINE_MISSED)],
    ),
    "its window opens on a dirty grid, which gets clean inside it": (
        a_held_job(max_grams=200, windows=NOON_TO_TWO), [100, 100, 100, 300, 200],
        [(0, HoldReason.OUTSIDE_WINDOW), (3, HoldReason.ABOVE_MAX_INTENSITY),
         (4, ReleaseReason.INTENSITY_ACCEPTABLE)],
    ),
    "a signal that is lost leaves it to the fallback": (
        a_held_job(max_grams=500), [600, None],
        [(0, HoldReason.ABOVE_MAX_INTENSITY), (1, ReleaseReason.INTENSITY_ACCEPTABLE)],
    ),
    "its user holds it for ever": (
        a_held_job(suspend=True), [100, 200],
        [(0, HoldReason.SUSPENDED_BY_USER)],
    ),
}  # fmt: skip


class TestSimulate:
    @pytest.mark.parametrize(("job", "grams", "steps"), CASES.values(), ids=CASES.keys())
    def test_says(self, job: Job, grams: list[float | None], steps: list[tuple[float, str]]):
        """Hours and reasons, from creation to the start."""
        assert steps == told(job, grams)

    def test_does_not_look_beyond_its_end(self):
        """What happens after it is not said."""
        steps = simulate(
            a_held_job(max_grams=200), an_hourly_grid([300, 100]), NOON, NOON + minutes(59)
        )

        assert [HoldReason.ABOVE_MAX_INTENSITY] == [step.decision.reason for step in steps]

    def test_takes_no_job_that_has_been_started(self):
        """A run is not simulated: nobody knows when its user suspends it."""
        with pytest.raises(ValueError, match="not been started"):
            simulate(a_held_job(child=a_child()), an_hourly_grid([1]), NOON, NOON + WEEK)


class TestMeanIntensity:
    def test_weighs_by_time(self):
        """From half past noon, half an hour of 300 and one of 100."""
        grid = an_hourly_grid([300, 100, 900])

        assert milligrams_per_kwh(200) == mean_intensity(grid, NOON + minutes(30), hours(1))

    def test_of_no_time_is_the_value_itself(self):
        """What the grid is like at the start."""
        assert milligrams_per_kwh(100) == mean_intensity(
            an_hourly_grid([300, 100]), NOON + hours(1), timedelta()
        )

    def test_is_unknown_where_a_part_is(self):
        """A fallback is good enough to decide on, and not to claim a saving with."""
        assert mean_intensity(an_hourly_grid([300, None]), NOON, hours(2)) is None


grams = st.integers(0, 600)
moments = st.integers(0, 48 * 60).map(lambda count: NOON + minutes(count))


@st.composite
def waiting_jobs(draw) -> Job:
    """A job that nothing but the grid, its windows and its deadline hold."""
    return a_held_job(
        strategy=draw(st.sampled_from(Strategy)),
        max_grams=draw(st.none() | grams),
        preferred_grams=draw(st.none() | grams),
        earliest_start=draw(st.none() | moments),
        deadline=draw(moments),
        windows=draw(
            st.sampled_from([ALWAYS, NOON_TO_TWO, some_windows(a_window("22:00", "06:00"))])
        ),
        when_signal_missing=draw(st.sampled_from(WhenSignalMissing)),
        when_deadline_reached=draw(st.sampled_from(WhenDeadlineReached)),
    )


hourly = st.lists(st.none() | grams, min_size=1, max_size=50)


class TestProperties:
    @given(waiting_jobs(), hourly, st.lists(st.floats(0, 1), max_size=8))
    def test_says_at_every_instant_what_the_operator_decides(self, job, grams, parts):
        """Whenever it is asked in between, decide() gives the reason of the step in effect."""
        grid = an_hourly_grid(grams)
        steps = simulate(job, grid, NOON, NOON + WEEK)
        last = steps[-1].time

        for part in parts:
            now = NOON + (last - NOON) * part
            standing = [step for step in steps if step.time <= now][-1]
            decided = decide(Situation(job, grid(now).outlook, now))
            assert (type(standing.decision), standing.decision.reason) == (
                type(decided), decided.reason,
            )  # fmt: skip

    @given(waiting_jobs(), hourly)
    def test_a_deadline_always_wins(self, job, grams):
        """It starts or fails by its deadline; only `earliestStart` may lie behind that."""
        last = simulate(job, an_hourly_grid(grams), NOON, NOON + WEEK)[-1]

        assert isinstance(last.decision, Release | Fail)
        assert last.time <= max(job.schedule.deadline, job.schedule.earliest_start or NOON)

    @given(waiting_jobs(), hourly)
    def test_only_the_last_step_ends_the_wait(self, job, grams):
        """And no two holds beside each other are for the same reason."""
        *holds, _last = simulate(job, an_hourly_grid(grams), NOON, NOON + WEEK)
        reasons = [step.decision.reason for step in holds]

        assert all(isinstance(step.decision, Hold) for step in holds)
        assert all(one != next_ for one, next_ in pairwise(reasons))
