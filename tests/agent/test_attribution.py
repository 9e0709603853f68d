"""The formula, by example and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_agent.attribution.apportion import apportion
from carbonaware_agent.attribution.shares import (
    IdlePolicy,
    NodeUse,
    PodUse,
    attribute,
    merge,
)

AMOUNTS = st.integers(0, 10**13)
TIMES = st.integers(0, 10**10)
POD_USES = st.builds(PodUse, st.text("abc", min_size=1, max_size=8), TIMES, TIMES, TIMES)
NODE_USES = st.builds(NodeUse, st.lists(POD_USES, max_size=12).map(tuple), TIMES, TIMES)


def a_use(*pods: PodUse, busy_us: int = 0, allocatable_us: int = 0) -> NodeUse:
    return NodeUse(pods, busy_us, allocatable_us)


class TestApportion:
    @given(AMOUNTS, st.lists(TIMES, min_size=1, max_size=20).filter(any))
    def test_parts_sum_to_the_whole(self, total, weights):
        """No microjoule is lost or made, and nobody is off by a whole one."""
        parts = apportion(total, weights)

        assert total == sum(parts)
        whole = sum(weights)
        assert all(
            abs(part * whole - total * weight) < whole
            for part, weight in zip(parts, weights, strict=True)
        )

    def test_what_remains_goes_to_the_largest_remainders_then_to_the_first(self):
        """10 by thirds leaves 1 over, and the first of equals takes it."""
        assert [4, 3, 3] == apportion(10, [1, 1, 1])
        assert [1, 9] == apportion(10, [14, 86])

    def test_somebody_must_have_a_weight(self):
        """Energy is not given away for nothing."""
        with pytest.raises(ValueError, match="positive sum"):
            apportion(1, [0, 0])


class TestAttribute:
    @given(AMOUNTS, AMOUNTS, NODE_USES, st.sampled_from(IdlePolicy))
    def test_the_parts_sum_to_the_domains_energy(self, energy_uj, idle_uj, use, policy):
        """Dynamic, idle, system and unallocated energy are the domain's energy, by every policy."""
        result = attribute(energy_uj, idle_uj, use, policy)

        pods = sum(result.dynamic_uj) + sum(result.idle_uj)
        assert energy_uj == pods + result.system_uj + result.unallocated_uj
        assert min(result.dynamic_uj + result.idle_uj + [result.system_uj], default=0) >= 0

    def test_dynamic_energy_follows_cpu_time_and_the_rest_is_the_systems(self):
        """A pod with half of the node's busy time has half of the dynamic energy."""
        use = a_use(PodUse("a", 500), PodUse("b", 250), busy_us=1000)

        result = attribute(1000, 0, use)

        assert ([500, 250], 250) == (result.dynamic_uj, result.system_uj)

    def test_ticks_that_missed_work_do_not_make_energy(self):
        """/proc/stat may count less than the cgroups; then the pods share all of it."""
        use = a_use(PodUse("a", 300), PodUse("b", 100), busy_us=10)

        assert [750, 250] == attribute(1000, 0, use).dynamic_uj

    def test_without_work_all_dynamic_energy_is_the_systems(self):
        """Nobody used the node, so no pod pays for what it drew."""
        assert 1000 == attribute(1000, 0, a_use(PodUse("a", 0))).system_uj

    def test_low_load_is_billed_in_full(self):
        """At 10 % load a pod gets all dynamic energy it caused, not a tenth of it (peers: 0.25)."""
        use = a_use(PodUse("only", 100_000), busy_us=100_000, allocatable_us=1_000_000)

        result = attribute(35_000_000, 22_000_000, use, IdlePolicy.NONE)

        assert [13_000_000] == result.dynamic_uj

    @pytest.mark.parametrize(
        ("policy", "idle_uj", "unallocated_uj"),
        [
            (IdlePolicy.REQUESTS, [500, 200], 300),
            (IdlePolicy.USAGE, [100, 800], 100),
            (IdlePolicy.EQUAL, [500, 500], 0),
            (IdlePolicy.NONE, [0, 0], 1000),
        ],
    )
    def test_idle_energy_follows_the_policy(self, policy, idle_uj, unallocated_uj):
        """By requests a pod pays for the larger of what it reserved and what it used."""
        use = a_use(
            PodUse("reserves", busy_us=25, reserved_us=500, present_us=10),
            PodUse("uses", busy_us=200, reserved_us=0, present_us=10),
            busy_us=250,
            allocatable_us=1000,
        )

        result = attribute(1000, 1000, use, policy)

        assert (idle_uj, unallocated_uj) == (result.idle_uj, result.unallocated_uj)

    def test_overcommitted_requests_share_all_idle_energy(self):
        """Claims beyond what is allocatable shrink in proportion."""
        use = a_use(PodUse("a", 0, 3000), PodUse("b", 0, 1000), allocatable_us=1000)

        assert [750, 250] == attribute(1000, 1000, use).idle_uj

    def test_idle_energy_is_at_most_the_energy(self):
        """A domain that drew less than its idle power had only idle energy."""
        result = attribute(10, 1000, a_use(PodUse("a", 5, 1), busy_us=5, allocatable_us=5))

        assert ([0], [10]) == (result.dynamic_uj, result.idle_uj)


def test_merged_use_is_the_sum_over_both_intervals():
    """Use is remembered for a domain that could not be read for a while."""
    earlier = a_use(PodUse("a", 1, 2, 3), busy_us=10, allocatable_us=100)
    later = a_use(PodUse("a", 10, 20, 30), PodUse("b", 5), busy_us=20, allocatable_us=100)

    expected = a_use(PodUse("a", 11, 22, 33), PodUse("b", 5), busy_us=30, allocatable_us=200)
    assert expected == merge(earlier, later)
