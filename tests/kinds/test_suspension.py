"""Whose suspension a workload is under, by what its patch noted and who wrote the switch last."""

from datetime import timedelta

import pytest

from builders import NOON, a_child_body, a_job_body
from carbonaware_operator.api.reasons import Annotation
from carbonaware_operator.api.schema import PLANNER_MANAGER
from carbonaware_operator.kinds.parent import earlier_name
from carbonaware_operator.kinds.registry import JOB
from carbonaware_operator.planning.observed import Cause


def written_by(*managers: str) -> list[dict[str, object]]:
    """What the API server keeps of who wrote `spec.suspend`, and of somebody who did not."""
    switch = {"f:spec": {"f:suspend": {}}}
    entries = [{"manager": name, "fieldsV1": switch} for name in managers]
    return [*entries, {"manager": "kube-controller-manager", "fieldsV1": {"f:status": {}}}]


def child(*managers: str, noted: str | None = "User", suspend: bool = True, **metadata):
    """A child Job that these wrote last, with the cause that our patch noted."""
    annotations = {
        Annotation.SUSPENDED_BY.value: noted,
        Annotation.SUSPENDED_TIME.value: "2026-06-15T12:00:00Z",
    }
    return a_child_body(
        a_job_body(),
        suspend=suspend,
        annotations=annotations if noted else {},
        managedFields=written_by(*managers),
        **metadata,
    )


WHOSE = {
    "ours, written last by us": (child(PLANNER_MANAGER), Cause.USER),
    "ours, of a budget": (child(PLANNER_MANAGER, noted="Budget"), Cause.BUDGET),
    "of a queue that suspended it as we created it": (
        child("carbonaware", noted=None), Cause.OTHER),
    "somebody's, after they had lifted ours, whose note is left over": (
        child("kueue"), Cause.OTHER),
    "ours and somebody's, who applied the same": (
        child(PLANNER_MANAGER, "argocd"), Cause.OTHER),
    "with a cause that nobody has": (child(PLANNER_MANAGER, noted="Moon"), Cause.OTHER),
    "of the first version, which noted nothing": (
        child("carbonaware", noted=None, name=earlier_name("train", "uid-train")), Cause.USER),
    "nobody's: it is to run": (child(PLANNER_MANAGER, suspend=False), None),
}  # fmt: skip


class TestWhose:
    @pytest.mark.parametrize(("body", "expected"), WHOSE.values(), ids=WHOSE)
    def test_a_suspension_is(self, body, expected):
        """Only our own is ever lifted, so nothing else may pass for it."""
        assert expected == JOB.observe(body).suspended_by

    def test_is_known_for_a_while_after_somebody_lifted_it(self):
        """Since when we wanted it suspended stays on the Job until we resume it."""
        assert NOON == JOB.observe(child("kubectl", suspend=False)).suspended_since

    def test_a_time_that_is_none_is_not_known(self):
        """Anybody may edit an annotation."""
        body = child(PLANNER_MANAGER)
        body["metadata"]["annotations"][Annotation.SUSPENDED_TIME.value] = "yesterday"

        assert None is JOB.observe(body).suspended_since

    def test_a_queue_is_named(self):
        """For the one who asks what the job waits for."""
        labels = {"kueue.x-k8s.io/queue-name": "gpu"}

        assert ("gpu", None) == (
            JOB.observe(child(noted=None, labels=labels)).gate,
            JOB.observe(child()).gate,
        )


class TestPatches:
    def test_say_whose_wish_it_is_under_the_version_that_was_seen(self):
        """A Job that changed meanwhile is looked at anew."""
        patch = JOB.suspend_patch(JOB.observe(child()), Cause.CARBON, NOON + timedelta(hours=1))

        assert {"uid": "child-uid", "resourceVersion": "10"}.items() <= patch["metadata"].items()
        assert {"suspend": True} == patch["spec"]
        assert {
            Annotation.SUSPENDED_BY: "Carbon",
            Annotation.SUSPENDED_TIME: "2026-06-15T13:00:00Z",
        } == patch["metadata"]["annotations"]

    def test_that_resume_take_the_note_away(self):
        """Left over, it would call the next suspension ours."""
        patch = JOB.resume_patch(JOB.observe(child()))

        assert {"suspend": False} == patch["spec"]
        assert {None} == set(patch["metadata"]["annotations"].values())
