"""Crashes and absences on a real API server: exactly one child per job, and every job ends."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api_proxy import ApiProxy
from builders import a_job_spec
from programs import Program, Stack, a_job, a_zone, condition, eventually, stack
from testbed.cluster import Cluster

pytestmark = pytest.mark.api


@pytest.fixture
def running(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Stack]:
    """Programs in a namespace of their own, and a zone of the same name at 300 gCO2e/kWh."""
    with stack(cluster, namespace, tmp_path) as programs:
        programs.apply(a_zone(namespace))
        yield programs
    cluster.kubectl("delete", "carbonzone", namespace, "--ignore-not-found", "--wait=false")


def _completes(running: Stack, name: str, seconds: float = 60.0) -> None:
    eventually(
        lambda: condition(running.job(name), "Complete").get("status") == "True",
        f"{name} is complete",
        seconds,
    )


def _reason(running: Stack, name: str, kind: str = "Released") -> str:
    return str(condition(running.job(name), kind).get("reason", ""))


def _seconds_suspended(running: Stack, name: str) -> float:
    since = datetime.fromisoformat(running.job(name)["status"]["suspendedTime"])
    return (datetime.now(UTC) - since).total_seconds()


class TestOperatorCrash:
    def test_killed_between_child_and_status_it_neither_forgets_nor_repeats(
        self, running: Stack
    ) -> None:
        """The child Job is the decision: the next operator finds it and writes what it says."""
        with ApiProxy(running.cluster) as proxy:
            operator = running.operator(server=proxy.url).wait_ready()
            proxy.after_answer = _kill_after_job_creation(operator, running.namespace)
            running.apply(a_job("crashed", running.namespace, strategy="Immediate"))
            eventually(lambda: not operator.alive, "the operator was killed")
        assert "status" not in running.job("crashed")
        assert 1 == len(running.children())

        running.operator().wait_ready()

        _completes(running, "crashed")
        assert 1 == len(running.children())
        assert "Immediate" == _reason(running, "crashed")

    def test_stops_cleanly_on_sigterm(self, running: Stack) -> None:
        """SIGTERM ends the operator with code 0 and gives the lease back."""
        operator = running.operator().wait_ready()
        eventually(lambda: operator.metric("carbonaware_leader") == 1, "it leads")

        assert 0 == operator.stop()

        (lease,) = running.children("leases")
        assert "" == lease["spec"].get("holderIdentity", "")


def _kill_after_job_creation(operator: Program, namespace: str):  # type: ignore[no-untyped-def]
    def hook(method: str, path: str) -> bool:
        if method == "POST" and path.endswith(f"namespaces/{namespace}/jobs"):
            assert operator.process is not None
            os.kill(operator.process.pid, signal.SIGKILL)
            return True
        return False

    return hook


class TestApiServer:
    def test_away_for_twenty_seconds_during_a_release_loses_nothing(self, running: Stack) -> None:
        """Releases that the API server misses are made when it is back, each once."""
        operator = running.operator().wait_ready()
        names = [f"job-{n}" for n in range(8)]
        running.apply(
            *(a_job(n, running.namespace, maxGramsPerKWh=100, maxDelay="6s") for n in names)
        )
        eventually(lambda: _reason(running, names[-1]) == "AboveMaxIntensity", "all are held")

        running.cluster.restart_apiserver(down_seconds=20)

        for name in names:
            _completes(running, name)
            assert "DeadlineReached" == _reason(running, name)
        assert len(names) == len(running.children())
        assert operator.alive

    def test_gone_on_the_watch_is_healed_by_listing_and_by_the_sweep(self, running: Stack) -> None:
        """After 410 Gone, what came is found by the list and what went by the sweep."""
        with ApiProxy(running.cluster) as proxy:
            operator = running.operator(server=proxy.url).wait_ready()
            running.apply(a_job("goes", running.namespace, maxGramsPerKWh=100))
            eventually(lambda: _reason(running, "goes"), "the first job is held")
            proxy.break_watches()
            running.kubectl("delete", "caj", "goes")
            running.apply(a_job("comes", running.namespace, strategy="Immediate"))

            proxy.mend_watches_with_gone()

            _completes(running, "comes")
            eventually(
                lambda: operator.metric("carbonaware_jobs", namespace=running.namespace) == 1,
                "the deleted job is forgotten",
            )
            assert proxy.gone_answers > 0
            operator.kill()


class TestTwoOperators:
    def test_create_one_child_per_job_and_take_over_from_each_other(self, running: Stack) -> None:
        """Two replicas release each job once; when the leader is killed the other goes on."""
        first = running.operator(name="first").wait_ready()
        eventually(lambda: first.metric("carbonaware_leader") == 1, "the first leads")
        second = running.operator(name="second").wait_ready()
        running.apply(
            *(a_job(f"early-{n}", running.namespace, strategy="Immediate") for n in range(5))
        )
        for n in range(5):
            _completes(running, f"early-{n}")
        assert 0 == second.metric("carbonaware_leader")

        first.kill()
        running.apply(
            *(a_job(f"late-{n}", running.namespace, strategy="Immediate") for n in range(5))
        )

        for n in range(5):
            _completes(running, f"late-{n}")
        assert 10 == len(running.children())
        assert 1 == second.metric("carbonaware_leader")


class TestDeletion:
    def test_a_child_deleted_by_hand_fails_its_job_and_is_not_created_again(
        self, running: Stack
    ) -> None:
        """A deleted child Job is the user's word: the job fails with WorkloadDeleted."""
        running.operator().wait_ready()
        running.apply(a_job("bereft", running.namespace, run_for="60s", strategy="Immediate"))
        eventually(lambda: _reason(running, "bereft") == "Immediate", "it runs")

        running.kubectl("delete", "jobs", "--all")

        eventually(lambda: _reason(running, "bereft", "Failed") == "WorkloadDeleted", "it fails")
        assert [] == running.children()

    def test_a_child_deleted_while_the_operator_is_down_is_noticed(self, running: Stack) -> None:
        """The store of a fresh operator is complete: a child that is not in it was deleted."""
        operator = running.operator().wait_ready()
        running.apply(a_job("bereft", running.namespace, run_for="60s", strategy="Immediate"))
        eventually(lambda: _reason(running, "bereft") == "Immediate", "it runs")
        operator.kill()
        running.kubectl("delete", "jobs", "--all")

        running.operator().wait_ready()

        eventually(lambda: _reason(running, "bereft", "Failed") == "WorkloadDeleted", "it fails")
        assert [] == running.children()

    def test_a_job_deleted_while_held_or_running_takes_its_child_along(
        self, running: Stack
    ) -> None:
        """Users delete at any time, and other jobs do not notice."""
        operator = running.operator().wait_ready()
        running.apply(
            a_job("held", running.namespace, maxGramsPerKWh=100),
            a_job("runs", running.namespace, run_for="60s", strategy="Immediate"),
            a_job("other", running.namespace, maxGramsPerKWh=100, maxDelay="15s"),
        )
        eventually(lambda: _reason(running, "held") == "AboveMaxIntensity", "one is held")
        eventually(lambda: _reason(running, "runs") == "Immediate", "one runs")

        running.kubectl("delete", "caj", "held", "runs")

        _completes(running, "other")
        assert 1 == len(running.children())
        assert operator.alive


class TestUsers:
    def test_suspending_a_running_job_stops_its_pods_and_resuming_goes_on(
        self, running: Stack
    ) -> None:
        """`suspend` wins over a running job; lifting it resumes at once, and the shift says so."""
        running.operator().wait_ready()
        running.apply(a_job("paused", running.namespace, run_for="5s", strategy="Immediate"))
        eventually(lambda: _reason(running, "paused") == "Immediate", "it runs")
        running.kubectl("patch", "caj", "paused", "--type=merge", "-p", '{"spec":{"suspend":true}}')
        eventually(lambda: _reason(running, "paused") == "SuspendedByUser", "it is suspended")
        assert condition(running.job("paused"), "Released")["status"] == "False"
        eventually(lambda: _seconds_suspended(running, "paused") >= 2, "two seconds have passed")

        running.kubectl(
            "patch", "caj", "paused", "--type=merge", "-p", '{"spec":{"suspend":false}}'
        )

        _completes(running, "paused")
        shifts = running.job("paused")["status"]["shifts"]
        assert 2 == len(shifts)
        assert shifts[1]["seconds"] > shifts[0]["seconds"]

    def test_release_requested_starts_a_held_job_once(self, running: Stack) -> None:
        """The annotation's token is handled once and noted."""
        running.operator().wait_ready()
        running.apply(a_job("asked", running.namespace, maxGramsPerKWh=100))
        eventually(lambda: _reason(running, "asked") == "AboveMaxIntensity", "it is held")

        running.kubectl("annotate", "caj", "asked", "carbonaware.io/release-requested=now-1")

        _completes(running, "asked")
        assert "ReleasedByUser" == _reason(running, "asked")
        assert "now-1" == running.job("asked")["status"]["handledReleaseRequest"]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"zoneName": "nowhere", "schedule": {"maxGramsPerKWh": 40}}, "NoZone"),
            ({"jobTemplate": {"spec": a_job_spec(completionMode="Sideways")}}, "InvalidWorkload"),
        ],
        ids=["a zone that does not exist", "a template that the API server refuses"],
    )
    def test_bad_input_becomes_a_condition_and_harms_no_other_job(
        self, running: Stack, change: dict[str, object], reason: str
    ) -> None:
        """What no schema can see is said in Released, with what to change."""
        operator = running.operator().wait_ready()
        bad = a_job("bad", running.namespace, strategy="Immediate")
        bad["spec"].update(change)

        running.apply(bad, a_job("good", running.namespace, strategy="Immediate"))

        eventually(lambda: _reason(running, "bad") == reason, f"it says {reason}")
        _completes(running, "good")
        assert operator.alive

    def test_a_full_quota_is_said_and_retried(self, running: Stack) -> None:
        """A quota holds the job with QuotaExceeded; room in it lets the job start."""
        running.kubectl("create", "quota", "no-jobs", "--hard=count/jobs.batch=0")
        eventually(
            lambda: "count/jobs.batch" in running.kubectl("get", "quota", "no-jobs", "-o", "yaml"),
            "the quota is counted",
        )
        running.operator().wait_ready()
        running.apply(a_job("crowded", running.namespace, strategy="Immediate"))
        eventually(lambda: _reason(running, "crowded") == "QuotaExceeded", "it is held")

        running.kubectl("delete", "quota", "no-jobs")

        _completes(running, "crowded", seconds=60)
