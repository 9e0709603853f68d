"""What the demo reads from API objects."""

from datetime import UTC, datetime

from testbed.demo import scene
from testbed.demo.facts import State, facts_of, observation

CREATED = "2026-03-01T12:00:00Z"


def a_body(name="immediate", *conditions, **status):
    """A CarbonAwareJob as the API server returns it."""
    listed = [{"type": t, "status": s, "reason": r, "message": ""} for t, s, r in conditions]
    return {
        "kind": "CarbonAwareJob",
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": CREATED},
        "status": {"conditions": listed, **status},
    }


def a_child(of):
    """A batch/v1 Job that belongs to a CarbonAwareJob."""
    labels = {"carbonaware.io/job-uid": f"uid-{of}"}
    return {"kind": "Job", "metadata": {"name": f"{of}-1", "labels": labels}}


def a_zone(name="day", **status):
    """A CarbonZone."""
    return {
        "kind": "CarbonZone",
        "metadata": {"name": name, "creationTimestamp": CREATED},
        "status": status,
    }


class TestJobFacts:
    def test_a_job_nobody_has_looked_at_is_held(self):
        """It has no status at all."""
        body = a_body()
        del body["status"]

        assert State.HELD == facts_of(body, 0).state

    def test_state_follows_workload_and_conditions(self):
        """In the order of a job's life."""
        workload = {"name": "child"}
        done, failed = ("Complete", "True", "Succeeded"), ("Failed", "True", "WorkloadFailed")

        assert State.RUNNING == facts_of(a_body(workload=workload), 1).state
        assert State.COMPLETE == facts_of(a_body("a", done, workload=workload), 1).state
        assert State.FAILED == facts_of(a_body("a", failed, workload=workload), 1).state

    def test_is_final_only_with_its_account(self):
        """Energy of the last seconds arrives after the pod has ended."""
        done = ("Complete", "True", "Succeeded")

        assert not facts_of(a_body("a", done), 1).ended
        assert facts_of(a_body("a", done, ledger={"settled": True}), 1).ended

    def test_knows_when_the_user_changed_the_job(self):
        """The API server's own clock says so, by the name of the field manager."""
        body = a_body("suspended")
        body["metadata"]["managedFields"] = [
            {"manager": "carbonaware-planner", "time": "2026-03-01T12:00:01Z"},
            {"manager": scene.USER, "time": "2026-03-01T12:01:00Z"},
        ]

        assert datetime(2026, 3, 1, 12, 1, tzinfo=UTC) == facts_of(body, 0).freed


class TestMass:
    def test_is_added_up_from_the_account(self):
        """0.1 mg is lost in the status' whole milligrams, and is what such a job emits."""
        period = {"microjoules": 36_000_000, "milligramsPerKWh": 100_000, "pueMilli": 1200}
        compared = {**period, "baselineMilligramsPerKWh": 300_000}

        facts = facts_of(a_body(ledger={"hours": [period, compared]}), 1)

        assert (2400, 3600) == (facts.emissions_ug, facts.baseline_ug)

    def test_is_unknown_while_nothing_is_priced(self):
        """Not zero."""
        assert None is facts_of(a_body(ledger={"hours": [{"microjoules": 1}]}), 1).emissions_ug


class TestObservation:
    def test_counts_the_children_of_each_job(self):
        """By uid: a label of the same name may be anybody's."""
        items = [a_body("window"), a_child("window"), a_child("window"), a_child("other")]

        seen = observation(items, "day", ["window"])

        assert [2] == [job.child_count for job in seen.jobs]

    def test_keeps_the_order_of_the_story(self):
        """Not that of the list."""
        seen = observation([a_body("a"), a_body("b")], "day", ["b", "absent", "a"])

        assert ["b", "a"] == [job.name for job in seen.jobs]

    def test_reads_the_demos_own_zone(self):
        """Others may exist."""
        current = {"milligramsPerKWh": 340_500}

        seen = observation([a_zone("other"), a_zone("day", current=current)], "day", [])

        assert 340.5 == seen.grams

    def test_has_not_ended_before_it_began(self):
        """No job is no result."""
        assert not observation([], "day", []).ended
