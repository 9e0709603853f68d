"""Why a started job has no running pod: what its pods and its Job's events say, in one reason."""

from typing import Any

import pytest

from carbonaware_operator.kinds.pods import Startup, startup_of
from stand_in_api import a_pod, condition_of, stored_job

JOB = stored_job()


def pod(state: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A pod; `state`: of its one container."""
    if state is not None:
        fields["containerStatuses"] = [{"name": "main", "state": state}]
    return a_pod(JOB, **fields)


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """The state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error") -> dict[str, Any]:
    """The state of a container that has ended."""
    return {"terminated": {"exitCode": code, "reason": reason}}


FULL = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
UNSCHEDULABLE = condition_of("PodScheduled", False, "Unschedulable", FULL)
QUOTA = 'Error creating: pods "train-x" is forbidden: exceeded quota: q, requested: cpu=2'
PENDING: dict[str, Any] = {"phase": "Pending"}
NO_IMAGE = {"name": "init", "state": waiting("ErrImageNeverPull")}

CASES: dict[str, tuple[list[dict[str, Any]], list[str], Startup]] = {
    "a pod is ready": ([pod()], [], Startup(1)),
    "one of two is ready, the other fits on no node": (
        [pod(), pod(**PENDING, trouble=UNSCHEDULABLE)],
        [],
        Startup(1, "Unschedulable", FULL),
    ),
    "a readiness probe has not passed": ([pod(conditions=[])], [], Startup(0)),
    "no node has room": (
        [pod(**PENDING, trouble=UNSCHEDULABLE)],
        [],
        Startup(0, "Unschedulable", FULL),
    ),
    "the image cannot be pulled": (
        [pod(waiting("ImagePullBackOff", "Back-off pulling image"), **PENDING)],
        [],
        Startup(0, "ImagePullBackOff", "Back-off pulling image"),
    ),
    "an init container's image is not on the node": (
        [
            pod(
                **PENDING,
                initContainerStatuses=[{"name": "i", "state": waiting("ErrImageNeverPull")}],
            )
        ],
        [],
        Startup(0, "ErrImageNeverPull"),
    ),
    "a ConfigMap is not there": (
        [pod(waiting("CreateContainerConfigError", 'configmap "c" not found'), **PENDING)],
        [],
        Startup(0, "CreateContainerConfigError", 'configmap "c" not found'),
    ),
    "its container is being made": (
        [pod(waiting("ContainerCreating"), **PENDING)],
        [],
        Startup(0, "ContainerCreating"),
    ),
    "the last pod ran out of memory": (
        [pod(ended(137, "OOMKilled"), phase="Failed")],
        [],
        Startup(0, "OOMKilled", "container `main` ended with exit code 137"),
    ),
    "the last pod ended with an error": (
        [pod(ended(3), phase="Failed")],
        [],
        Startup(0, "ExitCode3", "container `main` ended with exit code 3"),
    ),
    "the last pod was evicted": (
        [pod(ended(137), phase="Failed", reason="Evicted", message="low on memory")],
        [],
        Startup(0, "Evicted", "low on memory"),
    ),
    "the next pod waits after one that failed": (
        [pod(ended(3), phase="Failed"), pod(**PENDING, trouble=UNSCHEDULABLE)],
        [],
        Startup(0, "Unschedulable", FULL),
    ),
    "a quota refuses its pods": ([], [QUOTA], Startup(0, "QuotaExceeded", QUOTA)),
    "something else refuses its pods": (
        [],
        ['Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest"'],
        Startup(
            0,
            "FailedCreate",
            'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest"',
        ),
    ),
    "a quota once refused a pod, and one is ready now": ([pod()], [QUOTA], Startup(1)),
    "there is nothing yet": ([], [], Startup(0)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_names_what_a_user_must_mend(
    case: tuple[list[dict[str, Any]], list[str], Startup],
) -> None:
    """Ready pods first, then what keeps the next one, then how the last one ended."""
    pods, messages, expected = case
    events = [{"message": message, "lastTimestamp": "2026-03-01T12:30:01Z"} for message in messages]

    assert expected == startup_of(pods, events)
