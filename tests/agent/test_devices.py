"""Division of a device: who pays for what it draws at work and at rest, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonaware_agent.attribution.devices import Claim, Holding, Method, device_use
from carbonaware_agent.attribution.shares import IdlePolicy, attribute

SECOND_US = 1_000_000


def divided(
    holding: Holding, *, present: dict[str, int] | None = None, energy: int = 1700, idle: int = 700
) -> tuple[dict[str, tuple[int, int]], int, int]:
    """Dynamic and idle energy by pod, system and unallocated; all pods are there all the time."""
    if present is None:
        present = {claim.pod: SECOND_US for claim in holding.claims}
    use = device_use(holding, present, SECOND_US)
    parts = attribute(energy, idle, use)
    pods = [pod.pod for pod in use.pods]
    by_pod = dict(zip(pods, zip(parts.dynamic_uj, parts.idle_uj, strict=True), strict=True))
    return by_pod, parts.system_uj, parts.unallocated_uj


class TestWhole:
    def test_a_device_belongs_to_its_holder(self):
        """Whoever holds a GPU pays for all it draws, at work and at rest."""
        holding = Holding(Method.EXCLUSIVE, (Claim("a", 1),))

        assert ({"a": (1000, 700)}, 0, 0) == divided(holding)

    def test_a_device_that_nobody_holds_is_nobodys(self):
        """Its work is the system's and its rest is unallocated."""
        assert ({}, 1000, 700) == divided(Holding())

    def test_a_device_in_unknown_hands_is_nobodys_but_held(self):
        """What it draws then says nothing about its idle power."""
        holding = Holding(Method.EXCLUSIVE, (), strangers=1)

        assert ({}, 1000, 700) == divided(holding)
        assert 0 < device_use(holding, {}, SECOND_US).busy_us

    def test_who_came_or_went_pays_idle_energy_for_half_of_the_time(self):
        """When in the interval is not known; the work can only have been the pod's."""
        holding = Holding(Method.EXCLUSIVE, (Claim("a", 1),))

        assert ({"a": (1000, 350)}, 0, 350) == divided(holding, present={"a": SECOND_US // 2})


class TestPartitions:
    def test_activity_divides_the_work_and_slices_the_rest(self):
        """a: 1 of 7 slices at 90 %, b: 3 of 7 at 10 %; 3 slices are free."""
        claims = (Claim("a", 1, activity=1 * 90), Claim("b", 3, activity=3 * 10))
        holding = Holding(Method.MIG_ACTIVITY, claims, whole=7)

        assert ({"a": (750, 100), "b": (250, 300)}, 0, 300) == divided(holding)

    def test_without_activity_slices_divide_the_work_too(self):
        """Free slices draw no dynamic power."""
        holding = Holding(Method.MIG_SLICES, (Claim("a", 1), Claim("b", 3)), whole=7)

        assert ({"a": (250, 100), "b": (750, 300)}, 0, 300) == divided(holding)

    def test_what_runs_in_a_free_partition_is_the_systems(self):
        """A process of the host may use what no pod holds."""
        claims = (Claim("a", 1, activity=30),)
        holding = Holding(Method.MIG_ACTIVITY, claims, whole=7, active_strangers=90)

        assert ({"a": (250, 100)}, 750, 600) == divided(holding)


class TestTurns:
    def test_use_divides_the_work_and_turns_the_rest(self):
        """A pod that works hard does not pay for another's reservation."""
        claims = (Claim("a", 1, activity=90), Claim("b", 1, activity=10))
        holding = Holding(Method.SM_UTIL, claims, whole=2)

        assert ({"a": (900, 350), "b": (100, 350)}, 0, 0) == divided(holding)

    def test_without_use_turns_divide_both(self):
        """A pod with two turns pays twice."""
        holding = Holding(Method.EQUAL, (Claim("a", 2), Claim("b", 1)), whole=3)

        assert ({"a": (667, 467), "b": (333, 233)}, 0, 0) == divided(holding)

    def test_equal_turns_are_equal_whatever_the_interval(self):
        """An odd number of microseconds has no half, and 700 W draw 700 microjoules in one."""
        holding = Holding(Method.EQUAL, (Claim("a", 1), Claim("b", 1)), whole=2)
        duration_us = 1_000_001
        use = device_use(holding, {"a": duration_us, "b": duration_us}, duration_us)

        parts = attribute(700_000_000, 300_000_000, use)

        assert ([200_000_000] * 2, [150_000_000] * 2) == (parts.dynamic_uj, parts.idle_uj)

    def test_the_turn_of_an_unknown_pod_is_nobodys(self):
        """The others do not pay for it."""
        holding = Holding(Method.EQUAL, (Claim("a", 1),), whole=2, strangers=1)

        assert ({"a": (500, 350)}, 500, 350) == divided(holding)


claims = st.lists(
    st.tuples(st.integers(1, 7), st.integers(0, 10_000), st.integers(1, SECOND_US)), max_size=7
)


@given(
    claims=claims,
    whole=st.integers(1, 49),
    strangers=st.integers(0, 7),
    strange=st.integers(0, 10_000),
    energy=st.integers(0, 10**12),
    idle=st.integers(0, 10**12),
    policy=st.sampled_from(list(IdlePolicy)),
)
def test_the_parts_are_the_device(claims, whole, strangers, strange, energy, idle, policy):
    """However it is held, pods, system and unallocated are its energy to the microjoule."""
    found = tuple(Claim(str(n), parts, active) for n, (parts, active, _) in enumerate(claims))
    present = {str(n): present_us for n, (_, _, present_us) in enumerate(claims)}
    holding = Holding(Method.EQUAL, found, whole, strangers, strange)

    parts = attribute(energy, idle, device_use(holding, present, SECOND_US), policy)

    every = [*parts.dynamic_uj, *parts.idle_uj, parts.system_uj, parts.unallocated_uj]
    assert energy == sum(every)
    assert min(every) >= 0


@pytest.mark.parametrize("present", [{}, {"a": 0}, {"b": 5}])
def test_a_holder_without_a_cgroup_pays_nothing(present):
    """It has not begun, or it is gone."""
    holding = Holding(Method.EXCLUSIVE, (Claim("a", 1),))

    assert ({}, 1000, 700) == divided(holding, present=present)
