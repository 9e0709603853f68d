"""The sweep finds what vanished unseen, and touches nothing that appeared meanwhile."""

import asyncio
from itertools import pairwise

import pytest

from builders import a_child_body, a_job_body, a_zone_body
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, CARBON_ZONES, JOBS, ApiError, Kind
from carbonaware_operator.cluster.sweep import OBJECTS_PER_SLICE, fill, sweep
from carbonaware_operator.engine.inbox import StoreInbox
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore
from fakes import FakeKube


class SelectingKube(FakeKube):
    """Also knows the selector of the sweep, a label that exists; calls `during` in each list."""

    def __init__(self) -> None:
        super().__init__()
        self.during = lambda kind: None
        self.asked_for: dict[str, str] = {}

    async def list(
        self, kind, namespace=None, *, selector="", only_metadata=False, not_older_than=""
    ):
        """All objects of a kind, in whatever namespace."""
        self.asked_for[kind.plural] = not_older_than
        for path, body in list(self.objects.items()):
            labels = body["metadata"].get("labels") or {}
            if path.split("/")[-2] == kind.plural and (not selector or selector in labels):
                yield {"metadata": body["metadata"]} if only_metadata else body
        self.during(kind)


def a_cluster(*bodies):
    """An API server with these objects."""
    kube = SelectingKube()
    kinds = {"CarbonAwareJob": CARBON_AWARE_JOBS, "CarbonZone": CARBON_ZONES, "Job": JOBS}
    for body in bodies:
        kube.put(kinds[body["kind"]], body["metadata"].get("namespace"), body)
    return kube


class World:
    """A cluster, stores that hold what is in it, and whom the inbox woke."""

    def __init__(self, *bodies) -> None:
        self.kube, self.jobs, self.zones = a_cluster(*bodies), JobStore(), ZoneStore()
        self.seen: list[str] = []
        self.inbox = StoreInbox(
            self.jobs,
            self.zones,
            touch=self.seen.append,
            zone_changed=self.seen.append,
            forgotten=lambda _: None,
            room=lambda _: None,
            name_freed=lambda _, __: None,
        )

    async def filled(self):
        """The same, with filled stores; nobody woken yet."""
        await fill(self.kube, self.inbox)
        self.seen.clear()
        return self

    async def swept(self):
        """What a sweep did: how many were gone, how many read, and who was woken."""
        swept = await sweep(self.kube, self.inbox, self.jobs, self.zones)
        return swept.dropped, swept.read, sorted(set(self.seen))


JOB = a_job_body()
CHILD = a_child_body(JOB)


class TestFill:
    async def test_takes_everything_in(self):
        """Afterwards what is not in the store does not exist."""
        world = await World(JOB, CHILD, a_zone_body()).filled()

        assert "child-uid" == world.jobs.records["uid-train"].child.uid
        assert {"de"} == world.zones.records.keys()

    async def test_shows_children_before_their_jobs(self):
        """A job is never seen without the child that it has."""
        world = World(JOB, CHILD, a_zone_body())
        await fill(world.kube, world.inbox)

        assert ["de", "uid-train", "uid-train"] == world.seen

    async def test_of_an_odd_object_spares_the_others(self):
        """One unreadable job must not keep the operator from starting."""
        odd = a_job_body("odd", schedule={"startBy": "9999-12-31T23:59:59-12:00"})

        world = await World(odd, JOB).filled()

        assert "uid-train" in world.jobs.records

    async def test_gives_the_loop_its_turn(self):
        """A page of 500 objects comes at once; probes and the lease do not wait for it."""
        turns = []

        async def beat():
            while True:
                turns.append(len(world.jobs.records))
                await asyncio.sleep(0)

        world = World(*(a_job_body(f"j{n}") for n in range(200)))
        beating = asyncio.create_task(beat())
        await world.filled()
        beating.cancel()

        assert max(after - before for before, after in pairwise(turns)) <= OBJECTS_PER_SLICE


class TestSweep:
    async def test_of_a_cluster_that_has_not_changed_reads_and_wakes_nobody(self):
        """Lists of metadata only, at least as new as what is known."""
        world = await World(JOB, CHILD, a_zone_body()).filled()

        assert (0, 0, []) == await world.swept()
        assert {"carbonawarejobs": "1", "jobs": "2", "carbonzones": "3"} == world.kube.asked_for
        assert not [verb for verb, _ in world.kube.requests if verb == "get"]

    async def test_drops_a_job_that_vanished(self):
        """After a broken watch nobody tells of the deletion."""
        world = await World(JOB).filled()
        world.kube.objects.clear()

        assert (1, 0, []) == await world.swept()
        assert {} == world.jobs.records

    async def test_takes_a_child_that_vanished_from_its_job(self):
        """Then the planner sees that the workload was deleted."""
        world = await World(JOB, CHILD).filled()
        del world.kube.objects[JOBS.path("ml", CHILD["metadata"]["name"])]

        assert (1, 0, ["uid-train"]) == await world.swept()
        assert None is world.jobs.records["uid-train"].child

    async def test_frees_the_name_of_each_child_that_vanished(self, caplog):
        """Whoever waits for it is told, and one does not keep the others from being dropped."""
        jobs = [a_job_body(name) for name in ("a", "b", "c")]
        children = [a_child_body(job, uid=f"child-{n}") for n, job in enumerate(jobs)]
        world = await World(*jobs, *children).filled()
        freed: list[tuple[str, str]] = []
        world.inbox._name_freed = lambda *name: freed.append(name)
        for child in children:
            del world.kube.objects[JOBS.path("ml", child["metadata"]["name"])]

        assert (3, 0, ["uid-a", "uid-b", "uid-c"]) == await world.swept()
        assert {("ml", child["metadata"]["name"]) for child in children} == set(freed)
        assert "sweep failed" not in caplog.messages

    async def test_drops_a_zone_that_vanished(self):
        """Its jobs are held with NoZone from then on."""
        world = await World(a_zone_body()).filled()
        world.kube.objects.clear()

        assert (1, 0, ["de"]) == await world.swept()
        assert {} == world.zones.records

    async def test_takes_in_what_was_missed(self):
        """An event that was lost never comes again."""
        world = World(JOB, CHILD, a_zone_body())

        assert (0, 3, ["de", "uid-train"]) == await world.swept()
        assert "child-uid" == world.jobs.records["uid-train"].child.uid
        assert {"de"} == world.zones.records.keys()

    async def test_takes_in_what_changed_unseen(self):
        """Its uid is known, its version is not."""
        world = await World(JOB, CHILD, a_zone_body()).filled()
        world.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(suspend=True))
        world.kube.put(JOBS, "ml", a_child_body(JOB, suspend=True))
        world.kube.put(CARBON_ZONES, None, a_zone_body(grams=10))

        assert (0, 3, ["de", "uid-train"]) == await world.swept()
        record = world.jobs.records["uid-train"]
        assert (True, True) == (record.suspend, record.child.suspended_by is not None)
        assert 10 == world.zones.records["de"].spec.source.static.grams_per_kwh

    async def test_replaces_a_job_that_was_deleted_and_created_again(self):
        """The name is the same, the object is not."""
        world = await World(JOB).filled()
        world.kube.put(CARBON_AWARE_JOBS, "ml", a_job_body(uid="again"))

        assert (1, 1, ["again"]) == await world.swept()
        assert {"again"} == world.jobs.records.keys()

    async def test_brings_back_no_job_that_goes_while_it_reads(self):
        """It was in the list, and is gone before it is read."""
        world = World(JOB)
        world.kube.during = lambda kind: world.kube.objects.clear()

        assert (0, 0, []) == await world.swept()

    async def test_spares_what_came_while_it_listed(self):
        """A job created after the list began is not in the list, and is there."""
        world = await World().filled()
        world.kube.during = lambda kind: kind == CARBON_AWARE_JOBS and world.jobs.apply(JOB)

        await world.swept()

        assert {"uid-train"} == world.jobs.records.keys()

    async def test_spares_a_zone_created_again_while_it_listed(self):
        """The new zone bears the old one's name and is not the old one."""
        world = await World(a_zone_body(uid="old")).filled()
        world.kube.objects.clear()
        new = a_zone_body(uid="new", resource_version=9)
        world.kube.during = lambda kind: world.inbox.zone(new, deleted=False)

        await world.swept()

        assert "new" == world.zones.records["de"].uid

    async def test_drops_children_of_jobs_that_never_were(self):
        """They are not the operator's, and would be kept for ever."""
        world = await World(CHILD).filled()

        await world.swept()

        assert {} == world.jobs.child_versions()

    @pytest.mark.parametrize("kind", [CARBON_ZONES, JOBS, CARBON_AWARE_JOBS], ids=str)
    @pytest.mark.parametrize("trouble", ["odd page", "refused"])
    async def test_that_one_kind_spoils_compares_the_others(self, kind, trouble, caplog):
        """Nothing of a list that broke off is believed, and the operator goes on."""
        world = await World(JOB, CHILD, a_zone_body()).filled()
        before = world.jobs.versions(), world.jobs.child_versions(), world.zones.versions()
        world.kube.objects.clear()
        spoil(world.kube, kind, trouble)

        await world.swept()

        after = world.jobs.versions(), world.jobs.child_versions(), world.zones.versions()
        spoilt = [CARBON_AWARE_JOBS, JOBS, CARBON_ZONES].index(kind)
        # A job takes its child along.
        kept = {spoilt: before[spoilt]} if kind is not JOBS else {}
        assert tuple(kept.get(n, {}) for n in range(3)) == after
        assert "sweep failed" in caplog.messages


def spoil(kube: FakeKube, kind: Kind, trouble: str) -> None:
    """Have lists of one kind fail."""
    listed = kube.list

    async def spoilt(asked, *args, **kwargs):
        async for body in listed(asked, *args, **kwargs):
            yield body
        if asked == kind and trouble == "refused":
            raise ApiError(500, "InternalError", "etcd is away")
        if asked == kind:
            yield {"metadata": {"name": "of no uid"}}

    kube.list = spoilt
