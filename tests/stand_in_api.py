"""A stand-in for the API server: objects in memory, and answers as the real one gives them."""

import json
import threading
from collections.abc import Callable
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from click.testing import Result

from carbonaware_operator.api.reasons import ReleaseReason
from carbonaware_operator.kinds.registry import JOB
from carbonaware_operator.planning.decision import Basis, Release

Object = dict[str, Any]

Run = Callable[..., Result]
"""Runs the plugin with these arguments."""

_PLURALS = {
    "CarbonAwareJob": "carbonawarejobs",
    "CarbonZone": "carbonzones",
    "Job": "jobs",
    "Pod": "pods",
    "Event": "events",
    "Lease": "leases",
}


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Says nothing: who asked may be gone before the answer."""


class StandInApi:
    """Serves objects by path on the loopback address.

    refuse: paths that are answered with this status; after_get: called with each path read;
    changes: by path, what the next watch of a collection tells before it ends; texts: by path, what
    is answered that is no object.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.refuse: dict[str, int] = {}
        self.patches: list[tuple[str, Object]] = []
        self.changes: dict[str, list[tuple[str, Object]]] = {}
        self.texts: dict[str, Callable[[], str]] = {}
        self.requests: list[str] = []
        self.after_get: Callable[[str], None] = lambda path: None
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def add(self, *bodies: Object) -> None:
        """Put objects into the cluster."""
        for body in bodies:
            self.objects[_path(body)] = body

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def kubeconfig(self, path: Path, *, namespace: str | None = None, server: str = "") -> Path:
        """Write a kubeconfig with one context, `main`, and another, `other`, in namespace `far`."""
        main = {"cluster": "c", "user": "u"} | ({"namespace": namespace} if namespace else {})
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server or self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [
                {"name": "main", "context": main},
                {"name": "other", "context": {"cluster": "c", "user": "u", "namespace": "far"}},
            ],
            "current-context": "main",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def answer(self, method: str, path: str, body: Object | None) -> tuple[int, Object]:
        """What the API server says to a request."""
        if path in self.refuse:
            return self.refuse[path], _status(self.refuse[path], f"{path} is refused", "Forbidden")
        found = self.objects.get(path)
        if method == "PATCH" and body is not None:
            self.patches.append((path, body))
            _merge(self.objects[path], body)
            return 200, self.objects[path]
        self.after_get(path)
        if found:
            return 200, found
        name, last = path.rpartition("/")[2], path.rsplit("/", 2)[-2]
        if last in _PLURALS.values():
            return 404, _status(404, f'{last} "{name}" not found', "NotFound")
        return self._listed(path)

    def streamed(self, path: str) -> str:
        """What a watch tells."""
        events = self.changes.pop(path, [])
        return "".join(json.dumps({"type": t, "object": body}) + "\n" for t, body in events)

    def _listed(self, path: str) -> tuple[int, Object]:
        root, _, plural = path.rpartition("/")
        items = [
            body
            for key, body in self.objects.items()
            if key.startswith(root + "/") and key.split("/")[-2] == plural
        ]
        return 200, {"metadata": {"resourceVersion": "7"}, "items": items}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._respond(None)

            def do_PATCH(self) -> None:
                size = int(self.headers["Content-Length"])
                self._respond(json.loads(self.rfile.read(size)))

            def _respond(self, body: Object | None) -> None:
                asked = urlsplit(self.path)
                query = dict(parse_qsl(asked.query))
                api.requests.append(self.path)
                status, kind = 200, "application/json"
                if asked.path in api.texts:
                    text, kind = api.texts[asked.path]().encode(), "text/plain"
                elif "watch" in query and asked.path not in api.refuse:
                    text = api.streamed(asked.path).encode()
                else:
                    status, answer = api.answer(self.command, asked.path, body)
                    text = json.dumps(_selected(answer, query)).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _selected(answer: Object, query: dict[str, str]) -> Object:
    """A list with only what the selectors ask for."""
    if "items" not in answer:
        return answer
    kept = [item for item in answer["items"] if _matches(item, query)]
    return {**answer, "items": kept}


def _matches(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels") or {}
    for wanted in filter(None, query.get("labelSelector", "").split(",")):
        name, _, value = wanted.partition("=")
        if name not in labels or (value and labels[name] != value):
            return False
    field, _, value = query.get("fieldSelector", "").partition("=")
    return field != "metadata.name" or item["metadata"]["name"] == value


def _path(body: Object) -> str:
    namespace = body["metadata"].get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    plural = _PLURALS[body["kind"]]
    root = "/apis" if "/" in body["apiVersion"] else "/api"
    return f"{root}/{body['apiVersion']}{scope}/{plural}/{body['metadata']['name']}"


def _status(code: int, message: str, reason: str) -> Object:
    return {"kind": "Status", "code": code, "message": message, "reason": reason}


def _merge(target: Object, change: Object) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def stored_job(
    name: str = "train",
    *,
    namespace: str = "ml-team",
    created: str = "2026-03-01T12:00:00Z",
    suspend: bool = False,
    zone: str | None = "de",
    annotations: dict[str, str] | None = None,
    status: Object | None = None,
    **schedule: Any,
) -> Object:
    """A CarbonAwareJob as the API server has it; `status` as the operator wrote it."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": created,
        "annotations": annotations or {},
    }
    template = {"spec": {"template": {"spec": {"containers": []}}}}
    spec = {"jobTemplate": template, "suspend": suspend, "zoneName": zone, "schedule": schedule}
    spec = {key: value for key, value in spec.items() if value is not None}
    job = {"apiVersion": "carbonaware.io/v1alpha1", "kind": "CarbonAwareJob"}
    return {**job, "metadata": metadata, "spec": spec, "status": deepcopy(status or {})}


def operator_status(
    reason: str, /, *, released: bool = False, since: str = "2026-03-01T12:00:05Z", **more: Any
) -> Object:
    """A status whose condition Released has this reason."""
    return {
        "observedGeneration": 1,
        "zoneName": "de",
        "conditions": [condition_of("Released", released, reason, since=since)],
        **more,
    }


def condition_of(
    kind: str, status: bool, reason: str, message: str = "as told", since: str = ""
) -> Object:
    """A condition of a status."""
    return {
        "type": kind,
        "status": "True" if status else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or "2026-03-01T12:00:05Z",
        "observedGeneration": 1,
    }


def stored_child(parent: Object, *, suspend: bool = False, **status: Any) -> Object:
    """The child Job of a CarbonAwareJob, as the API server has it."""
    child = JOB.build(deepcopy(parent), Release(ReleaseReason.IMMEDIATE, Basis.SCHEDULE), None)
    child["metadata"] |= {
        "uid": f"child-of-{parent['metadata']['name']}",
        "resourceVersion": "9",
        "creationTimestamp": "2026-03-01T12:30:00Z",
    }
    child["spec"]["suspend"] = suspend
    return {**child, "status": status}


def a_pod(
    parent: Object,
    name: str = "train-x",
    *,
    phase: str = "Running",
    trouble: Object | None = None,
    **status: Any,
) -> Object:
    """A pod of a CarbonAwareJob's child; ready when it runs. trouble: a condition of it."""
    metadata = parent["metadata"]
    ready = condition_of("Ready", phase == "Running", "")
    owner = {"kind": "Job", "uid": f"child-of-{metadata['name']}", "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "creationTimestamp": "2026-03-01T12:30:01Z",
            "labels": {"carbonaware.io/job-uid": metadata["uid"]},
            "ownerReferences": [owner],
        },
        "status": {"phase": phase, "conditions": [c for c in (ready, trouble) if c], **status},
    }


def stored_zone(name: str = "de", *, grams: int | None = 300, reason: str = "Stale") -> Object:
    """A CarbonZone with a fresh intensity, or with None and the reason why not."""
    fresh = grams is not None
    status: Object = {"conditions": [condition_of("Fresh", fresh, "Current" if fresh else reason)]}
    if grams is not None:
        status["current"] = {
            "milligramsPerKWh": grams * 1000,
            "signal": "Average",
            "source": "Static",
            "observedTime": "2026-03-01T12:00:00Z",
        }
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "source": {"type": "Static", "static": {"gramsPerKWh": grams or 0}},
            "fallbackGramsPerKWh": 420,
        },
        "status": status,
    }
