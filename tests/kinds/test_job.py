"""Child Jobs: the one that a release creates, and what is read of one that exists."""

from copy import deepcopy

import pytest

from builders import NOON, a_child_body, a_job_body, a_job_spec, minutes
from carbonaware_operator.api.reasons import Annotation, Label, ReleaseReason
from carbonaware_operator.kinds.registry import JOB
from carbonaware_operator.planning.decision import Basis, Release
from carbonaware_operator.planning.observed import Ending
from carbonaware_operator.quantities.instants import format_instant

AT_ONCE = Release(ReleaseReason.IMMEDIATE, Basis.SCHEDULE)
ASKED_FOR = Release(ReleaseReason.RELEASED_BY_USER, Basis.USER)


class TestBuild:
    def body(self, **template):
        """The child of a job with this template."""
        job = a_job_body(template={"spec": a_job_spec(), **template})
        return JOB.build(job, AT_ONCE, None)

    def test_is_owned_by_its_job(self):
        """Garbage collection deletes it with the job, and its controller is known."""
        (owner,) = self.body()["metadata"]["ownerReferences"]

        assert ("CarbonAwareJob", "train", "uid-train", True, True) == (
            owner["kind"],
            owner["name"],
            owner["uid"],
            owner["controller"],
            owner["blockOwnerDeletion"],
        )

    def test_has_the_name_of_its_job(self):
        """People find `job/NAME`, and manifests that address its pods keep working."""
        assert ("train", "ml") == (
            self.body()["metadata"]["name"],
            self.body()["metadata"]["namespace"],
        )

    def test_and_its_pods_carry_the_labels(self):
        """People select pods by job, the operator Jobs by uid."""
        body = self.body()
        labels = {Label.JOB: "train", Label.JOB_UID: "uid-train"}

        assert labels == body["metadata"]["labels"]
        assert labels == body["spec"]["template"]["metadata"]["labels"]

    def test_keeps_the_templates_own_labels_and_annotations(self):
        """But for ours, which a template cannot forge."""
        metadata = {
            "labels": {"team": "vision", Label.JOB_UID.value: "forged"},
            "annotations": {"note": "mine", Annotation.RELEASE_REASON.value: "forged"},
        }

        made = self.body(metadata=metadata)["metadata"]

        assert ("vision", "uid-train") == (made["labels"]["team"], made["labels"][Label.JOB_UID])
        assert ("mine", "Immediate") == (
            made["annotations"]["note"],
            made["annotations"][Annotation.RELEASE_REASON],
        )

    def test_takes_from_its_metadata_labels_and_annotations_alone(self):
        """A name, a namespace and finalizers of the template are not those of the child."""
        ignored = {
            "name": "nightly",
            "generateName": "nightly-",
            "namespace": "elsewhere",
            "finalizers": ["example.com/kept"],
            "creationTimestamp": None,
        }

        assert self.body()["metadata"] == self.body(metadata=ignored)["metadata"]

    def test_is_created_running_and_without_a_time_to_live(self):
        """Suspending is the CarbonAwareJob's; a TTL would delete it before it is accounted for."""
        spec = self.body(spec=a_job_spec(suspend=True, ttlSecondsAfterFinished=1))["spec"]

        assert not {"suspend", "ttlSecondsAfterFinished"} & spec.keys()

    @pytest.mark.parametrize(
        ("given", "left_out"),
        [
            (
                {"suspend": True, "ttlSecondsAfterFinished": 9},
                ("suspend", "ttlSecondsAfterFinished"),
            ),
            ({"suspend": False}, ()),
        ],
    )
    def test_says_what_it_was_created_without(self, given, left_out):
        """So that a condition can tell its user."""
        made = self.body(spec=a_job_spec(**given))["metadata"]["annotations"]

        assert left_out == JOB.observe(a_child_body(a_job_body(), annotations=made)).left_out

    def test_replaces_pods_only_once_they_have_ended(self):
        """Else a suspension and its end would let old and new pods run at once."""
        assert "Failed" == self.body()["spec"]["podReplacementPolicy"]

    def test_keeps_a_replacement_policy_of_the_template(self):
        """The user's own word stands."""
        spec = a_job_spec(podReplacementPolicy="TerminatingOrFailed")

        assert "TerminatingOrFailed" == self.body(spec=spec)["spec"]["podReplacementPolicy"]

    def test_says_which_request_it_handles(self):
        """The token of a user's request survives a crash before the status is written."""
        made = JOB.build(a_job_body(), ASKED_FOR, "now-1")

        assert "now-1" == made["metadata"]["annotations"][Annotation.HANDLED_RELEASE_REQUEST]

    def test_says_why_and_on_what_it_was_created(self):
        """Whoever reads it after a crash can tell a fallback from the grid's own intensity."""
        release = Release(ReleaseReason.INTENSITY_ACCEPTABLE, Basis.FALLBACK)
        made = JOB.build(a_job_body(), release, None)

        seen = JOB.observe(a_child_body(a_job_body(), annotations=made["metadata"]["annotations"]))

        assert ("IntensityAcceptable", "Fallback") == (seen.release_reason, seen.release_basis)

    def test_leaves_its_job_untouched(self):
        """The template that it is made from is not changed."""
        job = a_job_body()
        before = deepcopy(job)

        JOB.build(job, AT_ONCE, "now-1")

        assert before == job

    @pytest.mark.parametrize(
        "spec",
        [
            {},
            {"template": None},
            {"template": "text"},
            {"template": {"metadata": None, "spec": {}}},
            {"template": {"metadata": "text", "spec": {}}},
            {"template": {"metadata": {"labels": None}}},
            {"template": {"metadata": {"labels": ["a"]}}},
        ],
    )
    def test_is_made_of_any_template(self, spec):
        """The template's spec is unchecked text: what is odd in it the API server must refuse."""
        assert "batch/v1" == self.body(spec=spec)["apiVersion"]


def conditions(*types, **fields):
    """The status of a Job with these conditions."""
    when = format_instant(NOON + minutes(9))
    entries = [{"type": t, "status": "True", "lastTransitionTime": when} for t in types]
    return {"conditions": entries, **fields}


class TestObserve:
    def child(self, **fields):
        """What is read of a child Job."""
        return JOB.observe(a_child_body(a_job_body(), **fields))

    def test_reads_what_a_release_wrote(self):
        """Round trip: the reason is read back."""
        assert ("Immediate", NOON) == (
            self.child(reason="Immediate").release_reason,
            self.child().created,
        )

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            pytest.param(conditions("Suspended", terminating=0), True, id="no pod left"),
            pytest.param(conditions("Suspended"), False, id="its pods are not counted yet"),
            pytest.param(
                conditions("Suspended", active=1, terminating=0), False, id="a pod is active"
            ),
            pytest.param(conditions("Suspended", terminating=1), False, id="a pod terminates"),
            pytest.param({"terminating": 0}, False, id="not yet seen by the Job controller"),
        ],
    )
    def test_has_stopped_when_suspended_and_empty(self, status, expected):
        """Stopped means that nothing of it runs any more."""
        assert expected == self.child(suspend=True, status=status).stopped

    def test_completed_when_its_completion_time_says(self):
        """The Job's own time counts, not the condition's."""
        status = conditions("Complete", completionTime=format_instant(NOON + minutes(8)))

        assert (
            Ending(NOON + minutes(8), True, "the child Job completed")
            == self.child(status=status).ending
        )

    def test_failed_with_the_jobs_own_words(self):
        """What the Job controller says is passed on."""
        status = conditions("Failed")
        status["conditions"][0]["message"] = "reached the backoff limit"

        assert "reached the backoff limit" == self.child(status=status).ending.message

    def test_has_not_ended_while_a_condition_is_false(self):
        """A condition that is there and False says nothing."""
        status = conditions("Complete")
        status["conditions"][0]["status"] = "False"

        assert None is self.child(status=status).ending
