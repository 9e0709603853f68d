"""The Lease: one leader at a time, judged by each replica's own monotonic clock."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kubernetes.aio.config import ConfigException

from builders import NOON
from carbonaware_operator.cluster.kube import LEASES, ApiError
from carbonaware_operator.cluster.lease import Elector, LeaseTimes, Scope
from fakes import FakeKube, ManualClock, settle

PATH = LEASES.path("system", "operator")
TIMES = LeaseTimes()
AWAY = ApiError(0, "Unreachable", "API server does not answer")


@pytest.fixture
def clock() -> ManualClock:
    """Time that the test moves."""
    return ManualClock(NOON)


@pytest.fixture
def kube() -> FakeKube:
    """An API server without a Lease."""
    return FakeKube()


class Replica:
    """An elector that runs, and what it announced."""

    def __init__(self, kube: FakeKube, clock: ManualClock, identity: str) -> None:
        self.changes: list[bool] = []
        self.elector = Elector(
            kube,
            clock,
            namespace="system",
            name="operator",
            identity=identity,
            times=TIMES,
            on_change=self.changes.append,
        )
        self.task: asyncio.Task[None] | None = None

    @property
    def leading(self) -> bool:
        """Whether it leads."""
        return self.elector.leading

    async def start(self) -> "Replica":
        """Run until the test ends or stops it."""
        self.task = asyncio.create_task(self.elector.run())
        await settle()
        return self

    async def crash(self) -> None:
        """Stop without giving anything back."""
        assert self.task
        self.task.cancel()
        await settle()


def holder(kube: FakeKube) -> str:
    """Whom the Lease names."""
    return str(kube.stored(LEASES, "system", "operator")["spec"]["holderIdentity"])


@contextmanager
def away(kube: FakeKube) -> Iterator[None]:
    """The API server does not answer for a while."""
    kube.fail(PATH, AWAY)
    yield
    kube.fail(PATH, None)


class TestAcquiring:
    async def test_creates_a_lease_where_there_is_none(self, kube, clock):
        """The first replica leads at once, and says so."""
        first = await Replica(kube, clock, "first").start()

        assert (True, [True], "first") == (first.leading, first.changes, holder(kube))

    async def test_takes_a_lease_that_nobody_holds(self, kube, clock):
        """A Lease given back need not be waited for."""
        kube.put(LEASES, "system", {"metadata": {"name": "operator"}, "spec": {}})

        first = await Replica(kube, clock, "first").start()

        assert first.leading

    async def test_takes_a_lease_of_its_own(self, kube, clock):
        """A replica that restarts under its name goes on."""
        earlier = await Replica(kube, clock, "first").start()
        await earlier.crash()

        first = await Replica(kube, clock, "first").start()

        assert first.leading

    @pytest.mark.parametrize(
        "lease",
        [
            {"metadata": {"name": "operator"}},
            {"metadata": {"name": "operator"}, "spec": {"holderIdentity": "first"}},
        ],
        ids=["without spec", "of ours, without times"],
    )
    async def test_takes_a_lease_that_somebody_made_by_hand(self, kube, clock, lease):
        """Every field of a Lease is optional: an odd one must not end the operator."""
        kube.put(LEASES, "system", lease)

        first = await Replica(kube, clock, "first").start()

        assert first.leading


class TestRenewing:
    async def test_keeps_the_lease(self, kube, clock):
        """As long as the API server answers, the leader leads."""
        first = await Replica(kube, clock, "first").start()

        await clock.advance(300)

        assert (True, [True]) == (first.leading, first.changes)

    async def test_does_not_change_when_it_was_acquired(self, kube, clock):
        """People read from the Lease since when somebody leads."""
        await Replica(kube, clock, "first").start()
        acquired = kube.stored(LEASES, "system", "operator")["spec"]["acquireTime"]

        await clock.advance(60)

        spec = kube.stored(LEASES, "system", "operator")["spec"]
        assert (acquired, 0) == (spec["acquireTime"], spec["leaseTransitions"])
        assert acquired < spec["renewTime"]

    async def test_a_short_absence_of_the_api_server_is_no_loss(self, kube, clock):
        """Less than the renew deadline without an answer changes nothing."""
        first = await Replica(kube, clock, "first").start()

        with away(kube):
            await clock.advance(TIMES.renew_deadline - TIMES.retry - 1)
        await clock.advance(TIMES.retry)

        assert [True] == first.changes

    async def test_ends_at_the_renew_deadline(self, kube, clock):
        """Without a renewal a leader stops, before any standby may begin."""
        first = await Replica(kube, clock, "first").start()

        with away(kube):
            await clock.advance(TIMES.renew_deadline)
            assert not first.leading

        await clock.advance(TIMES.retry)
        assert [True, False, True] == first.changes

    async def test_a_conflict_is_a_failed_attempt(self, kube, clock):
        """Who loses the race for a write has not renewed, and tries again."""
        first = await Replica(kube, clock, "first").start()
        kube.fail(PATH, ApiError(409, "Conflict", "the object has been modified"))

        await clock.advance(TIMES.renew_deadline)

        assert not first.leading
        assert first.task is not None
        assert not first.task.done()

    @pytest.mark.parametrize("step", [-86400, 86400])
    async def test_is_blind_to_the_wall_clock(self, kube, clock, step):
        """A day forward or back changes neither leader nor standby."""
        first = await Replica(kube, clock, "first").start()
        second = await Replica(kube, clock, "second").start()

        clock.step(step)
        await clock.advance(60)

        assert ([True], []) == (first.changes, second.changes)


class TestTakingOver:
    async def test_happens_only_after_the_whole_duration(self, kube, clock):
        """A standby waits for the duration, from when it last saw the record change."""
        first = await Replica(kube, clock, "first").start()
        second = await Replica(kube, clock, "second").start()
        await first.crash()

        await clock.advance(TIMES.duration - 0.1)
        before = second.leading
        await clock.advance(0.1)

        assert (False, True, "second") == (before, second.leading, holder(kube))

    @pytest.mark.parametrize("renewals", range(1, 5))
    async def test_happens_within_the_duration_of_the_last_renewal(self, kube, clock, renewals):
        """Whenever the standby looks; never before the leader's own deadline."""
        first = await Replica(kube, clock, "first").start()
        await clock.advance(0.3)
        second = await Replica(kube, clock, "second").start()
        await clock.advance(renewals * TIMES.retry - 0.3)
        await first.crash()

        await clock.advance(TIMES.renew_deadline)
        before = second.leading
        await clock.advance(TIMES.duration - TIMES.renew_deadline)

        assert (False, True) == (before, second.leading)

    async def test_a_look_that_hung_takes_nothing_off_the_duration(self, kube, clock):
        """Between two looks far apart the leader may have renewed at any time."""
        first = await Replica(kube, clock, "first").start()
        await clock.advance(0.25)
        second = await Replica(kube, clock, "second").start()
        with away(kube):
            await clock.advance(9.65)
        await clock.advance(0.4)  # the leader renews at 10, the standby looks at 10.25
        await first.crash()

        await clock.advance(TIMES.duration - TIMES.look - 0.5)

        assert not second.leading

    async def test_counts_from_the_first_look(self, kube, clock):
        """A replica that starts beside a stale Lease has not seen it stand still yet."""
        first = await Replica(kube, clock, "first").start()
        await first.crash()
        await clock.advance(3600)

        second = await Replica(kube, clock, "second").start()

        assert not second.leading

    async def test_counts_the_transition(self, kube, clock):
        """`leaseTransitions` tells how often the leader changed."""
        first = await Replica(kube, clock, "first").start()
        await Replica(kube, clock, "second").start()
        await first.crash()

        await clock.advance(TIMES.duration + TIMES.retry)

        assert 1 == kube.stored(LEASES, "system", "operator")["spec"]["leaseTransitions"]

    async def test_never_makes_two_leaders(self, kube, clock):
        """Second by second through crash, absence and return, at most one replica leads."""
        first = await Replica(kube, clock, "first").start()
        second = await Replica(kube, clock, "second").start()
        seen = set()
        for second_passed in range(120):
            if second_passed == 20:
                kube.fail(PATH, AWAY)
            if second_passed == 50:
                kube.fail(PATH, None)
            if second_passed == 80:
                await first.crash()
            await clock.advance(1)
            seen.add((first.leading, second.leading))

        assert (True, True) not in seen
        assert second.leading


class TestRenewals:
    async def test_that_fail_in_any_way_are_failed_renewals(self, kube, clock, monkeypatch):
        """A token that cannot be read, an answer of an odd shape: the elector goes on."""
        first = await Replica(kube, clock, "first").start()

        async def odd(*_: object, **__: object) -> None:
            raise ConfigException("Token file exists but empty.")

        monkeypatch.setattr(kube, "get", odd)
        await clock.advance(TIMES.renew_deadline)
        assert not first.leading
        monkeypatch.undo()
        await clock.advance(TIMES.retry)

        assert first.leading


class Acting:
    """Loops that act, and which of them run."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.fail = asyncio.Event()
        self.scope = Scope({"one": lambda: self._loop("one"), "two": lambda: self._loop("two")})

    async def _loop(self, name: str) -> None:
        self.running.append(name)
        try:
            await self.fail.wait()
            raise ValueError(name)
        finally:
            self.running.remove(name)


class TestScope:
    async def test_starts_what_acts_with_the_lease_and_cancels_it_without(self):
        """However often the lease comes and goes."""
        acting = Acting()
        task = asyncio.create_task(acting.scope.run())
        await settle()
        assert [] == acting.running

        for _ in range(2):
            acting.scope.led(True)
            await settle()
            assert ["one", "two"] == acting.running
            acting.scope.led(False)
            await settle()
            assert [] == acting.running
        task.cancel()

    async def test_begins_anew_after_however_short_a_loss(self):
        """Another replica may have led meanwhile: what was known then counts no more."""
        acting = Acting()
        task = asyncio.create_task(acting.scope.run())
        acting.scope.led(True)
        await settle()
        begun = asyncio.all_tasks()

        acting.scope.led(False)
        acting.scope.led(True)
        await settle()

        assert ["one", "two"] == acting.running
        assert {t for t in begun if t.get_name() == "one"}.isdisjoint(asyncio.all_tasks())
        task.cancel()

    async def test_ends_with_a_loop_that_ends(self):
        """A loop that is gone must not go unnoticed."""
        acting = Acting()
        task = asyncio.create_task(acting.scope.run())
        acting.scope.led(True)
        await settle()

        acting.fail.set()
        await settle()

        assert isinstance(task.exception(), ValueError)
        assert [] == acting.running


class TestReleasing:
    async def test_lets_a_standby_lead_at_its_next_attempt(self, kube, clock):
        """At a shutdown nobody waits out the duration."""
        first = await Replica(kube, clock, "first").start()
        second = await Replica(kube, clock, "second").start()
        await first.crash()

        await first.elector.release()
        await clock.advance(TIMES.retry)

        assert (False, True) == (first.leading, second.leading)

    async def test_says_that_it_leads_no_more(self, kube, clock):
        """Whoever listens is told, also at the end."""
        first = await Replica(kube, clock, "first").start()

        await first.elector.release()

        assert [True, False] == first.changes

    async def test_leaves_anothers_lease_alone(self, kube, clock):
        """A standby that ends does not end the leader."""
        await Replica(kube, clock, "first").start()
        second = await Replica(kube, clock, "second").start()

        await second.elector.release()

        assert "first" == holder(kube)

    async def test_without_api_server_is_no_error(self, kube, clock):
        """The Lease runs out by itself."""
        first = await Replica(kube, clock, "first").start()

        with away(kube):
            await first.elector.release()

        assert not first.leading
