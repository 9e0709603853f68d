"""`release`, `suspend`, `resume`: what is written, and what is refused."""

import pytest

from carbonaware_operator.cli import watching
from stand_in_api import (
    Run,
    StandInApi,
    condition_of,
    operator_status,
    stored_child,
    stored_job,
)

JOBS = "/apis/carbonaware.io/v1alpha1/namespaces/ml-team/carbonawarejobs"
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
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """--wait returns with the status, not with the request."""
        api.add(stored_job(status=HELD))
        started = stored_job(status=HELD | {"releasedTime": "2026-03-01T13:00:00Z"})
        api.changes[JOBS] = [("MODIFIED", started)]

        result = kubectl_carbonaware("release", "train", "--wait")

        assert (0, "job ml-team/train: started\n") == (result.exit_code, result.stdout)
        assert "job ml-team/train: Held (AboveMaxIntensity)\n" == result.stderr

    def test_gives_up_waiting_after_the_timeout(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """Exit code 1 and what to do next; the request stands."""
        api.add(stored_job(status=HELD))

        result = kubectl_carbonaware("release", "train", "--wait", "--timeout", "1s")

        assert (1, 1) == (result.exit_code, len(api.patches))
        assert (
            "is still Held (AboveMaxIntensity) after 1 s; `kubectl carbonaware explain` says why"
            in result.stderr
        )

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


class TestHold:
    def test_keeps_a_job_from_starting_until_it_is_resumed(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """It is the same field that `resume` clears; asking twice is no error and no write."""
        api.add(stored_job(status=HELD))

        said = [kubectl_carbonaware(verb, "train").stdout for verb in ("hold", "hold", "resume")]

        assert [
            "job ml-team/train: on hold\n",
            "job ml-team/train: already on hold\n",
            "job ml-team/train: resumed\n",
        ] == said
        assert [True, False] == [body["spec"]["suspend"] for _, body in api.patches]

    def test_never_ends_the_pods_of_a_job_that_has_started(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """That is what `suspend` is for, and the refusal names it."""
        job = stored_job(status=HELD)
        api.add(job, stored_child(job))

        result = kubectl_carbonaware("hold", "train")

        assert (1, []) == (result.exit_code, api.patches)
        assert result.stderr == (
            "Error: job ml-team/train has already been started; to stop it and end its pods:"
            " kubectl carbonaware suspend train -n ml-team\n"
        )

    def test_says_when_the_operator_started_it_at_the_same_moment(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """The child Job is created between the look and the write: its pods are ended."""
        job = stored_job(status=HELD)
        api.add(job)
        answered = api.answer

        def start_before_the_write(method: str, path: str, body: object) -> object:
            if method == "PATCH":
                api.add(stored_child(job))
            return answered(method, path, body)

        api.answer = start_before_the_write

        result = kubectl_carbonaware("hold", "train")

        assert 1 == result.exit_code
        assert "was started at the same moment and is suspended now" in result.stderr


class TestWait:
    @pytest.mark.parametrize(
        ("goal", "status"),
        [
            ("started", HELD | {"releasedTime": "2026-03-01T13:00:00Z"}),
            ("complete", ENDED),
            ("failed", {"conditions": [condition_of("Failed", True, "WorkloadFailed")]}),
            ("ended", ENDED),
        ],
    )
    def test_returns_at_once_when_the_job_is_that_far(
        self, api: StandInApi, kubectl_carbonaware: Run, goal: str, status: dict[str, object]
    ) -> None:
        """Scripts may ask late."""
        api.add(stored_job(status=status))

        result = kubectl_carbonaware("wait", "train", "--for", goal)

        assert (0, f"job ml-team/train: {goal}\n", "") == (
            result.exit_code,
            result.stdout,
            result.stderr,
        )

    def test_follows_the_job_and_says_each_state_once(
        self, api: StandInApi, kubectl_carbonaware: Run
    ) -> None:
        """A write that changes no state is no news; a watch that ends is taken up again."""
        running = operator_status("Immediate", released=True, releasedTime="2026-03-01T13:00:00Z")
        api.add(stored_job(status=HELD))
        api.changes[JOBS] = [
            ("MODIFIED", stored_job(status=HELD)),
            ("MODIFIED", stored_job(status=running)),
            ("MODIFIED", stored_job(status=ENDED)),
        ]

        result = kubectl_carbonaware("wait", "caj/train", "--for", "complete")

        assert 0 == result.exit_code
        assert [
            "job ml-team/train: Held (AboveMaxIntensity)",
            "job ml-team/train: Running (Immediate)",
        ] == result.stderr.splitlines()

    @pytest.mark.parametrize("goal", ["started", "complete"])
    def test_ends_as_soon_as_the_goal_is_out_of_reach(
        self, api: StandInApi, kubectl_carbonaware: Run, goal: str
    ) -> None:
        """A job that has failed is never started, and never complete."""
        failed = condition_of("Failed", True, "DeadlineMissed", "not started in time")
        api.add(stored_job(status=HELD))
        api.changes[JOBS] = [("MODIFIED", stored_job(status={"conditions": [failed]}))]

        result = kubectl_carbonaware("wait", "train", "--for", goal)

        assert (1, "") == (result.exit_code, result.stdout)
        assert f"is Failed, not {goal}: DeadlineMissed, not started in time" in result.stderr

    def test_ends_when_the_job_is_deleted(self, api: StandInApi, kubectl_carbonaware: Run) -> None:
        """Unless it got as far in its last moment: the last state tells."""
        for last, code in ((stored_job(status=HELD), 1), (stored_job(status=ENDED), 0)):
            api.add(stored_job(status=HELD))
            api.changes[JOBS] = [("DELETED", last)]

            result = kubectl_carbonaware("wait", "train", "--for", "ended")

            assert code == result.exit_code
            assert ("was deleted before it was ended" in result.stderr) == bool(code)

    def test_of_a_job_that_is_not_there_is_refused(self, kubectl_carbonaware: Run) -> None:
        """A wrong name is not waited for."""
        result = kubectl_carbonaware("wait", "lost")

        assert 1 == result.exit_code
        assert "there is no CarbonAwareJob ml-team/lost" in result.stderr

    def test_lists_again_when_its_watch_is_too_old(
        self, api: StandInApi, kubectl_carbonaware: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The API server forgets old versions: what came meanwhile is in the next list."""
        monkeypatch.setattr(watching, "PAUSE_SECONDS", 0)
        job = stored_job(status=HELD)
        api.add(job)
        gone = {"code": 410, "reason": "Expired", "message": "too old resource version"}
        api.changes[JOBS] = [("ERROR", gone)]
        listed = []

        def end_it_meanwhile(path: str) -> None:
            listed.append(path)
            if len(listed) == 2:
                job["status"] = ENDED

        api.after_get = end_it_meanwhile

        assert 0 == kubectl_carbonaware("wait", "train", "--for", "ended").exit_code
