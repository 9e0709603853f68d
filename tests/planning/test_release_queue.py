"""Who goes first, how many a second, and who waits for room in a namespace."""

from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, hours, minutes
from carbonaware_operator.planning.release_queue import Candidate, ReleaseQueue


def a_candidate(uid: str, *, slack: float = 5, age: float = 0, namespace: str = "ml") -> Candidate:
    """A job that may start; slack in hours, age in minutes."""
    return Candidate(NOON + hours(slack), NOON - minutes(age), uid, namespace)


def popped(queue: ReleaseQueue, now: float = 0.0) -> list[str]:
    """Everybody who may go now."""
    uids = []
    while (uid := queue.pop(now)) is not None:
        uids.append(uid)
    return uids


class TestOrder:
    def test_least_slack_first_then_age(self):
        """Whoever can wait least; of two who can wait as long, the older."""
        queue = ReleaseQueue()
        queue.offer(a_candidate("young"))
        queue.offer(a_candidate("old", age=10))
        queue.offer(a_candidate("urgent", slack=1))

        assert ["urgent", "old", "young"] == popped(queue)

    def test_a_later_offer_takes_the_place_of_an_earlier_one(self):
        """Its deadline was changed while it waited."""
        queue = ReleaseQueue()
        queue.offer(a_candidate("a", slack=5))
        queue.offer(a_candidate("b", slack=6))
        queue.offer(a_candidate("a", slack=7))

        assert ["b", "a"] == popped(queue)

    def test_who_is_withdrawn_does_not_go(self):
        """And leaves nothing behind."""
        queue = ReleaseQueue()
        queue.offer(a_candidate("a"))

        assert [] == queue.withdraw("a")
        assert ([], 0) == (popped(queue), queue.kept())


class TestRate:
    def test_a_second_lets_its_number_pass(self):
        """At first as many at once as a second lets, then evenly."""
        queue = ReleaseQueue(per_second=2)
        for number in range(10):
            queue.offer(a_candidate(f"{number}"))

        assert [2, 0, 1, 1] == [len(popped(queue, now)) for now in (100, 100.4, 100.5, 101)]
        assert 101.5 == queue.ready_at(101)

    def test_without_a_rate_everybody_goes_at_once(self):
        """Nobody is held for the sake of it."""
        queue = ReleaseQueue()
        for number in range(1000):
            queue.offer(a_candidate(f"{number}"))

        assert 1000 == len(popped(queue))
        assert None is queue.ready_at(0)

    @given(
        st.floats(0.5, 50),
        st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=30),
    )
    def test_no_span_of_time_lets_more_pass_than_rate_and_burst(self, rate, pauses):
        """Whenever somebody looks."""
        queue, now, times = ReleaseQueue(per_second=rate), 0.0, []
        for number in range(500):
            queue.offer(a_candidate(f"{number:03}"))
        for pause in pauses:
            now += pause
            times += [now] * len(popped(queue, now))

        for index, first in enumerate(times):
            for count, last in enumerate(times[index:], start=1):
                assert count <= rate * (last - first + 1) + 1


class TestFullNamespaces:
    def full(self, *uids: str) -> ReleaseQueue:
        """A queue in which a namespace has refused its first and others wait."""
        queue = ReleaseQueue()
        for uid in uids:
            queue.offer(a_candidate(uid))
        first = queue.pop(0)
        assert first
        queue.refused(a_candidate(first))
        for uid in popped(queue):
            queue.refused(a_candidate(uid))
        return queue

    def test_make_newcomers_wait(self):
        """What refused one refuses all."""
        queue = self.full("a")

        assert not queue.offer(a_candidate("b"))
        assert [] == popped(queue)

    def test_let_one_try_when_there_may_be_room(self):
        """The first of those who wait."""
        queue = self.full("a", "b", "c")

        assert ["a"] == queue.reopened("ml")
        assert queue.offer(a_candidate("a"))

    def test_let_two_more_try_for_each_that_starts(self):
        """A large gap is filled quickly."""
        queue = self.full("a", "b", "c", "d")
        queue.reopened("ml")

        assert ["b", "c"] == queue.released("a")
        assert ["d"] == queue.released("b")
        assert [] == queue.released("c")
        assert queue.is_full("ml")
        assert [] == queue.released("d")
        assert (False, 0) == (queue.is_full("ml"), queue.kept())

    def test_let_the_next_try_when_one_gives_up(self):
        """Room is not lost with a job that was suspended or deleted."""
        queue = self.full("a", "b")
        queue.reopened("ml")

        assert ["b"] == queue.withdraw("a")

    def test_are_open_again_when_nobody_waits(self):
        """Whoever comes then need not wait."""
        queue = self.full("a")

        queue.withdraw("a")

        assert (False, 0) == (queue.is_full("ml"), queue.kept())

    def test_do_not_hold_who_insists(self):
        """At its latest start a job is tried, however full the namespace is."""
        queue = self.full("a")

        assert queue.offer(a_candidate("b"), insists=True)
        assert ["b"] == popped(queue)

    def test_do_not_hold_other_namespaces(self):
        """A quota is one namespace's."""
        queue = self.full("a")

        assert queue.offer(a_candidate("b", namespace="web"))
