"""`kubectl carbonaware list` and `zones`: one line per object, and documents for programs."""

import json

import pytest
import yaml

from carbonaware_operator.cli.commands import jobs as listing
from stand_in_api import (
    Run,
    StandInApi,
    a_pod,
    condition_of,
    operator_status,
    stored_job,
    stored_zone,
)

SOON = "2026-03-01T16:10:00Z"
HELD = operator_status("AboveMaxIntensity", plan={"startTime": SOON, "latestStartTime": SOON})
DONE = operator_status(
    "IntensityAcceptable",
    released=True,
    releasedTime="2026-03-01T12:30:00Z",
    finishedTime="2026-03-01T12:40:00Z",
    energyJoules=72000,
    emissionsMilligrams=6000,
    avoidedEmissionsMilligrams=4000,
    avoidedPercent=40,
    energyMethod="Measured",
    summary={"energy": "20.0 Wh", "emissions": "6.0 g", "avoided": "4.0 g (40 %)"},
)
DONE["conditions"].append(condition_of("Complete", True, "Succeeded"))


def lines(text: str) -> list[list[str]]:
    """The cells of a printed table."""
    return [
        [cell.strip() for cell in line.split("   ") if cell.strip()] for line in text.splitlines()
    ]


class TestList:
    def test_shows_what_a_held_job_waits_for(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """State, reason, when it starts, and the grid now against its limit."""
        api.add(stored_zone(grams=300), stored_job(maxGramsPerKWh=100, status=HELD))

        header, row = lines(kubectl_carbonaware("list").stdout)

        assert header == [
            *("NAME", "STATE", "REASON", "LATEST START", "STARTED", "ZONE", "NOW/LIMIT"),
            *("ENERGY", "EMISSIONS", "SAVED"),
        ]
        assert [
            *("train", "Held", "AboveMaxIntensity", "in 3 h 10 min", "-", "de", "300/100"),
            *("-", "-", "-"),
        ] == row

    def test_shows_what_a_complete_job_used(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """The grid does not matter any more; the sums do."""
        api.add(stored_zone(), stored_job(status=DONE))

        _, row = lines(kubectl_carbonaware("list").stdout)

        assert [
            *("train", "Complete", "Succeeded", "-", "30 min ago", "de", "-"),
            *("20.0 Wh", "6.0 g", "4.0 g (40 %)"),
        ] == row

    def test_marks_the_fallback_and_says_when_a_zone_is_not_known(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """A value that is no measurement never looks like one."""
        api.add(stored_zone(grams=None), stored_job("a"), stored_job("b", zone="gone"))

        _, first, second = lines(kubectl_carbonaware("list").stdout)

        assert "~420/none" in first
        assert "?/none" in second
        assert "Held" in first

    def test_takes_the_namespace_from_the_context_the_option_or_all(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """As kubectl does."""
        api.add(stored_job("here"), stored_job("there", namespace="far"))

        assert ["here"] == [row[0] for row in lines(kubectl_carbonaware("list").stdout)[1:]]
        for chosen in (("-n", "far"), ("--context", "other")):
            shown = lines(kubectl_carbonaware("list", *chosen).stdout)[1:]
            assert ["there"] == [row[0] for row in shown]
        everywhere = lines(kubectl_carbonaware("list", "-A").stdout)
        assert ["NAMESPACE", "far", "ml-team"] == [row[0] for row in everywhere]

    def test_wide_adds_deadline_age_and_child(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """What one needs less often."""
        status = operator_status("AboveMaxIntensity", deadline="2026-03-02T13:00:00Z")
        api.add(stored_job(status=status))

        header, row = lines(kubectl_carbonaware("list", "-o", "wide").stdout)

        assert ["DEADLINE", "AGE", "CHILD JOB"] == header[-3:]
        assert ["in 1 d", "1 h", "-"] == row[-3:]

    @pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
    def test_documents_have_stable_keys(
        self, api: StandInApi, kubectl_carbonaware: Run, form: str, read
    ) -> None:
        """Programs get numbers with their unit in the key, and null for what is not known."""
        api.add(stored_zone(grams=300), stored_job(status=DONE, maxGramsPerKWh=400))

        (item,) = read(kubectl_carbonaware("list", "-o", form).stdout)["items"]

        assert {
            "namespace": "ml-team",
            "name": "train",
            "state": "Complete",
            "reason": "Succeeded",
            "message": "as told",
            "pods": None,
            "zone": "de",
            "plannedStartTime": None,
            "latestStartTime": None,
            "releasedTime": "2026-03-01T12:30:00Z",
            "finishedTime": "2026-03-01T12:40:00Z",
            "deadline": None,
            "milligramsPerKWh": 300_000,
            "maxGramsPerKWh": 400,
            "energyJoules": 72000,
            "energyMethod": "Measured",
            "emissionsMilligrams": 6000,
            "avoidedEmissionsMilligrams": 4000,
            "avoidedPercent": 40,
        } == item

    def test_can_be_narrowed_to_names_and_labels(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """As kubectl does; a name that is not there is an error."""
        eval_job = stored_job("eval")
        eval_job["metadata"]["labels"] = {"team": "vision"}
        api.add(stored_job("train"), stored_job("sweep"), eval_job)

        def names(*arguments: str) -> list[str]:
            return [row[0] for row in lines(kubectl_carbonaware("list", *arguments).stdout)[1:]]

        assert ["sweep", "train"] == names("train", "caj/sweep")
        assert ["eval"] == names("-l", "team=vision")
        lost = kubectl_carbonaware("list", "train", "lost")
        assert (1, "") == (lost.exit_code, lost.stdout)
        assert "there is no CarbonAwareJob ml-team/lost" in lost.stderr

    def test_watches_until_interrupted_and_adds_a_row_for_each_change(
        self, api: StandInApi, kubectl_carbonaware: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows of what changed stand below the table; what has not changed is not repeated."""
        monkeypatch.setattr(listing, "REFRESH_SECONDS", 0)
        waiting = stored_job("train", status=HELD)
        api.add(stored_zone(), waiting, stored_job("other", status=HELD))
        path = "/apis/carbonaware.io/v1alpha1/namespaces/ml-team/carbonawarejobs"
        reads = []

        def change_then_fail(asked: str) -> None:
            reads.extend([asked] if asked == path else [])
            if len(reads) == 6:
                waiting["status"] = DONE
            if len(reads) == 40:
                api.refuse[path] = 403

        api.after_get = change_then_fail

        rows = lines(kubectl_carbonaware("list", "-w").stdout)

        assert [("other", "Held"), ("train", "Held"), ("train", "Complete")] == [
            (row[0], row[1]) for row in rows[1:]
        ]

    def test_shows_what_the_pods_of_a_started_job_lack(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """One look at the pods for all jobs, one at the events where a job has none."""
        started = operator_status("Immediate", released=True, state="Starting", reason="Immediate")
        jobs = [stored_job(name, status=started) for name in ("ready", "unfit", "quota")]
        for job in jobs:
            child = {"name": "c", "uid": f"child-of-{job['metadata']['name']}"}
            job["status"]["workload"] = {"apiVersion": "batch/v1", "kind": "Job", **child}
        jobs[0]["status"]["state"] = "Running"
        full = condition_of("PodScheduled", False, "Unschedulable", "0/1 nodes")
        api.add(stored_zone(), *jobs, a_pod(jobs[0], "a"))
        api.add(a_pod(jobs[1], "b", phase="Pending", trouble=full))
        event = {"reason": "FailedCreate", "message": "exceeded quota: q"}
        event["involvedObject"] = {"uid": "child-of-quota"}
        metadata = {"name": "e", "namespace": "ml-team"}
        api.add({"apiVersion": "v1", "kind": "Event", "metadata": metadata, **event})

        rows = lines(kubectl_carbonaware("list").stdout)[1:]
        items = json.loads(kubectl_carbonaware("list", "-o", "json").stdout)["items"]

        assert [
            ["quota", "Starting", "QuotaExceeded"],
            ["ready", "Running", "Immediate"],
            ["unfit", "Starting", "Unschedulable"],
        ] == [row[:3] for row in rows]
        assert {"ready": 0, "reason": "Unschedulable", "message": "0/1 nodes"} == items[2]["pods"]
        assert 1 == sum("/pods?" in asked for asked in api.requests[: len(api.requests) // 2])

    def test_of_a_user_who_may_not_list_pods_says_so_once(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """The list itself is as good as before."""
        api.refuse["/api/v1/namespaces/ml-team/pods"] = 403
        job = stored_job(status=operator_status("Immediate", released=True))
        job["status"]["workload"] = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": "c",
            "uid": "u",
        }
        api.add(stored_zone(), job)

        result = kubectl_carbonaware("list")

        assert ["train", "Running", "Immediate"] == lines(result.stdout)[1][:3]
        assert "You may not list pods" in result.stderr

    def test_of_nothing_says_so_beside_the_answer(self, kubectl_carbonaware: Run) -> None:
        """Stdout stays empty, so that a count of its lines is right."""
        result = kubectl_carbonaware("list")

        assert (0, "", "No CarbonAwareJobs in namespace ml-team.\n") == (
            result.exit_code,
            result.stdout,
            result.stderr,
        )

    def test_works_for_users_who_may_not_read_zones(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """Zones are cluster-wide; a user of one namespace still sees their jobs."""
        api.refuse["/apis/carbonaware.io/v1alpha1/carbonzones"] = 403
        api.add(stored_job(maxGramsPerKWh=100))

        assert "?/100" in kubectl_carbonaware("list").stdout

    def test_shows_no_control_characters(self, api: StandInApi, kubectl_carbonaware: Run) -> None:
        """What an object says cannot drive the user's terminal, nor rich's markup."""
        api.add(stored_job(status=operator_status("[bold]\x1b[31mx")))

        assert "[bold] [31mx" in kubectl_carbonaware("list").stdout


class TestZones:
    def test_show_the_intensity_and_who_waits_for_it(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """Only held jobs are counted."""
        api.add(stored_zone("de", grams=300), stored_zone("fr", grams=None))
        api.add(stored_job("a", status=HELD), stored_job("b", status=DONE), stored_job("c"))

        header, de, fr = lines(kubectl_carbonaware("zones").stdout)

        names = ["NAME", "gCO2e/kWh", "NEXT 24 H", "SOURCE", "FRESH", "REASON", "AGE", "JOBS HELD"]
        assert names == header
        assert ["de", "300", "-", "Static", "yes", "Current", "1 h", "2"] == de
        assert ["fr", "~420", "-", "Static", "no", "Stale", "-", "0"] == fr

    def test_do_not_guess_the_count_for_users_who_may_not_list_all_jobs(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """Not knowing is not zero."""
        api.refuse["/apis/carbonaware.io/v1alpha1/carbonawarejobs"] = 403
        api.add(stored_zone())

        (item,) = json.loads(kubectl_carbonaware("zones", "-o", "json").stdout)["items"]

        assert item["jobsHeld"] is None
        assert item["milligramsPerKWh"] == 300_000
        assert "?" in kubectl_carbonaware("zones").stdout
