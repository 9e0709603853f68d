"""The work queue keeps client-go's contract, on two clocks, whatever is done to it."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from builders import NOON, hours
from carbonaware_operator.engine.workqueue import MOST_REST_SECONDS, Backoff, WorkQueue
from fakes import ManualClock, settle

SLOW = Backoff(10.0, 40.0)
KEYS = st.sampled_from("abcd")
SECONDS = st.integers(0, 50)


@pytest.fixture
def clock() -> ManualClock:
    """Time that the test moves."""
    return ManualClock(NOON)


@pytest.fixture
def queue(clock: ManualClock) -> WorkQueue[str]:
    """A queue whose back-off has no jitter."""
    return WorkQueue(clock, jitter=lambda: 1.0)


async def handed_out(queue: WorkQueue[str]) -> list[str]:
    """What the queue gives without time passing, each key done at once."""
    keys = []
    while len(queue):
        keys.append(await queue.get())
        queue.done(keys[-1])
    return keys


class TestContract:
    async def test_a_key_that_is_added_twice_is_handed_out_once(self, queue):
        """However many events an object has."""
        for key in "abab":
            queue.add(key)

        assert ["a", "b"] == await handed_out(queue)

    async def test_a_busy_key_is_handed_out_again_when_it_is_done(self, queue):
        """What came meanwhile may not have been seen; and nobody works on a key twice at a time."""
        queue.add("a")
        await queue.get()
        queue.add("a")
        assert 0 == len(queue)

        queue.done("a")

        assert ["a"] == await handed_out(queue)

    async def test_get_waits_for_a_key(self, queue):
        """Without asking again and again."""
        waiting = asyncio.create_task(queue.get())
        await settle()
        assert not waiting.done()

        queue.add("a")
        await settle()

        assert "a" == waiting.result()

    async def test_a_claimed_key_is_busy(self, queue):
        """Who acts out of turn is alone with a key as well, and it is looked at afterwards."""
        queue.add("a")

        assert queue.claim("a")
        assert not queue.claim("a")
        assert 0 == len(queue)
        queue.done("a")

        assert ["a"] == await handed_out(queue)

    async def test_of_a_forgotten_key_nothing_remains(self, queue):
        """One call, in whatever state it is."""
        queue.add("a")
        queue.add_at("a", NOON + hours(1))
        queue.add_rate_limited("a")

        queue.forget("a")

        assert 0 == queue.kept()

    async def test_a_key_forgotten_while_busy_does_not_come_back(self, queue):
        """Its object was deleted meanwhile."""
        queue.add("a")
        await queue.get()
        queue.add("a")

        queue.forget("a")
        queue.done("a")

        assert 0 == queue.kept()


class TestBackoff:
    async def test_doubles_up_to_the_last(self, queue):
        """Later each time, but never too late."""
        assert [10, 20, 40, 40] == [queue.add_rate_limited("a", SLOW) for _ in range(4)]

    async def test_begins_anew_after_a_success(self, queue):
        """And nothing is due any more."""
        queue.add_rate_limited("a", SLOW)
        queue.succeeded("a")
        assert 0 == queue.kept()

        assert 10 == queue.add_rate_limited("a", SLOW)

    async def test_of_another_sort_counts_its_own(self, queue):
        """A refusal after five time-outs is the first refusal."""
        for _ in range(5):
            queue.add_rate_limited("a")

        assert 10 == queue.add_rate_limited("a", SLOW)

    async def test_is_no_shorter_than_the_other_side_asks(self, queue):
        """Retry-After."""
        assert 30 == queue.add_rate_limited("a", SLOW, at_least=30)

    async def test_is_spread(self, clock):
        """Between half and the whole, so that many do not come back at once."""
        queue: WorkQueue[str] = WorkQueue(clock, jitter=lambda: 0.0)

        assert 5 == queue.add_rate_limited("a", SLOW)


class TestClocks:
    @pytest.mark.parametrize("step", [3600, 10**6])
    async def test_a_step_of_the_wall_clock_is_noticed_soon(self, queue, clock, step):
        """A machine that slept, or a clock that was set."""
        queue.add_at("a", NOON + hours(1))
        waiting = asyncio.create_task(queue.get())
        await settle()

        clock.step(step)
        await clock.advance(MOST_REST_SECONDS)

        assert waiting.done()

    async def test_a_step_back_hands_nothing_out_early_or_twice(self, queue, clock):
        """The hour comes again, and the key once."""
        queue.add_at("a", NOON + hours(1))
        waiting = asyncio.create_task(queue.get())
        clock.step(-3600)
        await clock.advance(3600)
        assert not waiting.done()

        await clock.advance(3600)

        assert waiting.done()
        assert 0 == len(queue)

    async def test_a_wait_in_seconds_ignores_the_wall_clock(self, queue, clock):
        """Back-off is no appointment."""
        queue.add_after("a", 60)
        waiting = asyncio.create_task(queue.get())
        await settle()

        clock.step(86400)
        await clock.advance(59)
        assert not waiting.done()
        await clock.advance(1)

        assert waiting.done()


class QueueMachine(RuleBasedStateMachine):
    """The queue beside a model that says what may be handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOON)
        self.loop = asyncio.new_event_loop()
        self.queue: WorkQueue[str] = WorkQueue(self.clock, jitter=lambda: 1.0)
        self.ready: set[str] = set()
        self.busy: set[str] = set()
        self.again: set[str] = set()
        self.due: dict[str, float] = {}
        self.at: dict[str, float] = {}

    def teardown(self) -> None:
        """Close what was opened."""
        self.loop.close()

    def _look(self, key: str) -> None:
        (self.again if key in self.busy else self.ready).add(key)

    def _take_due(self) -> None:
        wall = (self.clock.now() - NOON).total_seconds()
        for due, now in ((self.at, wall), (self.due, self.clock.monotonic())):
            for key in [key for key, when in due.items() if when <= now]:
                del due[key]
                self._look(key)

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        """Something has changed."""
        self.queue.add(key)
        self._look(key)

    @rule(key=KEYS, seconds=SECONDS)
    def add_after(self, key: str, seconds: int) -> None:
        """Look later."""
        self.queue.add_after(key, seconds)
        self.due[key] = self.clock.monotonic() + seconds

    @rule(key=KEYS)
    def add_rate_limited(self, key: str) -> None:
        """It failed."""
        self.due[key] = self.clock.monotonic() + self.queue.add_rate_limited(key, SLOW)

    @rule(key=KEYS, seconds=SECONDS)
    def add_at(self, key: str, seconds: int) -> None:
        """Look at an instant."""
        self.queue.add_at(key, self.clock.now() + timedelta(seconds=seconds))
        self.at[key] = (self.clock.now() - NOON).total_seconds() + seconds

    @rule(key=KEYS)
    def take_back(self, key: str) -> None:
        """Time alone changes nothing."""
        self.queue.add_at(key, None)
        self.at.pop(key, None)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        """It was deleted."""
        self.queue.forget(key)
        for known in (self.ready, self.again):
            known.discard(key)
        self.due.pop(key, None)
        self.at.pop(key, None)

    @rule(key=KEYS)
    def claim(self, key: str) -> None:
        """Somebody acts out of turn."""
        assert (key not in self.busy) == self.queue.claim(key)
        if key in self.busy or key in self.ready:
            self.again.add(key)
        self.ready.discard(key)
        self.busy.add(key)

    @precondition(lambda self: self.busy)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        """The work on a key ends."""
        key = data.draw(st.sampled_from(sorted(self.busy)))
        self.queue.done(key)
        self.busy.discard(key)
        if key in self.again:
            self.again.discard(key)
            self.ready.add(key)

    @rule(seconds=st.integers(0, 60), step=st.sampled_from([0, -30, 30]))
    def time_passes(self, seconds: int, step: int) -> None:
        """Both clocks go on, and the wall clock may step."""
        self.clock._move(seconds)
        self.clock.step(step)

    @rule()
    def get(self) -> None:
        """A key is handed out exactly when one may be."""
        self._take_due()
        given = self.loop.run_until_complete(self._given())
        if given is None:
            assert not self.ready
            return
        assert given in self.ready
        self.ready.discard(given)
        self.busy.add(given)

    async def _given(self) -> str | None:
        waiting = asyncio.create_task(self.queue.get())
        await settle()
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return None

    @invariant()
    def nothing_else_is_kept(self) -> None:
        """Failures aside, the queue keeps what the model knows."""
        known = sum(map(len, (self.ready, self.busy, self.again, self.due, self.at)))
        assert known == self.queue.kept() - len(self.queue._failures)


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstAModel = QueueMachine.TestCase
