"""The sweep finds what vanished unseen, and touches nothing that appeared meanwhile."""

from builders import a_child_body, a_job_body, a_zone_body
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, CARBON_ZONES, JOBS
from carbonaware_operator.cluster.sweep import fill, sweep
from carbonaware_operator.engine.inbox import StoreInbox
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore, zone_record
from fakes import FakeKube


class SelectingKube(FakeKube):
    """Also knows the selector of the sweep, a label that exists; calls `during` in each list."""

    def __init__(self) -> None:
        super().__init__()
        self.during = lambda: None

    async def list(self, kind, namespace=None, *, selector="", only_metadata=False):
        """All objects of a kind, in whatever namespace."""
        for path, body in list(self.objects.items()):
            labels = body["metadata"].get("labels") or {}
            if path.split("/")[-2] == kind.plural and (not selector or selector in labels):
                yield body
        self.during()


def a_cluster(*bodies):
    """An API server with these objects."""
    kube = SelectingKube()
    kinds = {"CarbonAwareJob": CARBON_AWARE_JOBS, "CarbonZone": CARBON_ZONES, "Job": JOBS}
    for body in bodies:
        kube.put(kinds[body["kind"]], body["metadata"].get("namespace"), body)
    return kube


async def a_filled(kube):
    """Stores that hold what is in a cluster."""
    jobs, zones, seen = JobStore(), ZoneStore(), []
    inbox = StoreInbox(jobs, zones, touch=seen.append, zone_changed=seen.append)
    await fill(kube, inbox)
    return jobs, zones, seen


JOB = a_job_body()


class TestFill:
    async def test_takes_everything_in(self):
        """Afterwards what is not in the store does not exist."""
        jobs, zones, _ = await a_filled(a_cluster(JOB, a_child_body(JOB), a_zone_body()))

        assert "child-uid" == jobs.records["uid-train"].child.uid
        assert {"de"} == zones.records.keys()

    async def test_shows_children_before_their_jobs(self):
        """A job is never seen without the child that it has."""
        _, _, seen = await a_filled(a_cluster(JOB, a_child_body(JOB), a_zone_body()))

        assert ["de", "uid-train", "uid-train"] == seen

    async def test_of_an_odd_object_spares_the_others(self):
        """One unreadable job must not keep the operator from starting."""
        odd = a_job_body("odd", schedule={"startBy": "9999-12-31T23:59:59-12:00"})

        jobs, _, _ = await a_filled(a_cluster(odd, JOB))

        assert {"uid-train"} == jobs.records.keys()


class TestSweep:
    async def test_drops_nothing_that_is_there(self):
        """A cluster that has not changed changes nothing."""
        kube = a_cluster(JOB, a_child_body(JOB), a_zone_body())
        jobs, zones, _ = await a_filled(kube)

        assert [] == await sweep(kube, jobs, zones)
        assert "child-uid" == jobs.records["uid-train"].child.uid

    async def test_drops_a_job_that_vanished(self):
        """After a broken watch nobody tells of the deletion."""
        kube = a_cluster(JOB)
        jobs, zones, _ = await a_filled(kube)
        kube.objects.clear()

        assert ["uid-train"] == await sweep(kube, jobs, zones)
        assert {} == jobs.records

    async def test_takes_a_child_that_vanished_from_its_job(self):
        """Then the planner sees that the workload was deleted."""
        kube = a_cluster(JOB, a_child_body(JOB))
        jobs, zones, _ = await a_filled(kube)
        del kube.objects[JOBS.path("ml", a_child_body(JOB)["metadata"]["name"])]

        assert ["uid-train"] == await sweep(kube, jobs, zones)
        assert None is jobs.records["uid-train"].child

    async def test_drops_a_zone_that_vanished(self):
        """Its jobs are held with NoZone from then on."""
        kube = a_cluster(a_zone_body())
        jobs, zones, _ = await a_filled(kube)
        kube.objects.clear()

        await sweep(kube, jobs, zones)

        assert {} == zones.records

    async def test_spares_what_came_while_it_listed(self):
        """A job created after the list began is not in the list, and is there."""
        kube = a_cluster()
        jobs, zones, _ = await a_filled(kube)
        kube.during = lambda: jobs.apply(JOB)

        await sweep(kube, jobs, zones)

        assert {"uid-train"} == jobs.records.keys()

    async def test_spares_a_zone_created_again_while_it_listed(self):
        """The new zone bears the old one's name and is not the old one."""
        kube = a_cluster(a_zone_body(uid="old"))
        jobs, zones, _ = await a_filled(kube)
        kube.objects.clear()
        kube.during = lambda: zones.apply(zone_record(a_zone_body(uid="new")))

        await sweep(kube, jobs, zones)

        assert "new" == zones.records["de"].uid
