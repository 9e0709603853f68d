"""Keeps the pod directory in step with the API server: one list, then a watch, for ever.

Only this node's pods are asked for, and from the API server's cache (resourceVersion=0): hundreds
of agents that start together must not reach etcd. While the API server cannot be asked, kubelet's
list stands in for it.
"""

import json
import logging
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import requests

from carbonaware_agent.workloads.api import ApiServer
from carbonaware_agent.workloads.effective_request import kibibytes, millicores
from carbonaware_agent.workloads.kubelet import KubeletUnreadableError, PodList
from carbonaware_agent.workloads.pods import PodDirectory, parse_pods

_log = logging.getLogger(__name__)
_PODS = "/api/v1/pods"
_GONE = 410
_WATCH_SECONDS = 300
# With the pause before it, kubelet is asked every 15 s while the API server swallows packets.
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 30.0
# One failure is a restart of the API server or of the network; kubelet need not be asked for it.
_FAILURES_TO_STAND_IN = 2
_STAND_IN_SECONDS = 12.0
# What reading an answer of another shape ends in.
_MISSHAPEN = (LookupError, TypeError, AttributeError, ValueError, RecursionError)


class WatchExpiredError(Exception):
    """The API server no longer knows the version to watch from; the pods must be listed again."""


class PodWatch:
    """Follows the pods of one node.

    pause: waits for some seconds and returns True when the agent is to end. stand_in: kubelet's
    list of pods, if it may be asked.
    synced: whether the API server keeps the directory up to date. stood_in: while it does not,
    whether kubelet's last list could be had; None while it was not asked.
    """

    def __init__(
        self,
        server: ApiServer,
        node: str,
        directory: PodDirectory,
        pause: Callable[[float], bool],
        stand_in: PodList | None = None,
    ) -> None:
        self._server = server
        self._node = node
        self._directory = directory
        self._pause = pause
        self._stand_in = stand_in
        self.synced = False
        self.stood_in: bool | None = None

    @property
    def current(self) -> bool:
        """Whether the directory is up to date, by whichever source."""
        return self.synced or self.stood_in is True

    def start(self) -> None:
        """Follow in a thread that ends with the process."""
        threading.Thread(target=self.run, name="pod-watch", daemon=True).start()

    def run(self) -> None:
        """Follow until `pause` says to end; every failure is retried, ever more slowly."""
        failures = 0
        version: str | None = None
        while True:
            try:
                # Kubelet's list is another one: its static pods have other uids.
                if version is None or self.stood_in is not None:
                    version = self._list()
                for reached in self._watch(version):
                    version, failures = reached, 0
            except WatchExpiredError:
                version = None
            except (requests.RequestException, OSError, *_MISSHAPEN) as error:
                self.synced = False
                failures += 1
                _log.warning("pods are not followed", extra={"reason": str(error)})
            # A node's agents all lose a restarted API server at once; they must not return at once.
            longest = min(_LONGEST_PAUSE_SECONDS, 2.0**failures)
            if self._rest(longest * random.uniform(0.1, 1.0), failures):  # noqa: S311
                return

    def _rest(self, seconds: float, failures: int) -> bool:
        """Wait, and meanwhile have kubelet's list; whether the agent is to end."""
        if self._stand_in is None or self.synced or failures < _FAILURES_TO_STAND_IN:
            return self._pause(seconds)
        while seconds > 0:
            self._take_stand_in(self._stand_in)
            if self._pause(min(seconds, _STAND_IN_SECONDS)):
                return True
            seconds -= _STAND_IN_SECONDS
        return False

    def _take_stand_in(self, pods: PodList) -> None:
        before = self.stood_in
        try:
            self._directory.replace(pods())
            self.stood_in = True
        except KubeletUnreadableError as error:
            self.stood_in = False
            if before is not False:
                _log.warning("kubelet does not list its pods", extra={"reason": str(error)})
        if self.stood_in and not before:
            _log.info("kubelet's list of pods stands in for the API server")

    def _list(self) -> str:
        """Take the complete list; returns the version to watch from."""
        self._read_allocatable()
        answer = self._get(_PODS, resourceVersion="0")
        self._directory.replace(parse_pods(answer.get("items")))
        self.synced, self.stood_in = True, None
        return str(answer["metadata"]["resourceVersion"])

    def _read_allocatable(self) -> None:
        """What pods can reserve here; without the right to read nodes, the machine's own counts."""
        try:
            node = self._get(f"/api/v1/nodes/{self._node}", fieldSelector="")
            allocatable = node["status"]["allocatable"]
            cpu, memory = (str(allocatable.get(name, "0")) for name in ("cpu", "memory"))
        except (requests.HTTPError, *_MISSHAPEN) as error:
            _log.info("what the node can allocate is unknown", extra={"reason": str(error)})
        else:
            self._directory.allocatable_millicores = millicores(cpu) or None
            self._directory.allocatable_kib = kibibytes(memory) or None

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        query = {"fieldSelector": f"spec.nodeName={self._node}"} | query
        response = self._server.get(
            path,
            {key: value for key, value in query.items() if value},
            timeout_seconds=(_CONNECT_SECONDS, _ANSWER_SECONDS),
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def _watch(self, version: str) -> Iterator[str]:
        """Take changes as they come; yields the version that each of them reached."""
        query = {
            "fieldSelector": f"spec.nodeName={self._node}",
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        # A connection that broke silently is given up when the server should have ended the watch.
        timeout = (_CONNECT_SECONDS, _WATCH_SECONDS + _ANSWER_SECONDS)
        with self._server.get(_PODS, query, timeout_seconds=timeout, stream=True) as response:
            if response.status_code == _GONE:
                raise WatchExpiredError
            response.raise_for_status()
            self.synced = True
            for line in response.iter_lines(chunk_size=None):
                reached = self._take(json.loads(line)) if line else None
                if reached is not None:
                    yield reached

    def _take(self, event: dict[str, Any]) -> str | None:
        """Take a change; returns the version it reached, if it tells one."""
        manifest = event["object"]
        if event["type"] == "ERROR":
            if manifest.get("code") == _GONE:
                raise WatchExpiredError
            raise requests.RequestException(manifest.get("message") or "the watch failed")
        if event["type"] in ("ADDED", "MODIFIED"):
            for pod in parse_pods([manifest]):
                self._directory.put(pod)
        elif event["type"] == "DELETED":
            for pod in parse_pods([manifest]):
                self._directory.remove(pod)
        match manifest:
            case {"metadata": {"resourceVersion": str(version)}}:
                return version
        return None
