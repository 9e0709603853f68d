"""The inbox wakes whom an event concerns, and survives every object."""

import pytest

from builders import a_child_body, a_job_body, a_zone_body
from carbonaware_operator.engine.inbox import StoreInbox
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore

JOB = a_job_body()


class Hall:
    """An inbox, its stores, and whom it woke."""

    def __init__(self) -> None:
        self.jobs, self.zones = JobStore(), ZoneStore()
        self.touched: list[str] = []
        self.changed_zones: list[str] = []
        self.gone: list[str] = []
        self.freed: list[str] = []
        self.names: list[tuple[str, str]] = []
        self.inbox = StoreInbox(
            self.jobs,
            self.zones,
            touch=self.touched.append,
            zone_changed=self.changed_zones.append,
            forgotten=self.gone.append,
            room=self.freed.append,
            name_freed=lambda namespace, name: self.names.append((namespace, name)),
        )


@pytest.fixture
def hall() -> Hall:
    """Empty stores."""
    return Hall()


class TestJobs:
    def test_a_job_is_taken_in_and_woken(self, hall):
        """New and changed jobs are decided on."""
        hall.inbox.job(JOB, deleted=False)

        assert (["uid-train"], {"uid-train"}) == (hall.touched, hall.jobs.records.keys())

    def test_what_comes_late_of_a_deleted_job_wakes_nobody(self, hall):
        """It is not taken in either."""
        hall.inbox.job(JOB, deleted=True)
        hall.inbox.job(JOB, deleted=False)

        assert ([], {}) == (hall.touched, hall.jobs.records)

    def test_a_deleted_job_is_forgotten(self, hall):
        """There is nothing more to decide."""
        hall.inbox.job(JOB, deleted=False)
        hall.inbox.job(JOB, deleted=True)

        assert ({}, ["uid-train"]) == (hall.jobs.records, hall.gone)

    @pytest.mark.parametrize(
        "odd",
        [
            {"schedule": {"strategy": "Whenever"}},
            {"schedule": {"startBy": "9999-12-31T23:59:59-12:00"}},
            {"schedule": {"startBy": "tomorrow"}},
            {"schedule": {"maxDelay": "5"}},
            {"schedule": {"maxDelay": "9" * 31 + "h"}},
            {
                "schedule": {
                    "windows": [{"start": "01:00", "end": "02:00", "timeZone": "Europe/Atlantis"}]
                }
            },
            {"ttlAfterFinished": "1d"},
            {"status": {"conditions": "none"}},
        ],
        ids=str,
    )
    def test_an_odd_job_is_logged_and_decided_on(self, hall, caplog, odd):
        """Its owner is told, and its deadline holds where it can be read."""
        hall.inbox.job(a_job_body("odd", **odd), deleted=False)

        assert (["object not understood"], ["uid-odd"]) == (caplog.messages, hall.touched)

    @pytest.mark.parametrize("lacking", ["creationTimestamp", "generation", "name"])
    def test_an_object_of_no_shape_is_logged_and_concerns_nobody_else(self, hall, caplog, lacking):
        """A feed that raises would stop for every job."""
        body = a_job_body("odd")
        del body["metadata"][lacking]

        hall.inbox.job(body, deleted=False)

        assert (["object not understood"], []) == (caplog.messages, hall.touched)


class TestChildren:
    def test_a_child_wakes_its_job(self, hall):
        """Also when it is deleted."""
        hall.inbox.child(a_child_body(JOB), deleted=False)
        hall.inbox.child(a_child_body(JOB), deleted=True)

        assert ["uid-train", "uid-train"] == hall.touched

    def test_a_child_that_ended_or_was_deleted_makes_room(self, hall):
        """For jobs of its namespace that wait for a quota."""
        hall.inbox.job(JOB, deleted=False)
        hall.inbox.child(a_child_body(JOB), deleted=False)
        assert [] == hall.freed

        ended = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-06-15T13:00:00Z"}
        status = {"conditions": [ended]}
        hall.inbox.child(a_child_body(JOB, resource_version=11, status=status), deleted=False)
        hall.inbox.child(a_child_body(JOB, resource_version=12), deleted=True)

        assert ["ml", "ml"] == hall.freed

    def test_a_job_that_was_deleted_frees_its_name(self, hall):
        """Also one that is nobody's any more: its CarbonAwareJob was deleted before it."""
        hall.inbox.child(a_child_body(JOB, ownerReferences=[]), deleted=False)
        assert [] == hall.names

        hall.inbox.child(a_child_body(JOB, ownerReferences=[]), deleted=True)

        assert [("ml", "train")] == hall.names

    def test_a_job_of_nobody_wakes_nobody(self, hall):
        """A label can be forged."""
        hall.inbox.child(a_child_body(JOB, ownerReferences=[]), deleted=False)

        assert [] == hall.touched

    def test_an_odd_child_is_logged(self, hall, caplog):
        """As an odd job is."""
        hall.inbox.child(a_child_body(JOB, creationTimestamp="today"), deleted=False)

        assert ["object not understood"] == caplog.messages


class TestZones:
    def test_a_new_zone_wakes_its_jobs(self, hall):
        """Jobs may have waited for it to exist."""
        hall.inbox.zone(a_zone_body(), deleted=False)

        assert ["de"] == hall.changed_zones

    def test_the_echo_of_a_status_write_wakes_nobody(self, hall):
        """A status that the operator wrote itself is no news."""
        hall.inbox.zone(a_zone_body(), deleted=False)
        echo = a_zone_body(resource_version=2) | {"status": {"observedGeneration": 1}}
        hall.inbox.zone(echo, deleted=False)

        assert ["de"] == hall.changed_zones
        assert 1 == hall.zones.records["de"].status.observed_generation

    @pytest.mark.parametrize("change", [{"generation": 2}, {"uid": "another"}])
    def test_a_changed_or_recreated_zone_wakes_its_jobs(self, hall, change):
        """Another spec, or another object of the name."""
        hall.inbox.zone(a_zone_body(), deleted=False)
        hall.inbox.zone(a_zone_body(**change, resource_version=2), deleted=False)

        assert ["de", "de"] == hall.changed_zones

    def test_what_comes_late_of_an_earlier_zone_of_the_name_changes_nothing(self, hall):
        """Two objects are told of by two workers of the watch, in no order."""
        hall.inbox.zone(a_zone_body(uid="new", resource_version=9), deleted=False)
        hall.inbox.zone(a_zone_body(uid="old", resource_version=5), deleted=False)
        hall.inbox.zone(a_zone_body(uid="old", resource_version=8), deleted=True)
        hall.inbox.zone(a_zone_body(uid="old", resource_version=10), deleted=False)

        assert ("new", ["de"]) == (hall.zones.records["de"].uid, hall.changed_zones)

    def test_a_zone_that_cannot_be_read_is_counted_until_it_can_be(self, hall, caplog):
        """What was known of it before still holds."""
        hall.inbox.zone(a_zone_body(), deleted=False)
        odd = a_zone_body(resource_version=2)
        odd["spec"]["source"]["type"] = "Oracle"
        hall.inbox.zone(odd, deleted=False)
        odd_then = set(hall.zones.unreadable), hall.zones.records.keys() == {"de"}
        hall.inbox.zone(a_zone_body(resource_version=3, generation=3), deleted=False)

        assert (({"zone-uid"}, True), set()) == (odd_then, hall.zones.unreadable)
        assert ["object not understood"] == caplog.messages

    def test_a_deleted_zone_wakes_its_jobs(self, hall):
        """They are held with NoZone from then on."""
        hall.inbox.zone(a_zone_body(), deleted=False)
        hall.inbox.zone(a_zone_body(), deleted=True)

        assert (["de", "de"], {}) == (hall.changed_zones, hall.zones.records)
