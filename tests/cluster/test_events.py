"""Events tell a job's story: one for each transition, never more than the API takes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOON, a_record
from carbonaware_operator.api.reasons import ConditionType, EndReason, HoldReason, ReleaseReason
from carbonaware_operator.cluster.events import Recorder, event_body, transitions
from carbonaware_operator.cluster.kube import EVENTS, ApiError
from carbonaware_operator.planning.progress import Condition, Progress
from fakes import FakeKube

HELD = Condition(
    ConditionType.RELEASED, False, HoldReason.ABOVE_MAX_INTENSITY, "above the limit", NOON, 1
)
STARTED = replace(HELD, status=True, reason=ReleaseReason.DEADLINE_REACHED)
FAILED = replace(STARTED, type=ConditionType.FAILED, reason=EndReason.WORKLOAD_FAILED)


def progress(*conditions: Condition) -> Progress:
    """A progress with these conditions."""
    return Progress(conditions=conditions)


class TestTransitions:
    def test_the_first_hold_is_one(self):
        """A new job that waits says why."""
        assert [HELD] == transitions(progress(), progress(HELD))

    def test_to_wait_for_something_else_is_none(self):
        """The condition says it; an opening window concerns a thousand jobs at once."""
        other = replace(HELD, reason=HoldReason.OUTSIDE_WINDOW)

        assert [] == transitions(progress(HELD), progress(other))

    @pytest.mark.parametrize(
        "reason", [HoldReason.NO_ZONE, HoldReason.INVALID_WORKLOAD, HoldReason.NAME_TAKEN]
    )
    def test_what_somebody_must_mend_is_one_and_a_warning(self, reason):
        """Nothing else ends it."""
        other = replace(HELD, reason=reason)

        assert [other] == transitions(progress(HELD), progress(other))
        assert "Warning" == event_body(a_record(), other, NOON, "pod-1")["type"]

    def test_a_suspension_and_its_end_are(self):
        """Released becomes False, and True again."""
        suspended = replace(HELD, reason=HoldReason.SUSPENDED_BY_USER)

        assert [suspended] == transitions(progress(STARTED), progress(suspended))
        assert [STARTED] == transitions(progress(suspended), progress(STARTED))

    def test_a_missed_deadline_is_one(self):
        """It fails; that it is not released goes without saying."""
        missed = replace(HELD, reason=EndReason.DEADLINE_MISSED)
        failed = replace(FAILED, reason=EndReason.DEADLINE_MISSED)

        assert [failed] == transitions(progress(HELD), progress(missed, failed))
        assert [] == transitions(progress(missed, failed), progress(missed, failed))

    def test_another_message_or_generation_is_none(self):
        """What `kubectl get` shows has not changed."""
        assert [] == transitions(progress(HELD), progress(replace(HELD, message="m", generation=2)))


class TestEventBody:
    def test_speaks_of_the_job(self):
        """`kubectl describe` finds it by the uid."""
        regarding = event_body(a_record(), HELD, NOON, "pod-1")["regarding"]

        assert ("CarbonAwareJob", "train", "ml", "uid-train") == (
            regarding["kind"],
            regarding["name"],
            regarding["namespace"],
            regarding["uid"],
        )

    def test_says_reason_and_message(self):
        """One word to filter by, one sentence to read."""
        body = event_body(a_record(), HELD, NOON, "pod-1")

        assert ("Held", "Normal", "AboveMaxIntensity: above the limit") == (
            body["reason"],
            body["type"],
            body["note"],
        )

    def test_warns_of_failures(self):
        """A failure is a Warning."""
        assert ("Failed", "Warning") == (
            event_body(a_record(), FAILED, NOON, "pod-1")["reason"],
            event_body(a_record(), FAILED, NOON, "pod-1")["type"],
        )

    def test_of_the_same_transition_has_the_same_name(self):
        """Written twice, it is refused the second time."""
        names = {event_body(a_record(), HELD, NOON, "a")["metadata"]["name"] for _ in range(2)}

        assert 1 == len(names)

    def test_of_a_later_transition_has_another_name(self):
        """A job can be held for the same reason twice."""
        first = event_body(a_record(resource_version=1), HELD, NOON, "a")
        second = event_body(a_record(resource_version=2), HELD, NOON, "a")

        assert first["metadata"]["name"] != second["metadata"]["name"]

    @given(st.text(max_size=2000), st.text(max_size=300))
    def test_fits_the_apis_limits_in_any_script(self, message, instance):
        """The API counts bytes: 1024 of a note, 128 of an instance."""
        body = event_body(a_record(), replace(HELD, message=message), NOON, instance)

        assert len(body["note"].encode()) <= 1024
        assert len(body["reportingInstance"].encode()) <= 128


class TestRecorder:
    async def test_writes_into_the_jobs_namespace(self):
        """Whoever sees the job sees its events."""
        kube = FakeKube()

        await Recorder(kube, "pod-1").record(a_record(), HELD, NOON)

        ((verb, path),) = kube.requests
        assert ("create", EVENTS.path("ml")) == (verb, path.rpartition("/")[0])

    async def test_suggests_zones_of_similar_names(self):
        """Most zones that do not exist are mistyped."""
        kube = FakeKube()
        missing = replace(HELD, reason=HoldReason.NO_ZONE, message="there is no CarbonZone")
        zones = ("typical-day", "fr")

        recorder = Recorder(kube, "pod-1", lambda: zones)
        await recorder.record(a_record(zone="tpical-day"), missing, NOON)
        await recorder.record(a_record("other", zone="nowhere"), missing, NOON)

        assert [
            "NoZone: there is no CarbonZone; did you mean typical-day?",
            "NoZone: there is no CarbonZone",
        ] == [event["note"] for event in kube.objects.values()]

    async def test_a_refusal_is_of_no_consequence(self):
        """Nothing depends on an event."""
        kube = FakeKube()
        kube.fail("/apis/events.k8s.io", ApiError(403, "Forbidden", "no"))

        await Recorder(kube, "pod-1").record(a_record(), HELD, NOON)
