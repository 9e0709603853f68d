"""The operator's life: what ends it, and that a container without users is no obstacle."""

import asyncio
from types import SimpleNamespace

from builders import NOON
from carbonaware_operator import settings
from carbonaware_operator.cluster import feed
from carbonaware_operator.cluster.kube import ApiError, KubeClient
from carbonaware_operator.engine import lifecycle
from fakes import ManualClock


class Stopped(Exception):  # noqa: N818 - stands for kopf's end
    """Raised in place of a run of kopf."""


async def test_kopf_is_told_who_it_is(monkeypatch):
    """Else it asks for the user's name, and the uid of a container is in no passwd file."""
    told = {}

    async def note(**given):
        told.update(given)

    monkeypatch.setattr(feed.kopf, "operator", note)

    await feed.run_feed(None, None, identity="me", stop=asyncio.Event(), ready=asyncio.Event())

    assert "me" == told["identity"]


class _Quiet:
    """A loop that only ends when it is cancelled."""

    async def run(self):
        await asyncio.Event().wait()

    async def close(self):
        """Nothing to write."""

    async def release(self):
        """Nothing to give back."""

    async def drain(self, seconds):
        """Nothing in flight."""


async def test_a_feed_that_fails_at_once_ends_the_operator(monkeypatch):
    """Else the process would live on, never ready, and nobody would start it again."""

    async def fail(*_args, **_kwargs):
        raise Stopped

    async def started(_operator):
        """The store is filled."""

    monkeypatch.setattr(lifecycle, "run_feed", fail)
    monkeypatch.setattr(lifecycle, "_start", started)

    code = await asyncio.wait_for(lifecycle._live(_an_operator()), timeout=5)

    assert 1 == code


def _an_operator():
    quiet = _Quiet()
    return SimpleNamespace(
        stop=asyncio.Event(),
        settings=SimpleNamespace(kubeconfig=None, identity="me", sweep_seconds=60),
        inbox=None,
        readiness=SimpleNamespace(waiting_for=""),
        clock=SimpleNamespace(sleep=asyncio.sleep),
        elector=quiet,
        scope=quiet,
        planner=quiet,
        signals=quiet,
        prices=quiet,
        forecasts=quiet,
        accountant=quiet,
    )


class TestPersistence:
    async def test_an_attempt_is_made_until_it_succeeds(self):
        """However long the API server takes, and whatever it says meanwhile."""
        clock, answers = ManualClock(NOON), iter([ApiError(0, "x", "away"), False, True])
        asked = []

        async def attempt() -> bool:
            asked.append(clock.monotonic())
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        waiting = asyncio.create_task(lifecycle._persistently(clock, attempt, "objects"))
        await clock.advance(60)

        assert waiting.done()
        assert 3 == len(asked)


def test_two_processes_of_one_name_are_two_candidates():
    """A container and its successor, or two replicas with one `--identity`, never both lead."""
    given = settings.parse(["--identity=operator-1"])
    first, second = (lifecycle.Operator(given, KubeClient(None)) for _ in range(2))

    names = {first.elector._identity, second.elector._identity}

    assert 2 == len(names)
    assert all(name.startswith("operator-1_") for name in names)
