"""The edges of accounting, played: agents on the loopback address, jobs in a cluster, clock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import web

from accounting_fakes import HOUR, MIDNIGHT, TrueSeries, rendered
from carbonaware_operator.accounting.samples import Reading
from carbonaware_operator.api.job import CarbonAwareJobStatus
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.cluster.kube import ApiError, Kind, KubeClient, Object
from carbonaware_operator.quantities.instants import Instant, from_unix

NODE = "n1"


@dataclass(slots=True)
class HandClock:
    """A clock that only a test moves."""

    time: Instant = MIDNIGHT
    slept: list[float] = field(default_factory=list)

    def now(self) -> Instant:
        """Wall time."""
        return self.time

    def monotonic(self) -> float:
        """Seconds since midnight."""
        return (self.time - MIDNIGHT).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Note a sleep and move on by it."""
        if seconds:
            self.slept.append(seconds)
            self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class JobsApi(KubeClient):
    """CarbonAwareJobs by name, their status applied as the API server does.

    before_apply: called before each write is looked at; after_apply: when it has been stored, and
    whatever it raises is what the client gets to see.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, Object] = {}
        self.slices: list[Object] = []
        self.slices_error: ApiError | None = None
        self.before_apply: Callable[[], None] = lambda: None
        self.after_apply: Callable[[], None] = lambda: None
        self.requests: list[str] = []
        self._versions = 100

    def add(self, name: str, status: dict[str, Any] | None = None, uid: str = "") -> Object:
        """Put a job into the cluster, with a status that others wrote."""
        self._versions += 1
        self.jobs[name] = {
            "metadata": {
                "name": name,
                "namespace": "ml",
                "uid": uid or f"uid-{name}",
                "resourceVersion": str(self._versions),
            },
            "status": status or {},
        }
        return deepcopy(self.jobs[name])

    def touch(self, name: str, **status: Any) -> None:
        """Somebody else changes a job's status."""
        self._versions += 1
        self.jobs[name]["metadata"]["resourceVersion"] = str(self._versions)
        self.jobs[name]["status"].update(status)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One job."""
        self.requests.append(f"GET {namespace}/{name}")
        return deepcopy(self._found(name))

    async def apply(
        self,
        kind: Kind,
        namespace: str | None,
        body: Object,
        *,
        manager: str,
        sub: str | None = None,
    ) -> Object:
        """Apply to the status under the precondition of a version; the set replaces the last."""
        name = body["metadata"]["name"]
        self.requests.append(f"APPLY {namespace}/{name}/{sub} {manager}")
        self.before_apply()
        job = self._found(name)
        if job["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        owned = {f.alias for f in CarbonAwareJobStatus.model_fields.values()} - _PLANNERS
        kept = {k: v for k, v in job["status"].items() if k not in owned}
        job["status"] = kept
        self.touch(name, **deepcopy(body["status"]))
        self.after_apply()
        return deepcopy(job)

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        selector: str = "",
        only_metadata: bool = False,
    ) -> AsyncIterator[Object]:
        """The EndpointSlices."""
        self.requests.append(f"LIST {kind.plural} {namespace} {selector}")
        if self.slices_error:
            raise self.slices_error
        for piece in self.slices:
            yield piece

    def _found(self, name: str) -> Object:
        if name not in self.jobs:
            raise ApiError(404, "NotFound", f"{name} not found")
        return self.jobs[name]


_PLANNERS = {"shifts", "finishedTime", "workload", "conditions"}


@dataclass(slots=True)
class PlayedAgent:
    """An agent with series whose energies are known, served at `url`.

    silent: does not answer; text: answers this instead.
    """

    clock: HandClock
    node: str = NODE
    series: list[TrueSeries] = field(default_factory=list)
    period_seconds: int = HOUR
    silent: bool = False
    text: str | None = None
    asked: list[Instant] = field(default_factory=list)
    url: str = ""
    _runner: web.AppRunner | None = None

    async def start(self) -> "PlayedAgent":
        """Listen on a free port of the loopback address."""
        app = web.Application()
        app.router.add_get("/metrics/accounting", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    def owner(self, uid: str, namespace: str = "ml") -> TrueSeries:
        """A new series of an owner on this node."""
        series = TrueSeries(node=self.node, owner=uid, namespace=namespace)
        self.series.append(series)
        return series

    async def _answer(self, request: web.Request) -> web.Response:
        since = from_unix(int(request.query["since"]))
        self.asked.append(since)
        if self.silent:
            return web.Response(status=503)
        now = self.clock.now()
        samples = tuple(one.sample(now, self.period_seconds, since) for one in self.series)
        text = self.text
        if text is None:
            text = rendered(Reading(self.node, now, samples), self.period_seconds)
        answer = web.Response(text=text)
        answer.enable_compression()
        return answer


@dataclass(slots=True)
class BookedJob:
    """A job as the book has it."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    owner_uids: frozenset[str]
    zone_name: str | None = "de"
    shifts: tuple[tuple[Instant, int], ...] = ((MIDNIGHT, 0),)
    finished: Instant | None = None
    ledger: Ledger | None = None


@dataclass(slots=True)
class Book:
    """Jobs by uid, kept as the store of the operator keeps them."""

    jobs: dict[str, BookedJob] = field(default_factory=dict)

    def take(self, body: Object, **fields: Any) -> BookedJob:
        """Know a job of the cluster; its child Job has the uid `owner-<name>`."""
        metadata = body["metadata"]
        job = BookedJob(
            uid=metadata["uid"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            resource_version=metadata["resourceVersion"],
            owner_uids=frozenset({f"owner-{metadata['name']}"}),
        )
        for name, value in fields.items():
            setattr(job, name, value)
        self.jobs[job.uid] = job
        return job

    def unsettled(self) -> list[BookedJob]:
        """All of them."""
        return list(self.jobs.values())

    def apply(self, body: Object) -> BookedJob:
        """Take in what a write returned."""
        job = self.jobs[body["metadata"]["uid"]]
        job.resource_version = body["metadata"]["resourceVersion"]
        job.ledger = CarbonAwareJobStatus.model_validate(body["status"]).ledger
        return job
