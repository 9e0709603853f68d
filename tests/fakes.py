"""Stand-ins for what a test must hold in its hand: time, and a Kubernetes API in memory."""

import asyncio
import copy
import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from carbonaware_operator.cluster.kube import ApiError, Kind, Object


class ManualClock:
    """Time stands still until a test moves it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Wall time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since some start."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Wait until a test has moved time on."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), awake))
        await awake

    async def advance(self, seconds: float, idle: Callable[[], bool] = lambda: True) -> None:
        """Let time pass; whoever sleeps wakes at its own instant and acts before time goes on.

        idle: true when no worker thread is busy; time stands still until then.
        """
        await settle()
        end = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, awake = heapq.heappop(self._sleepers)
            if awake.done():
                continue
            self._move(max(0.0, due - self._monotonic))
            awake.set_result(None)
            await settle()
            await eventually(idle)
            await settle()
        self._move(end - self._monotonic)
        await settle()

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back; the monotonic clock does not notice."""
        self._now += timedelta(seconds=seconds)

    def _move(self, seconds: float) -> None:
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)


async def settle() -> None:
    """Let tasks that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def eventually(condition: Any, seconds: float = 5.0) -> None:
    """Wait in real time for what a worker thread brings about; fails after so many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a thread sets no event of this loop
            await asyncio.sleep(0.002)


class FakeKube:
    """The methods of KubeClient over objects in memory.

    Server-side apply is by manager: what a manager leaves out of its next apply is deleted.
    `fail(path, error)` makes requests to paths that begin so be refused until `fail(path, None)`;
    of one verb only, where one is named: "check" is a creation that is a dry run.
    `requests` are all (verb, path) so far; `created` is when objects without a time were created.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.created = "2026-06-15T12:00:00Z"
        self._applied: dict[tuple[str, str], Object] = {}
        self._failures: dict[str, tuple[ApiError, str]] = {}
        self._versions = count(1)

    def put(self, kind: Kind, namespace: str | None, body: Object) -> Object:
        """Place an object there, as some other client would."""
        path = kind.path(namespace, body["metadata"]["name"])
        return self._store(path, copy.deepcopy(body))

    def stored(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """What is there now, without a request."""
        return self.objects.get(kind.path(namespace, name))

    def count(self, verb: str, path: str) -> int:
        """How many requests there were for exactly this path."""
        return self.requests.count((verb, path))

    def fail(self, path: str, error: ApiError | None, verb: str = "") -> None:
        """Refuse requests to a path, or no longer."""
        self._failures.pop(path, None)
        if error is not None:
            self._failures[path] = error, verb

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One object."""
        path = kind.path(namespace, name)
        await self._request("get", path)
        return copy.deepcopy(self._existing(path))

    async def create(
        self, kind: Kind, namespace: str | None, body: Object, *, dry_run: bool = False
    ) -> Object:
        """Create an object."""
        path = kind.path(namespace, body["metadata"]["name"])
        await self._request("create", path, "check" if dry_run else "create")
        if path in self.objects:
            raise ApiError(409, "AlreadyExists", f"{path} already exists")
        return copy.deepcopy(body if dry_run else self._store(path, copy.deepcopy(body)))

    async def apply(
        self,
        kind: Kind,
        namespace: str | None,
        body: Object,
        *,
        manager: str,
        sub: str | None = None,
    ) -> Object:
        """Server-side apply."""
        path = kind.path(namespace, body["metadata"]["name"])
        await self._request("apply", path + (f"/{sub}" if sub else ""))
        before = self._existing(path) if sub else self.objects.get(path, {})
        sent = {sub: body[sub]} if sub else {k: v for k, v in body.items() if k != "status"}
        left = _without(before, self._applied.get((path, manager), {}))
        self._applied[path, manager] = copy.deepcopy(sent)
        return copy.deepcopy(self._store(path, _merged(left, sent)))

    async def merge(
        self, kind: Kind, namespace: str | None, name: str, body: Object, *, manager: str = ""
    ) -> Object:
        """JSON merge patch."""
        path = kind.path(namespace, name)
        await self._request("merge", path)
        self._check_preconditions(path, body)
        return copy.deepcopy(self._store(path, _merged(self._existing(path), body)))

    async def replace(self, kind: Kind, namespace: str | None, body: Object) -> Object:
        """Replace an object."""
        path = kind.path(namespace, body["metadata"]["name"])
        await self._request("replace", path)
        self._check_preconditions(path, body)
        return copy.deepcopy(self._store(path, copy.deepcopy(body)))

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, uid: str) -> None:
        """Delete an object."""
        path = kind.path(namespace, name)
        await self._request("delete", path)
        self._check_preconditions(path, {"metadata": {"uid": uid}})
        del self.objects[path]

    async def first(
        self, kind: Kind, namespace: str, most: int, *, selector: str = "", fields: str = ""
    ) -> Sequence[Object]:
        """The first objects; a field selector is not looked at."""
        found = [body async for body in self.list(kind, namespace, selector=selector)]
        return found[:most]

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        selector: str = "",
        only_metadata: bool = False,
        not_older_than: str = "",
    ) -> AsyncIterator[Object]:
        """Equality selectors only."""
        root = kind.path(namespace)
        await self._request("list", root)
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        for path, body in list(self.objects.items()):
            labels = body["metadata"].get("labels") or {}
            if path.rpartition("/")[0] == root and wanted.items() <= labels.items():
                yield copy.deepcopy({"metadata": body["metadata"]} if only_metadata else body)

    async def _request(self, verb: str, path: str, exactly: str = "") -> None:
        self.requests.append((verb, path))
        await asyncio.sleep(0)
        for prefix, (error, refused) in self._failures.items():
            if path.startswith(prefix) and refused in ("", exactly or verb):
                raise error

    def _existing(self, path: str) -> Object:
        if path not in self.objects:
            raise ApiError(404, "NotFound", f"{path} not found")
        return self.objects[path]

    def _check_preconditions(self, path: str, body: Object) -> None:
        live = self._existing(path)["metadata"]
        for name in ("uid", "resourceVersion"):
            if body["metadata"].get(name, live.get(name)) != live.get(name):
                raise ApiError(409, "Conflict", f"{path}: {name} is {live.get(name)}")

    def _store(self, path: str, body: Object) -> Object:
        version, before = next(self._versions), self.objects.get(path)
        if before and before.get("spec") != body.get("spec"):  # another spec is a generation more
            at_least = before["metadata"].get("generation", 1) + 1
            body["metadata"]["generation"] = max(at_least, body["metadata"].get("generation", 1))
        body["metadata"]["resourceVersion"] = str(version)
        body["metadata"].setdefault("uid", f"uid-{version}")
        body["metadata"].setdefault("creationTimestamp", self.created)
        self.objects[path] = body
        return body


def _merged(into: Object, patch: Object) -> Object:
    """JSON merge patch."""
    result = dict(into)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _merged(result.get(key) or {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _without(body: Object, applied: Object) -> Object:
    """The object without the fields that one manager applied before."""
    result = dict(body)
    for key, value in applied.items():
        if key not in result or key == "metadata":
            continue
        if isinstance(value, dict) and isinstance(result[key], dict):
            result[key] = _without(result[key], value)
        else:
            result[key] = {}
        if result[key] == {}:
            del result[key]
    return result
