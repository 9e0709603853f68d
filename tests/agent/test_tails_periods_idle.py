"""Tails from parent slices, intervals over periods, and idle power."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_agent.attribution.idle import LIGHT_SAMPLES, SAMPLES_TO_LEARN, IdlePower
from carbonaware_agent.attribution.periods import crossed, period_of, weights
from carbonaware_agent.attribution.tails import QUIET_TICKS, ParentSlice

SECOND_US = 1_000_000


class TestParentSlice:
    def test_a_pod_that_ended_leaves_its_tail_in_the_parent(self):
        """211,932 us used after the last reading of a pod that is gone are found exactly."""
        parent = ParentSlice.baseline(5_000)
        parent.settle(15_000, 10_000, ended=False, cap_us=SECOND_US)

        tail_us = parent.settle(15_000 + 211_932, 0, ended=True, cap_us=SECOND_US)

        assert 211_932 == tail_us

    def test_reading_skew_of_quiet_ticks_is_nobodys_tail(self):
        """The parent is read after its children, so it always shows a little more."""
        parent = ParentSlice.baseline(0)
        for tick in range(1, QUIET_TICKS + 2):
            parent.settle(tick * 1000 + 40, 1000, ended=False, cap_us=SECOND_US)

        total_us = (QUIET_TICKS + 2) * 1000
        assert 300 == parent.settle(total_us + 340, 1000, ended=True, cap_us=SECOND_US)

    def test_a_tail_is_given_once(self):
        """What one ended pod got is not there for the next."""
        parent = ParentSlice.baseline(0)
        parent.settle(500, 0, ended=True, cap_us=SECOND_US)

        assert 0 == parent.settle(500, 0, ended=True, cap_us=SECOND_US)

    def test_a_tail_never_exceeds_the_time_there_was(self):
        """A wrong reading cannot become more CPU time than the node has."""
        parent = ParentSlice.baseline(0)

        assert SECOND_US == parent.settle(10**12, 0, ended=True, cap_us=SECOND_US)

    def test_a_residual_that_nobody_claims_is_written_off(self):
        """Use of a pod nobody ever heard of does not fall to one that ends much later."""
        parent = ParentSlice.baseline(0)
        for _ in range(QUIET_TICKS):
            parent.settle(700, 0, ended=False, cap_us=SECOND_US)

        assert 0 == parent.settle(700, 0, ended=True, cap_us=SECOND_US)


def segments(start_us: int, end_us: int, *, open_us: int, length_us: int) -> list[tuple[int, int]]:
    """The periods an interval lies in, each with its part of it."""
    starts = crossed(start_us, end_us, open_us=open_us, length_us=length_us)
    return list(zip(starts, weights(starts, start_us, end_us, length_us), strict=True))


class TestPeriods:
    def test_an_interval_within_the_open_period_has_one_part(self):
        """Most ticks cross nothing."""
        assert [(3600, 5)] == segments(4000, 4005, open_us=3600, length_us=3600)

    def test_an_interval_that_crosses_boundaries_is_divided_by_time(self):
        """A gap of several periods gives each its share, the open one first."""
        parts = segments(90, 350, open_us=0, length_us=100)

        assert [(0, 10), (100, 100), (200, 100), (300, 50)] == parts

    def test_an_end_on_the_boundary_closes_the_period(self):
        """The next one is open and has none of it."""
        assert [(0, 10), (100, 0)] == segments(90, 100, open_us=0, length_us=100)

    def test_a_closed_period_stays_closed(self):
        """After the wall clock stepped back everything counts in the period that is open."""
        assert [(3600, 10)] == segments(100, 110, open_us=3600, length_us=3600)

    def test_after_a_step_forward_skipped_periods_are_left_out(self):
        """A machine without a clock of its own may wake up in 1970."""
        parts = segments(10**15 - 5, 10**15 + 5, open_us=0, length_us=1000)

        assert [(0, 0), (10**15 - 1000, 5), (10**15, 5)] == parts

    @given(
        st.integers(0, 10**4), st.integers(1, 10**4), st.integers(0, 10**4), st.integers(50, 999)
    )
    def test_the_parts_are_the_interval(self, start, duration, open_at, length):
        """No part of it is lost, even if all of it lies before the open period."""
        open_us = period_of(open_at, length)
        parts = segments(start, start + duration, open_us=open_us, length_us=length)

        assert duration == sum(part for _, part in parts)
        assert parts[-1][0] == max(open_us, period_of(start + duration, length))


class TestIdlePower:
    def test_a_stated_value_goes_first(self):
        """What the operator of the node knows is not learned."""
        idle = IdlePower(quiet_count=1000, quiet_sum_uw=10**9)
        idle.revise(fixed_uw=5, maximum_uw=100)

        assert (5, "fixed") == (idle.in_force_uw, idle.origin)

    def test_it_is_learned_from_enough_quiet_moments(self):
        """300 samples below 3 % load are enough; busy ones do not count."""
        idle = IdlePower()
        for _ in range(SAMPLES_TO_LEARN):
            idle.observe(40_000_000, SECOND_US, 0.02)
            idle.observe(90_000_000, SECOND_US, 0.5)
        idle.revise(fixed_uw=None, maximum_uw=150_000_000)

        assert (40_000_000, "learned") == (idle.in_force_uw, idle.origin)

    def test_what_daemons_draw_in_quiet_moments_is_not_idle_power(self):
        """The line through quiet and light load is followed down to no load."""
        idle = IdlePower()
        for _ in range(SAMPLES_TO_LEARN):
            idle.observe(42_000_000, SECOND_US, 0.02)
        for _ in range(LIGHT_SAMPLES):
            idle.observe(50_000_000, SECOND_US, 0.06)
        idle.revise(fixed_uw=None, maximum_uw=150_000_000)

        assert (38_000_000, "learned") == (idle.in_force_uw, idle.origin)

    @pytest.mark.parametrize("light_uw", [30_000_000, 42_000_000])
    def test_power_that_does_not_rise_with_load_shows_no_line(self, light_uw):
        """Then the mean of the quiet moments is the best there is."""
        idle = IdlePower()
        for _ in range(SAMPLES_TO_LEARN):
            idle.observe(42_000_000, SECOND_US, 0.02)
            idle.observe(light_uw, SECOND_US, 0.06)
        idle.revise(fixed_uw=None, maximum_uw=None)

        assert 42_000_000 == idle.in_force_uw

    def test_before_that_it_is_a_share_of_maximum_power(self):
        """22 % of the maximum, but never more than the lowest minute seen."""
        idle = IdlePower()
        idle.revise(fixed_uw=None, maximum_uw=100_000_000)
        assert (22_000_000, "estimated") == (idle.in_force_uw, idle.origin)

        idle.observe(15_000_000 * 60, 60 * SECOND_US, 0.2)
        idle.revise(fixed_uw=None, maximum_uw=100_000_000)
        assert 15_000_000 == idle.in_force_uw

    def test_nothing_is_assumed_while_no_maximum_is_known(self):
        """As in the first minute on a machine that tells none."""
        idle = IdlePower()
        idle.revise(fixed_uw=None, maximum_uw=None)

        assert (0, "unknown") == (idle.in_force_uw, idle.origin)

    def test_the_highest_minute_is_kept_with_its_load(self):
        """From both together a maximum can be supposed."""
        idle = IdlePower()
        for power_uw, load in ((90_000_000, 0.6), (50_000_000, 0.2), (70_000_000, 0.8)):
            idle.observe(power_uw * 30, 30 * SECOND_US, load)
            idle.observe(power_uw * 30, 30 * SECOND_US, load - 0.1)

        assert (90_000_000, 550_000) == (idle.highest_uw, idle.highest_load_ppm)

    @pytest.mark.parametrize("duration_us", [1, SECOND_US, 3600 * SECOND_US])
    def test_idle_energy_is_power_times_time(self, duration_us):
        """In whole microjoules."""
        assert 7 * duration_us // SECOND_US == IdlePower(in_force_uw=7).energy_uj(duration_us)
