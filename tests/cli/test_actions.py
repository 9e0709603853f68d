"""`release`, `suspend`, `resume`: what is written, and what is refused."""

import pytest

from carbonaware_operator.cli import actions
from stand_in_api import (
    Run,
    StandInApi,
    condition_of,
    operator_status,
    stored_child,
    stored_job,
)

PATH = "/apis/carbonaware.io/v1alpha1/namespaces/ml-team/carbonawarejobs/train"
TOKEN = "carbonaware.io/release-requested"
HELD = operator_status("AboveMaxIntensity")
ENDED = {"conditions": [condition_of("Complete", True, "Succeeded")]}


class TestRelease:
    def test_sets_a_token_that_was_never_used(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """A token is handled once: a second request needs another one."""
        api.add(stored_job(status=HELD))

        results = [kubectl_carbonaware("release", "train") for _ in range(2)]

        assert ["job ml-team/train: release requested\n"] * 2 == [r.stdout for r in results]
        tokens = {body["metadata"]["annotations"][TOKEN] for _, body in api.patches}
        assert 2 == len(tokens)
        assert {"uid-train"} == {body["metadata"]["uid"] for _, body in api.patches}

    def test_of_a_suspended_job_says_to_clear_suspend(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """`suspend` wins over a release request: the request would only lie in wait."""
        api.add(stored_job(suspend=True, status=HELD))

        result = kubectl_carbonaware("release", "train")

        assert (1, []) == (result.exit_code, api.patches)
        assert result.stderr == (
            "Error: job ml-team/train is suspended; clear `suspend` first:"
            " kubectl carbonaware resume train -n ml-team\n"
        )

    def test_of_a_job_that_runs_is_refused_even_before_the_status_says_so(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """The child Job is the decision, its mention in the status comes later."""
        job = stored_job(status=HELD)
        api.add(job, stored_child(job))

        result = kubectl_carbonaware("release", "train")

        assert (1, []) == (result.exit_code, api.patches)
        assert "has already been started" in result.stderr

    def test_of_a_job_that_has_ended_is_refused(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """A job runs once."""
        api.add(stored_job(status=ENDED))

        result = kubectl_carbonaware("release", "train")

        assert (1, []) == (result.exit_code, api.patches)
        assert "has ended (Succeeded)" in result.stderr

    def test_waits_until_the_operator_has_started_it(
        self, api: StandInApi, kubectl_carbonaware: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """--wait returns with the status, not with the request."""
        monkeypatch.setattr(actions, "POLL_SECONDS", 0.01)
        job = stored_job(status=HELD)
        api.add(job)
        reads = []

        def start_at_the_fourth_read(path: str) -> None:
            reads.append(path)
            if reads.count(PATH) == 4:
                job["status"] |= {"releasedTime": "2026-03-01T13:00:00Z"}

        api.after_get = start_at_the_fourth_read

        result = kubectl_carbonaware("release", "train", "--wait")

        assert (0, "job ml-team/train: started\n") == (result.exit_code, result.stdout)
        assert 4 == reads.count(PATH)

    def test_gives_up_waiting_after_the_timeout(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """Exit code 1 and what to do next; the request stands."""
        api.add(stored_job(status=HELD))

        result = kubectl_carbonaware("release", "train", "--wait", "--timeout", "1ms")

        assert (1, 1) == (result.exit_code, len(api.patches))
        assert "is still Held after 0 s; `kubectl carbonaware explain` says why" in result.stderr

    def test_stops_waiting_when_the_job_fails(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """A job that has failed is never started."""
        job = stored_job(status=HELD)
        api.add(job)

        def fail_once_asked(_: str) -> None:
            if api.patches:
                failed = condition_of("Failed", True, "DeadlineMissed", "not started in time")
                job["status"] = {"conditions": [failed]}

        api.after_get = fail_once_asked

        result = kubectl_carbonaware("release", "train", "--wait")

        assert 1 == result.exit_code
        assert "has failed: not started in time" in result.stderr

    def test_of_a_job_that_was_replaced_meanwhile_does_not_touch_the_new_one(
        self, api: StandInApi, kubectl_carbonaware: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The uid is a precondition of the write."""
        api.add(stored_job(status=HELD))
        refused = api.answer
        monkeypatch.setattr(
            api,
            "answer",
            lambda method, path, body: (
                (409, {"message": "Precondition failed", "reason": "Conflict"})
                if method == "PATCH"
                else refused(method, path, body)
            ),
        )

        result = kubectl_carbonaware("release", "train")

        assert 1 == result.exit_code
        assert "was replaced meanwhile; try again" in result.stderr


class TestSuspendAndResume:
    @pytest.mark.parametrize(
        ("verb", "before", "says", "patched"),
        [
            ("suspend", False, "suspended", [True]),
            ("suspend", True, "already suspended", []),
            ("resume", True, "resumed", [False]),
            ("resume", False, "already not suspended", []),
        ],
    )
    def test_set_the_field_when_it_is_not_so_yet(
        self,
        api: StandInApi,
        kubectl_carbonaware: Run,
        verb: str,
        before: bool,
        says: str,
        patched: list[bool],
    ) -> None:
        """Asking twice is no error and no write."""
        api.add(stored_job(suspend=before, status=HELD))

        result = kubectl_carbonaware(verb, "train")

        assert (0, f"job ml-team/train: {says}\n") == (result.exit_code, result.stdout)
        assert patched == [body["spec"]["suspend"] for _, body in api.patches]

    @pytest.mark.parametrize("verb", ["suspend", "resume"])
    def test_are_refused_when_the_job_has_ended(
        self, api: StandInApi, kubectl_carbonaware: Run, verb: str
    ) -> None:
        """Nothing is left that could be stopped or go on."""
        api.add(stored_job(status=ENDED))

        result = kubectl_carbonaware(verb, "train")

        assert (1, []) == (result.exit_code, api.patches)
        assert "has ended (Succeeded)" in result.stderr
