"""The imagined machine's counters add up."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.simulated_machine import MAX_ENERGY_RANGE_UJ, Machine, PowerCurve, RunningPod

SECOND = 1_000_000


def a_pod(uid="a", qos="Burstable", cpu_millis=900):
    """A pod that uses 0.9 of a core unless told otherwise."""
    return RunningPod(uid, qos, cpu_millis)


class TestAdvance:
    def test_a_pod_uses_what_it_asks_for_while_cores_are_free(self):
        """0.9 of a core for 10 s are 9 s of processor time, in the pod's group and above it."""
        machine = Machine()

        machine.advance(10 * SECOND, [a_pod()])

        assert machine.usage_usec["kubepods/burstable/poda"] == 9 * SECOND
        assert machine.usage_usec["kubepods/burstable"] == 9 * SECOND
        assert machine.usage_usec["kubepods"] == 9 * SECOND

    def test_a_guaranteed_pod_lies_directly_below_kubepods(self):
        """Kubelet gives no slice to the guaranteed class; nothing is charged twice."""
        machine = Machine()

        machine.advance(SECOND, [a_pod(qos="Guaranteed", cpu_millis=1000)])

        assert machine.usage_usec["kubepods/poda"] == SECOND
        assert machine.usage_usec["kubepods"] == SECOND

    def test_an_ended_pod_leaves_its_time_to_its_slice(self):
        """The group goes, the slice's counter never moves back."""
        machine = Machine()
        machine.advance(SECOND, [a_pod(cpu_millis=1000)])

        machine.advance(SECOND, [])

        assert "kubepods/burstable/poda" not in machine.usage_usec
        assert machine.usage_usec["kubepods/burstable"] == SECOND

    def test_pods_that_ask_for_too_much_share_in_proportion(self):
        """A machine of 2 cores cannot be busy for more than 2 s a second."""
        machine = Machine(cores=2, system_millis=0)

        machine.advance(SECOND, [a_pod("a", cpu_millis=3000), a_pod("b", cpu_millis=1000)])

        assert machine.usage_usec["kubepods/burstable/poda"] == 1_500_000
        assert machine.usage_usec["kubepods/burstable/podb"] == 500_000

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 10 * SECOND),
                st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9000)),
            ),
            max_size=20,
        )
    )
    def test_no_counter_moves_back_and_none_exceeds_its_parent(self, intervals):
        """Whatever comes and goes, slices hold at least their pods and the root at least them."""
        machine = Machine(cores=4)
        for usec, loads in intervals:
            before = dict(machine.usage_usec)
            machine.advance(usec, [a_pod(uid, cpu_millis=load) for uid, load in loads.items()])
            after = machine.usage_usec
            assert all(after[group] >= before[group] for group in before.keys() & after.keys())
            pods = sum(used for group, used in after.items() if "/pod" in group)
            assert pods <= after["kubepods/burstable"] == after["kubepods"] <= after[""]
            assert after[""] == machine.busy_usec <= machine.elapsed_usec * machine.cores


class TestEnergy:
    def test_an_idle_machine_draws_its_idle_power(self):
        """40 W for 10 s are 400 J."""
        curve = PowerCurve(idle_mw=40_000, full_mw=150_000)

        assert curve.energy_uj(10 * SECOND, busy_usec=0, cores=8) == 400_000_000

    def test_a_busy_machine_draws_its_full_power(self):
        """All cores busy for 10 s at 150 W are 1500 J."""
        curve = PowerCurve(idle_mw=40_000, full_mw=150_000)

        assert curve.energy_uj(10 * SECOND, busy_usec=80 * SECOND, cores=8) == 1_500_000_000

    def test_the_shown_counter_wraps(self):
        """Like a real one, the counter starts again before it would pass its range."""
        machine = Machine(system_millis=0)

        machine.advance(10_000 * SECOND, [])

        assert machine.package_uj == 400_000_000_000 - MAX_ENERGY_RANGE_UJ
