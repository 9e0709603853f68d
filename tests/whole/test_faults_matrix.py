"""Every answer that an API server gives in a bad hour, to every request that a job depends on.

One operator meets them all at once: each pair of request and answer has a job of its own, whose
name tells the proxy before the real API server what to answer. A fault begins with the first such
request for the job and is over after a few seconds.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api_proxy import ApiProxy, Asked, Broken, Fault, Refusal
from programs import Stack, a_job, a_zone, condition, eventually, stack
from testbed.cluster import Cluster

pytestmark = pytest.mark.api

MODIFIED = (
    'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please'
    " apply your changes to the latest version and try again"
)
FAULTS: dict[str, Fault] = {
    "400": Refusal(400, "BadRequest", 'admission webhook "w" denied the request'),
    "401": Refusal(401, "Unauthorized", "Unauthorized"),
    "403": Refusal(403, "Forbidden", 'User "operator" cannot do that: RBAC is being changed'),
    "404": Refusal(404, "NotFound", "the server could not find the requested resource"),
    "409": Refusal(409, "Conflict", MODIFIED),
    "413": Refusal(413, "RequestEntityTooLarge", "request is too large"),
    "422": Refusal(422, "Invalid", 'ValidatingAdmissionPolicy "p" denied request: not now'),
    "429": Refusal(429, "TooManyRequests", "too many requests", retry_after=1),
    "500": Refusal(500, "InternalError", "etcdserver: leader changed"),
    "503": Refusal(503, "ServiceUnavailable", "apiserver is shutting down"),
    "time-out": Broken.TIME_OUT,
    "cut": Broken.CUT,
}
OUTAGE_SECONDS = 4.0
LATEST = timedelta(seconds=40)  # more than the time-out of a request
TOLERANCE = timedelta(seconds=15)
PAIRS = [(verb, fault) for verb in ("check", "create", "status", "suspend") for fault in FAULTS]
JOBS = [f"{verb}-{fault}" for verb, fault in PAIRS]


def _verb(asked: Asked) -> str:
    """Which of the requests of a job this is; empty when it is another."""
    dry = "dryRun" in asked.query
    match asked.method, asked.path.rpartition("/")[2]:
        case "POST", "jobs":
            return "check" if dry else "create"
        case "PATCH", "status":
            return "status"
        case "PATCH", _ if "/jobs/" in asked.path and b'"suspend"' in asked.body:
            return "suspend"
    return ""


@dataclass
class Outages:
    """The faults, each from its first request on."""

    begun: dict[str, float] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)

    def __call__(self, asked: Asked) -> Fault | None:
        """What becomes of a request."""
        for verb, fault in PAIRS:
            if verb == _verb(asked) and _belongs(asked.name, f"{verb}-{fault}"):
                return self._fault(f"{verb}-{fault}", FAULTS[fault])
        return None

    def _fault(self, job: str, fault: Fault) -> Fault | None:
        now = time.monotonic()
        if now - self.begun.setdefault(job, now) > OUTAGE_SECONDS:
            return None
        self.met[job] += 1
        return fault


def _belongs(name: str, job: str) -> bool:
    return name == job or name.startswith(f"{job}-")


def _owner(asked: Asked) -> str:
    return next((job for job in JOBS if _belongs(asked.name, job)), asked.name)


def _live(running: Stack) -> None:
    """Let every job meet its fault, be suspended and resumed where that is its matter, and end."""
    running.apply(*(_a_job(running, verb, fault) for verb, fault in PAIRS))
    of_suspend = [f"suspend-{fault}" for fault in FAULTS]
    _wait(running, of_suspend, lambda job: _told(job, "Released") == "True")
    running.apply(*(_a_job(running, "suspend", fault, suspend=True) for fault in FAULTS))
    _wait(running, of_suspend, _is_suspended)
    running.apply(*(_a_job(running, "suspend", fault, suspend=False) for fault in FAULTS))
    _wait(running, JOBS, lambda job: _told(job, "Complete") == "True")


def _a_job(running: Stack, verb: str, fault: str, *, suspend: bool | None = None) -> dict[str, Any]:
    latest = f"{LATEST.seconds}s"
    schedule = (
        {"maxGramsPerKWh": 100, "maxDelay": latest}  # is held, and so checked
        if verb == "check"
        else {"strategy": "Immediate", "maxDelay": latest}
    )
    run_for = "30s" if verb == "suspend" else "1s"
    job = a_job(f"{verb}-{fault}", running.namespace, run_for=run_for, **schedule)
    if suspend is not None:
        job["spec"]["suspend"] = suspend
    return job


def _jobs(running: Stack) -> dict[str, dict[str, Any]]:
    return {job["metadata"]["name"]: job for job in running.children("carbonawarejobs")}


def _wait(running: Stack, names: list[str], holds: Callable[[dict[str, Any]], bool]) -> None:
    """Wait for all; who does not get there is found by the tests, which can name it."""

    def everywhere() -> bool:
        jobs = _jobs(running)
        return all(name in jobs and holds(jobs[name]) for name in names)

    try:
        eventually(everywhere, "every job got there", seconds=100)
    except AssertionError as late:
        print(late)


def _told(job: dict[str, Any], kind: str) -> str:
    return str(condition(job, kind).get("status", ""))


def _is_suspended(job: dict[str, Any]) -> bool:
    return condition(job, "Released").get("reason") == "SuspendedByUser"


def test_no_answer_to_any_request_costs_a_job_its_start_or_its_status(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """Each job runs exactly once, starts by its deadline and is told right, whatever it met."""
    with stack(cluster, namespace, tmp_path) as running, ApiProxy(cluster) as proxy:
        running.apply(a_zone(namespace))
        proxy.disturb = outages = Outages()
        operator = running.operator(server=proxy.url).wait_ready()

        _live(running)

        created = Counter(_owner(asked) for asked in proxy.done if _verb(asked) == "create")
        jobs, children = _jobs(running), running.children()
        assert operator.alive
    cluster.kubectl("delete", "carbonzone", namespace, "--wait=false")
    assert dict.fromkeys(JOBS, True) == {job: outages.met[job] > 0 for job in JOBS}
    assert dict.fromkeys(JOBS, 1) == {job: created[job] for job in JOBS}
    assert {job: [] for job in JOBS} == {job: _wrong(jobs[job], children) for job in JOBS}


def _wrong(job: dict[str, Any], children: list[dict[str, Any]]) -> list[str]:
    """What a job's status says that it should not say at the end, or does not say."""
    metadata, status = job["metadata"], job["status"]
    uids = [c["metadata"]["uid"] for c in children if _owner_of(c) == metadata["uid"]]
    told = {kind: _told(job, kind) for kind in ("Released", "Complete", "Failed")}
    wanted = {"Released": "True", "Complete": "True", "Failed": ""}
    wrong = [f"{kind} is {told[kind]!r}" for kind in wanted if told[kind] != wanted[kind]]
    if [status.get("workload", {}).get("uid")] != uids:
        wrong.append(f"the workload is {status.get('workload')}, the Jobs are {uids}")
    if metadata["generation"] != status["observedGeneration"]:
        wrong.append(f"generation {status['observedGeneration']} was looked at last")
    if not _in_time(status):
        wrong.append(f"started {status.get('releasedTime')}, latest {status['deadline']}")
    if metadata["name"].startswith("suspend-") and len(status.get("shifts", ())) != 2:
        wrong.append(f"it was not stopped in between: {status.get('shifts')}")
    return wrong


def _owner_of(child: dict[str, Any]) -> str:
    return str(child["metadata"]["ownerReferences"][0]["uid"])


def _in_time(status: dict[str, Any]) -> bool:
    if "releasedTime" not in status:
        return False
    started, latest = (datetime.fromisoformat(status[k]) for k in ("releasedTime", "deadline"))
    return started <= latest + TOLERANCE
