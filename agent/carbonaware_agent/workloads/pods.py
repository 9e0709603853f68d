"""What the API server says about the pods of this node."""

import logging
import re
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from carbonaware_agent.workloads.effective_request import (
    effective_cpu_request,
    effective_memory_request,
)

_log = logging.getLogger(__name__)
_ENDED_PHASES = ("Succeeded", "Failed")
_GPU = "nvidia.com/gpu"
# What a mirror pod carries: kubelet shows a static pod of its own to the API server by one, and
# writes the hash of the manifest there, which is the static pod's uid.
_MIRROR = "kubernetes.io/config.mirror"
_SLICES = {"guaranteed": "kubepods", "burstable": "burstable", "besteffort": "besteffort"}
# Of any object. The API server does not bound the words of an owner reference, which every user may
# write: one of a megabyte would be saved each second.
_LONGEST_NAME = 253
_STATIC_UID = re.compile("[0-9a-f]{32}")
# Pods that ended wait here for the next tick, which comes within seconds.
_ENDED_KEPT = 1000


class Owner(NamedTuple):
    """Who a pod's energy is summed for: its controller, or itself when it has none."""

    namespace: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as far as its energy is concerned.

    cgroup_uid: the uid in its cgroup's name, which for a static pod is not the API's.
    slice: the name of the cgroup that holds it. cpu_request: in millicores. memory_request: in KiB.
    gpus: whole GPUs that it holds. ran: a container of it was ever created. ended: none will run
    again.
    """

    uid: str
    cgroup_uid: str
    namespace: str
    name: str
    owner: Owner
    slice: str
    cpu_request: int
    memory_request: int
    gpus: int
    ran: bool
    ended: bool


class MalformedPodError(ValueError):
    """An object is not a Pod as the API defines it; the message says why not."""


def parse_pods(items: Any) -> list[Pod]:
    """The pods of a list; one that cannot be read is told of, and must not hide the others."""
    pods = []
    for item in items or []:
        try:
            pods.append(parse_pod(item))
        except MalformedPodError as error:
            _log.warning("pod left out", extra={"reason": str(error)})
    return pods


def parse_pod(manifest: Any) -> Pod:
    """Read a Pod object of the API. Raises MalformedPodError: it is not one."""
    try:
        return _pod(manifest)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise MalformedPodError(f"not a pod: {error!r}") from error


def _pod(manifest: Mapping[str, Any]) -> Pod:
    metadata = manifest["metadata"]
    status = manifest.get("status") or {}
    spec = manifest.get("spec") or {}
    qos = str(status.get("qosClass") or "BestEffort").lower()
    owner = _owner(metadata)
    return Pod(
        uid=_text(metadata, "uid"),
        cgroup_uid=_cgroup_uid(metadata, owner),
        namespace=_text(metadata, "namespace"),
        name=_text(metadata, "name"),
        owner=owner,
        slice=_SLICES.get(qos, "besteffort"),
        cpu_request=effective_cpu_request(spec),
        memory_request=effective_memory_request(spec),
        gpus=_gpus(spec),
        ran=any(entry.get("containerID") for entry in status.get("containerStatuses") or []),
        ended=status.get("phase") in _ENDED_PHASES,
    )


def _cgroup_uid(metadata: Mapping[str, Any], owner: Owner) -> str:
    """The uid in the cgroup's name; a mirror pod is owned by its node and has no cgroup itself.

    Anybody may write annotations, so only a hash is believed, which no other pod has for a uid.
    """
    static_uid = str((metadata.get("annotations") or {}).get(_MIRROR))
    mirror = owner.kind == "Node" and _STATIC_UID.fullmatch(static_uid)
    return static_uid if mirror else metadata["uid"]


def _owner(metadata: Mapping[str, Any]) -> Owner:
    namespace = _text(metadata, "namespace")
    for reference in metadata.get("ownerReferences") or []:
        if reference.get("controller"):
            words = [_text(reference, key) for key in ("kind", "name", "uid")]
            if max(map(len, words)) <= _LONGEST_NAME:
                return Owner(namespace, *words)
    return Owner(namespace, "Pod", _text(metadata, "name"), _text(metadata, "uid"))


def _text(fields: Mapping[str, Any], key: str) -> str:
    text = fields[key]
    if not isinstance(text, str):
        raise TypeError(f"{key} must be a text, not {text!r}")
    # Half of a surrogate pair, which JSON may hold, cannot be written to a file or a page.
    text.encode()
    return text


def _gpus(spec: Mapping[str, Any]) -> int:
    containers = spec.get("containers") or []
    limits = [(entry.get("resources") or {}).get("limits") or {} for entry in containers]
    counts = [str(limit.get(_GPU, "0")) for limit in limits]
    return sum(int(count) for count in counts if count.isdecimal())


class PodDirectory:
    """The pods of this node, written by the watch and read by the tick.

    changed: set when a pod came, began, ended or went, for whoever waits for that. revision: goes
    up with every word of the API server.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._by_cgroup: dict[str, Pod] = {}
        self._ended: deque[Pod] = deque(maxlen=_ENDED_KEPT)
        self.allocatable_millicores: int | None = None
        self.changed = threading.Event()
        self.revision = 0
        self.allocatable_kib: int | None = None

    def replace(self, pods: Iterable[Pod]) -> None:
        """Take a complete list; pods that are not in it are gone."""
        listed = {pod.uid: pod for pod in pods}
        with self._lock:
            for uid, pod in self._pods.items():
                if uid not in listed and not pod.ended:
                    self._tell_ended(pod)
            claims = Counter(pod.cgroup_uid for pod in listed.values())
            self._pods = listed
            self._by_cgroup = {
                pod.cgroup_uid: pod for pod in listed.values() if claims[pod.cgroup_uid] == 1
            }
            self.revision += 1
        self.changed.set()

    def put(self, pod: Pod) -> None:
        """Take a pod that is new or changed."""
        with self._lock:
            before = self._pods.get(pod.uid)
            self._pods[pod.uid] = pod
            for cgroup_uid in {pod.cgroup_uid, (before or pod).cgroup_uid}:
                self._settle(cgroup_uid)
            if pod.ended and not (before and before.ended):
                self._tell_ended(pod)
            self.revision += 1
        # Most changes are of a status that nobody waits for, such as readiness.
        if before is None or (before.ran, before.ended) != (pod.ran, pod.ended):
            self.changed.set()

    def remove(self, pod: Pod) -> None:
        """Forget a pod that was deleted."""
        with self._lock:
            before = self._pods.get(pod.uid)
            if before is not None:
                if not before.ended:
                    self._tell_ended(before)
                del self._pods[pod.uid]
                self._settle(before.cgroup_uid)
            self.revision += 1
        self.changed.set()

    def find(self, cgroup_uid: str) -> Pod | None:
        """The pod whose cgroup carries this uid, if the API server told of one and only one.

        Two mirror pods of one hash cannot both be right: kubelet removes the one that it did not
        make, and until then neither is believed.
        """
        return self._by_cgroup.get(cgroup_uid)

    def _tell_ended(self, pod: Pod) -> None:
        if self._by_cgroup.get(pod.cgroup_uid) is pod:
            self._ended.append(pod)

    def _settle(self, cgroup_uid: str) -> None:
        """Find out whose a cgroup is, after one of those that claim it changed."""
        claimants = [pod for pod in self._pods.values() if pod.cgroup_uid == cgroup_uid]
        if len(claimants) == 1:
            self._by_cgroup[cgroup_uid] = claimants[0]
        else:
            self._by_cgroup.pop(cgroup_uid, None)

    def all(self) -> list[Pod]:
        """Every pod that the API server told of, also those that ended."""
        with self._lock:
            return list(self._pods.values())

    def take_ended(self) -> list[Pod]:
        """Pods that ended since the last call; some of them may never have been seen to run."""
        with self._lock:
            ended = list(self._ended)
            self._ended.clear()
        return ended
