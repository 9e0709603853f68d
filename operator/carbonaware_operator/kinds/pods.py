"""Why a started job has no running pod, from its pods and its Job's events. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from carbonaware_operator.kinds.workload import Object

_USUAL = ("ContainerCreating", "PodInitializing")
"""What every pod waits for; said only when nothing else is known."""


@dataclass(frozen=True, slots=True)
class Startup:
    """How far the pods of a started job are.

    ready: how many are; reason and message: what the first of the others lacks, or how the last of
    them failed. Empty when nobody says.
    """

    ready: int
    reason: str = ""
    message: str = ""

    @property
    def usual(self) -> bool:
        """Whether the pods only go through what every pod does."""
        return self.reason in _USUAL


def startup_of(pods: Iterable[Object], failures: Iterable[Object]) -> Startup:
    """What the pods of one Job, and its events FailedCreate, amount to; the newest speak first."""
    newest = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
    ready = sum(1 for pod in newest if _is_ready(pod))
    troubles = (
        _first(_waiting(newest, usual=False))
        or _first(_unscheduled(newest))
        or _first(_ended(newest))
        or _first(_waiting(newest, usual=True))
        or (None if newest else _first(_refused(failures)))
    )
    return Startup(ready, *(troubles or ()))


def _first(found: Iterator[tuple[str, str]]) -> tuple[str, str] | None:
    return next(found, None)


def _is_ready(pod: Object) -> bool:
    return pod["status"].get("phase") == "Running" and any(
        c["type"] == "Ready" and c["status"] == "True"
        for c in pod["status"].get("conditions") or []
    )


def _containers(pod: Object) -> Iterator[Object]:
    status = pod["status"]
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _waiting(pods: Sequence[Object], *, usual: bool) -> Iterator[tuple[str, str]]:
    """Images that cannot be pulled, configuration that is not there, containers that crash."""
    for pod in pods:
        for container in _containers(pod):
            waiting = (container.get("state") or {}).get("waiting") or {}
            reason = waiting.get("reason", "")
            if reason and (reason in _USUAL) == usual:
                yield reason, waiting.get("message") or _last_exit(container)


def _last_exit(container: Object) -> str:
    ended = (container.get("lastState") or {}).get("terminated") or {}
    return _exit(container, ended) if ended else ""


def _unscheduled(pods: Sequence[Object]) -> Iterator[tuple[str, str]]:
    for pod in pods:
        for condition in pod["status"].get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                yield condition.get("reason") or "Unschedulable", condition.get("message", "")


def _ended(pods: Sequence[Object]) -> Iterator[tuple[str, str]]:
    """Evictions and the like of the pod itself; else the exit codes of its containers."""
    for pod in pods:
        status = pod["status"]
        if status.get("phase") != "Failed":
            continue
        if status.get("reason"):
            yield status["reason"], status.get("message", "")
        for container in _containers(pod):
            ended = (container.get("state") or {}).get("terminated") or {}
            if ended.get("exitCode"):
                code = ended["exitCode"]
                usual = ended.get("reason", "Error") == "Error"
                yield f"ExitCode{code}" if usual else ended["reason"], _exit(container, ended)


def _exit(container: Object, ended: Object) -> str:
    said = f": {ended['message'].strip()}" if ended.get("message") else ""
    return f"container `{container['name']}` ended with exit code {ended.get('exitCode')}{said}"


def _refused(events: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """Why the Job controller could not create a pod."""
    for event in sorted(events, key=_time, reverse=True):
        message = event.get("message") or ""
        yield "QuotaExceeded" if "exceeded quota" in message else "FailedCreate", message


def _time(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
