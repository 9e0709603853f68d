"""The boundary heap wakes each job once, at the last instant that was set for it."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, minutes
from carbonaware_operator.store.boundaries import Boundaries


class TestBoundaries:
    def test_next_is_the_earliest(self):
        """Whatever the order in which they were set."""
        boundaries = Boundaries()
        boundaries.set("late", NOON + minutes(2))
        boundaries.set("early", NOON + minutes(1))

        assert NOON + minutes(1) == boundaries.next()

    def test_a_later_set_replaces_an_earlier_one(self):
        """A job has one boundary."""
        boundaries = Boundaries()
        boundaries.set("job", NOON)
        boundaries.set("job", NOON + minutes(5))

        assert [] == boundaries.pop_due(NOON + minutes(4))
        assert ["job"] == boundaries.pop_due(NOON + minutes(5))

    def test_none_takes_it_away(self):
        """A job that only a change can wake is not woken by time."""
        boundaries = Boundaries()
        boundaries.set("job", NOON)
        boundaries.set("job", None)

        assert None is boundaries.next()

    def test_moving_a_boundary_to_and_fro_takes_no_room(self):
        """A job whose review alternates for days must not fill the memory."""
        boundaries = Boundaries()
        boundaries.set("first", NOON)
        for n in range(10_000):
            boundaries.set("job", NOON + minutes(1 + n % 2))

        assert len(boundaries._heap) < 100

    @given(
        st.lists(
            st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 50), st.booleans()),
            max_size=60,
        )
    )
    def test_behaves_like_a_dictionary_that_is_searched(self, operations):
        """Property: the heap gives what a plain search of the newest values would."""
        boundaries, model, now = Boundaries(), {}, 0
        for uid, offset, pops in operations:
            if pops:
                now += 7
                due = {u for u, at in model.items() if at <= now}
                popped = boundaries.pop_due(NOON + timedelta(seconds=now))
                assert sorted(popped) == sorted(due)
                assert [model[u] for u in popped] == sorted(model[u] for u in popped)
                model = {u: at for u, at in model.items() if u not in due}
            elif offset is None:
                boundaries.set(uid, None)
                model.pop(uid, None)
            else:
                boundaries.set(uid, NOON + timedelta(seconds=now + offset))
                model[uid] = now + offset
            expected = min(model.values(), default=None)
            following = boundaries.next()
            assert expected == (following and (following - NOON).total_seconds())
