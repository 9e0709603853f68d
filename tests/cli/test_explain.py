"""`kubectl carbonaware explain`: the decision, the rules, and whether the operator acted on it."""

import json
from typing import Any

import pytest

from stand_in_api import (
    Run,
    StandInApi,
    a_pod,
    condition_of,
    operator_status,
    stored_child,
    stored_job,
    stored_zone,
)

LIMIT = {"maxGramsPerKWh": 100, "maxDelay": "24h"}
HELD = operator_status("AboveMaxIntensity", deadline="2026-03-02T12:00:00Z")
STARTED = {"workload": {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u"}}
RUNNING = operator_status(
    "Immediate", released=True, releasedTime="2026-03-01T12:30:00Z", heldSeconds=1800
)
CHILD_UID = {"workload": {**STARTED["workload"], "uid": "child-of-train"}}


@pytest.fixture
def explained(kubectl_carbonaware: Run):
    """The document that explain prints of the job `train`."""

    def document(*arguments: str) -> dict[str, Any]:
        result = kubectl_carbonaware("explain", "train", "-o", "json", *arguments)
        assert 0 == result.exit_code, result.output
        return json.loads(result.stdout)

    return document


class TestHeldJob:
    def test_is_told_the_binding_rule_until_when_and_what_starts_it(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """The whole answer for a job above its limit, as a user reads it."""
        api.add(stored_zone(grams=300), stored_job(status=HELD, **LIMIT))

        text = kubectl_carbonaware("explain", "train").stdout

        assert text == (
            "Job:     ml-team/train\n"
            "State:   Held, AboveMaxIntensity\n"
            "Why:     the zone's intensity is above `maxGramsPerKWh`, 100 gCO2e/kWh;"
            " starts at 2026-03-02T12:00:00Z at the latest\n"
            "Since:   2026-03-01T12:00:05Z (59 min 55 s ago)\n"
            "Until:   2026-03-02T12:00:00Z (in 23 h), unless something starts it earlier\n"
            "Used:    held 1 h, no energy recorded yet\n"
            "\n"
            "Rules, in the order in which they are asked:\n"
            "  pass    suspend                `suspend` is not set\n"
            "  pass    workload               the API server has not refused it\n"
            "  pass    release request        no open request\n"
            "  pass    earliestStart          not set\n"
            "  pass    latest start           2026-03-02T12:00:00Z (in 23 h); then the job starts\n"
            "  pass    zone                   CarbonZone de\n"
            "  pass    windows                always open\n"
            "  pass    strategy               Threshold: looks at the grid\n"
            "  pass    signal                 300 gCO2e/kWh from Static, 1 h ago\n"
            "  pass    preferredGramsPerKWh   not set\n"
            "  holds   maxGramsPerKWh         300 is above 100 gCO2e/kWh\n"
            "\n"
            "To start it now, any of:\n"
            "  kubectl carbonaware release train -n ml-team\n"
            "  `maxGramsPerKWh` of at least 300\n"
        )

    def test_document_has_stable_keys(self, api: StandInApi, explained) -> None:
        """The same for programs; no text needs to be taken apart."""
        api.add(stored_zone(grams=300), stored_job(status=HELD, **LIMIT))

        document = explained()

        assert ("Held", "AboveMaxIntensity", None) == (
            document["state"],
            document["reason"],
            document["disagreement"],
        )
        assert document["decision"] == {
            "action": "Hold",
            "plannedStartTime": "2026-03-02T12:00:00Z",
            "reviewTime": "2026-03-02T12:00:00Z",
        }
        assert document["rules"][-1] == {
            "rule": "maxGramsPerKWh",
            "verdict": "holds",
            "fact": "300 is above 100 gCO2e/kWh",
        }
        assert document["zone"] == {
            "name": "de",
            "exists": True,
            "fresh": True,
            "milligramsPerKWh": 300_000,
            "source": "Static",
            "observedTime": "2026-03-01T12:00:00Z",
            "fallbackMilligramsPerKWh": 420_000,
        }

    def test_is_decided_on_with_the_delay_and_zone_that_the_operator_gave_it(
        self, api: StandInApi, explained
    ) -> None:
        """The operator's own defaults are not visible here; what it filled in is in the status."""
        filled_in = [{"source": "Settings", "zoneName": "de", "maxDelay": "3h"}]
        status = operator_status("AboveMaxIntensity", appliedDefaults=filled_in)
        api.add(stored_zone(grams=300), stored_job(zone=None, maxGramsPerKWh=100, status=status))

        document = explained()

        assert "2026-03-01T15:00:00Z" == document["deadline"]
        assert "de" == document["zone"]["name"]
        assert filled_in == document["appliedDefaults"]
        assert document["disagreement"] is None

    def test_is_told_what_was_filled_in(self, api: StandInApi, kubectl_carbonaware: Run) -> None:
        """What a user did not write may surprise them: it is said, and by whom."""
        filled_in = [{"source": "Settings", "maxDelay": "24h", "strategy": "Threshold"}]
        status = operator_status("AboveMaxIntensity", appliedDefaults=filled_in)
        api.add(stored_zone(grams=300), stored_job(maxGramsPerKWh=100, status=status))

        text = kubectl_carbonaware("explain", "train").stdout

        assert "Filled in:   strategy Threshold, maxDelay 24h (Settings)\n" in text

    @pytest.mark.parametrize(
        ("job", "reason", "way"),
        [
            ({"suspend": True}, "SuspendedByUser", "kubectl carbonaware resume train -n ml-team"),
            ({"zone": "gone"}, "NoZone", "a CarbonZone gone"),
            (
                {"status": operator_status("InvalidWorkload")},
                "InvalidWorkload",
                "what the API server asks for above; a template is changed in a new job only",
            ),
            (
                {"status": operator_status("QuotaExceeded")},
                "QuotaExceeded",
                "room in the quota of namespace ml-team",
            ),
        ],
    )
    def test_is_told_how_to_start_it_whatever_holds_it(
        self, api: StandInApi, explained, job: dict[str, Any], reason: str, way: str
    ) -> None:
        """Each constraint has another way out."""
        api.add(stored_zone(), stored_job(**job))

        document = explained()

        assert reason == document["reason"]
        assert way in document["toStartNow"]

    def test_without_a_signal_says_what_is_missing_and_what_is_used_instead(
        self, api: StandInApi, explained
    ) -> None:
        """The fallback of the zone decides, and is named as such."""
        api.add(stored_zone(grams=None, reason="Unreachable"), stored_job(status=HELD, **LIMIT))

        facts = {rule["rule"]: rule["fact"] for rule in explained()["rules"]}

        assert facts["signal"] == (
            "missing (Unreachable), `whenSignalMissing` is UseFallback: as told"
        )
        assert "420 is above 100 gCO2e/kWh" == facts["maxGramsPerKWh"]

    def test_of_a_user_who_may_not_read_zones_is_told_what_the_operator_wrote(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """Without the grid nothing can be decided here; the reason and the way out still stand."""
        api.refuse["/apis/carbonaware.io/v1alpha1/carbonzones/de"] = 403
        api.add(stored_job(status=HELD, **LIMIT))

        text = kubectl_carbonaware("explain", "train").stdout

        assert "State:   Held, AboveMaxIntensity\n" in text
        assert "Zone:    you may not read CarbonZone de: no rules are shown\n" in text
        assert "Rules" not in text
        assert text.endswith(
            "To start it now, any of:\n  kubectl carbonaware release train -n ml-team\n"
        )

    @pytest.mark.parametrize("name", ["caj/train", "carbonawarejob/train", "job/train"])
    def test_may_be_named_with_its_kind(
        self, api: StandInApi, kubectl_carbonaware: Run, name: str
    ) -> None:
        """As kubectl prints it."""
        api.add(stored_zone(), stored_job(status=HELD))

        assert "Job:     ml-team/train\n" in kubectl_carbonaware("explain", name).stdout

    def test_named_with_another_kind_is_wrong_usage(self, kubectl_carbonaware: Run) -> None:
        """A pod is no job."""
        result = kubectl_carbonaware("explain", "pod/train")

        assert 2 == result.exit_code
        assert "must be NAME or caj/NAME, not pod/train" in result.stderr


class TestOperatorThatHasNotActed:
    def test_has_not_looked_at_the_job(self, api: StandInApi, kubectl_carbonaware: Run) -> None:
        """No status: the operator is down, or has just seen the job."""
        api.add(stored_zone(grams=50), stored_job(**LIMIT))

        text = kubectl_carbonaware("explain", "train").stdout

        assert "Not acted on: the operator has not looked at this job yet." in text
        assert "kubectl get lease carbonaware-operator -n carbonaware-system" in text

    @pytest.mark.parametrize(
        ("renewed", "says"),
        [
            ("2026-03-01T12:59:58.1Z", "last seen 1 s ago: it has yet to act"),
            ("2026-03-01T12:59:20Z", "last seen 40 s ago: it does not seem to be running"),
        ],
    )
    def test_is_said_to_be_there_or_not_by_its_lease(
        self, api: StandInApi, kubectl_carbonaware: Run, renewed: str, says: str
    ) -> None:
        """Where the Lease may be read: nobody needs to look it up."""
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "carbonaware-operator", "namespace": "green"},
            "spec": {"renewTime": renewed},
        }
        api.add(stored_zone(grams=50), stored_job(**LIMIT), lease)

        text = kubectl_carbonaware("explain", "train", "--operator-namespace", "green").stdout

        assert f"The operator was {says}." in text

    def test_has_not_started_what_the_rules_start(self, api: StandInApi, explained) -> None:
        """The grid is clean, the status still says held."""
        api.add(stored_zone(grams=50), stored_job(status=HELD, **LIMIT))

        document = explained()

        assert document["disagreement"] == (
            "by the rules it is to be started (IntensityAcceptable) now,"
            " and the status still says Held (AboveMaxIntensity)"
        )
        assert "starts" == document["rules"][-1]["verdict"]
        assert [] == document["toStartNow"]

    def test_has_not_seen_the_last_change(self, api: StandInApi, explained) -> None:
        """An old generation explains every other difference."""
        job = stored_job(status=HELD, **LIMIT)
        job["metadata"]["generation"] = 2
        api.add(stored_zone(), job)

        assert "has not seen the last change" in explained()["disagreement"]

    def test_has_not_noticed_that_the_child_is_gone(self, api: StandInApi, explained) -> None:
        """The job fails: a child Job is never created a second time."""
        api.add(stored_zone(), stored_job(status=RUNNING | STARTED))

        document = explained()

        assert "WorkloadDeleted" == document["reason"]
        assert "failed (WorkloadDeleted)" in document["disagreement"]

    def test_has_not_noticed_that_the_child_has_ended(self, api: StandInApi, explained) -> None:
        """The child Job itself says so."""
        job = stored_job(status=RUNNING | CHILD_UID)
        done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-03-01T12:50:00Z"}
        api.add(stored_zone(), job, stored_child(job, conditions=[done], succeeded=1))

        assert "the child Job has ended" in explained()["disagreement"]


class TestStartedJob:
    def test_shows_its_child_and_since_when_it_runs(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """It is running: nothing is asked any more; its log is what one wants next."""
        job = stored_job(status=RUNNING | CHILD_UID)
        api.add(stored_zone(), job, stored_child(job, active=2), a_pod(job))

        text = kubectl_carbonaware("explain", "train").stdout

        assert "State:       Running, Immediate\n" in text
        assert "(2 active)" in text
        assert "kubectl logs job/train --tail=50 -n ml-team\n" in text
        assert "held 30 min, started 30 min ago, no energy recorded yet" in text
        assert "Rules" not in text
        assert "Not acted on" not in text

    def test_without_a_ready_pod_is_starting_and_says_what_the_pod_lacks(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """In Kubernetes' own words, and what the job was released for besides."""
        job = stored_job(status=RUNNING | CHILD_UID | {"state": "Starting", "reason": "Immediate"})
        full = condition_of("PodScheduled", False, "Unschedulable", "0/1 nodes are available")
        api.add(stored_zone(), job, stored_child(job), a_pod(job, phase="Pending", trouble=full))

        text = kubectl_carbonaware("explain", "train").stdout

        assert "State:       Starting, Unschedulable\n" in text
        assert "Why:         as told\n" in text
        assert "Pods:        Unschedulable: 0/1 nodes are available\n" in text

    def test_of_a_user_who_may_not_read_pods_is_running(self, api: StandInApi, explained) -> None:
        """As far as can be told."""
        api.refuse["/api/v1/namespaces/ml-team/pods"] = 403
        job = stored_job(status=RUNNING | CHILD_UID)
        api.add(stored_zone(), job, stored_child(job))

        document = explained()

        assert ("Running", None) == (document["state"], document["pods"])

    def test_that_is_to_be_suspended_is_stopping(self, api: StandInApi, explained) -> None:
        """The child Job is suspended and its pods still end: the operator has done its part."""
        stopping = {"state": "Suspending", "reason": "SuspendedByUser"}
        job = stored_job(suspend=True, status=RUNNING | CHILD_UID | stopping)
        api.add(stored_zone(), job, stored_child(job, suspend=True, active=1))

        document = explained()

        assert ("Suspending", "SuspendedByUser") == (document["state"], document["reason"])
        assert document["disagreement"] is None

    def test_shows_what_it_used(self, api: StandInApi, kubectl_carbonaware: Run) -> None:
        """A finished job has its sums, and how the energy is known."""
        status = RUNNING | {
            "runSeconds": 600,
            "energyMethod": "Measured",
            "summary": {"energy": "20.0 Wh", "emissions": "6.0 g", "avoided": "4.0 g (40 %)"},
        }
        status["conditions"] = [
            *RUNNING["conditions"],
            condition_of("Complete", True, "Succeeded", "the child Job completed"),
        ]
        api.add(stored_zone(), stored_job(status=status))

        text = kubectl_carbonaware("explain", "train").stdout

        assert "Complete, Succeeded" in text
        assert "ran 10 min, 20.0 Wh (Measured), 6.0 g CO2e, 4.0 g (40 %) saved" in text

    @pytest.mark.parametrize(
        ("zone", "summary", "words"),
        [
            ("de", {"emissions": "6.0 g", "avoided": "1.3 g more"}, "6.0 g CO2e, 1.3 g more than"),
            ("gone", {}, "20.0 Wh, not priced: there is no CarbonZone gone"),
            ("de", {}, "20.0 Wh, not priced yet: CarbonZone de has no intensity"),
        ],
        ids=["worse than at once", "a zone that is gone", "hours without intensity"],
    )
    def test_says_in_words_what_is_no_saving(
        self,
        api: StandInApi,
        kubectl_carbonaware: Run,
        zone: str,
        summary: dict[str, str],
        words: str,
    ) -> None:
        """A sign is overlooked, and a blank explains nothing."""
        status = RUNNING | {"summary": {"energy": "20.0 Wh"} | summary}
        api.add(stored_zone(), stored_job(zone=zone, status=status))

        assert words in kubectl_carbonaware("explain", "train").stdout
