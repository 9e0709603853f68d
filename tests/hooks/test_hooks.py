"""What an installation runs once; an uninstall on a real API server is in tests/chart."""

import asyncio

import pytest

from builders import NOON
from carbonaware_operator.api.reasons import SETTLE_FINALIZER
from carbonaware_operator.api.schema import CRD_NAMES
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, CARBON_ZONES, CRDS, ApiError
from carbonaware_operator.hooks.await_crds import await_crds
from carbonaware_operator.hooks.held_job import a_suspended_job, see_it_held
from carbonaware_operator.hooks.session import HookError, run
from carbonaware_operator.hooks.uninstall import free_jobs
from carbonaware_operator.hooks.zones import replace_zones
from fakes import FakeKube, ManualClock, settle

PLACE = (CARBON_AWARE_JOBS, "carbon", "probe")


@pytest.fixture
def clock() -> ManualClock:
    """Time that the test moves."""
    return ManualClock(NOON)


@pytest.fixture
def kube() -> FakeKube:
    """An API server without anything."""
    return FakeKube()


def operator_says(kube: FakeKube, status: str, reason: str) -> None:
    """The operator's word on the job that is there."""
    condition = {"type": "Released", "status": status, "reason": reason, "message": "held"}
    kube.put(*PLACE[:2], kube.stored(*PLACE) | {"status": {"conditions": [condition]}})


class TestHeldJob:
    async def test_passes_once_the_operator_says_that_the_job_is_held(self, kube, clock):
        """The reason is shown, and nothing stays behind."""
        test = asyncio.create_task(see_it_held(kube, clock, "carbon", "probe"))
        await settle()
        operator_says(kube, "False", "SuspendedByUser")
        await clock.advance(1)

        assert "the job was held: Released=False, reason SuspendedByUser: held" == await test
        assert kube.stored(*PLACE) is None

    @pytest.mark.parametrize(
        ("status", "reason"), [("True", "Immediate"), ("False", "InvalidWorkload")]
    )
    async def test_fails_if_the_job_is_anything_else(self, kube, clock, status, reason):
        """A job that was released, or that is refused, is no proof of an installation."""
        test = asyncio.create_task(see_it_held(kube, clock, "carbon", "probe"))
        await settle()
        operator_says(kube, status, reason)
        await clock.advance(1)

        with pytest.raises(HookError, match=f"Released={status}, reason {reason}"):
            await test
        assert kube.stored(*PLACE) is None

    async def test_fails_after_a_minute_without_a_word(self, kube, clock):
        """As when the operator does not run; the job is removed all the same."""
        test = asyncio.create_task(see_it_held(kube, clock, "carbon", "probe"))
        await clock.advance(62)

        with pytest.raises(HookError, match="said nothing of CarbonAwareJob carbon/probe"):
            await test
        assert kube.stored(*PLACE) is None

    def test_needs_no_zone(self):
        """The user's own hold comes before every other reason."""
        assert {"suspend", "jobTemplate"} == set(a_suspended_job("probe")["spec"])


class TestUninstall:
    @pytest.fixture
    def held(self, kube: FakeKube) -> list[str]:
        """Jobs that carry our finalizer; their paths."""
        names = [f"job-{number}" for number in range(10, 50)]
        for name in names:
            metadata = {"name": name, "namespace": "ml", "finalizers": [SETTLE_FINALIZER]}
            kube.put(CARBON_AWARE_JOBS, "ml", {"metadata": metadata})
        return [CARBON_AWARE_JOBS.path("ml", name) for name in names]

    async def test_one_job_that_may_not_be_changed_keeps_no_other(self, kube, clock, held):
        """As a stranger's admission webhook can have it; the hook fails and names the job."""
        kube.fail(held[7], ApiError(422, "Invalid", "spec.x must be y"))

        with pytest.raises(HookError, match=r"1 objects keep .* ml/job-17: spec"):
            await free_jobs(kube, clock, ["ml"])

        carrying = [path for path in held if kube.objects[path]["metadata"]["finalizers"]]
        assert [held[7]] == carrying

    async def test_goes_on_where_the_api_server_was_busy(self, kube, clock, held):
        """Whoever asks for much is told to come again; that is no refusal."""
        for path in held:
            kube.fail(path, ApiError(429, "TooManyRequests", "try again later"))
        freeing = asyncio.create_task(free_jobs(kube, clock, ["ml"]))
        await settle()
        for path in held:
            kube.fail(path, None)
        await clock.advance(1)

        assert len(held) == await freeing

    def test_says_whose_right_it_lacks(self, monkeypatch):
        """With `rbac.create=false` somebody else grants the rights of hooks."""
        monkeypatch.setattr("carbonaware_operator.hooks.session.connect", refuses)

        with pytest.raises(SystemExit, match=r"you may not; .* unless rbac"):
            run(free_jobs, seconds=1)


async def refuses(_: object) -> None:
    raise ApiError(403, "Forbidden", "you may not")


class TestZones:
    async def test_writes_what_differs_and_nothing_else(self, kube):
        """A zone that is right already is not written again."""
        for name in ("right", "wrong"):
            kube.put(CARBON_ZONES, None, {"metadata": {"name": name}, "spec": {"pueMilli": 1100}})

        said = await replace_zones(
            kube,
            [
                {"name": "right", "spec": {"pueMilli": 1100}},
                {"name": "wrong", "spec": {"pueMilli": 1200}},
            ],
        )

        assert "changed zones: wrong" == said
        assert {"pueMilli": 1200} == kube.stored(CARBON_ZONES, None, "wrong")["spec"]
        assert 0 == kube.count("replace", CARBON_ZONES.path(None, "right"))


class TestAwaitCrds:
    async def test_waits_until_each_is_established(self, kube, clock):
        """A definition that was only accepted does not serve objects yet."""
        waiting = asyncio.create_task(await_crds(kube, clock))
        established = {"type": "Established", "status": "True"}
        for name in CRD_NAMES:
            kube.put(CRDS, None, {"metadata": {"name": name}})
            await clock.advance(1)
            assert not waiting.done()
            ready = {"status": {"conditions": [established]}}
            kube.put(CRDS, None, {"metadata": {"name": name}} | ready)
            await clock.advance(1)

        assert ", ".join(CRD_NAMES) in await waiting
