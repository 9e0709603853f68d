"""The feed: kopf watches, the store is told. No state, no timers, no writes of kopf's own.

kopf lists and watches; each event of an object is handed to a port (`Inbox`) as a plain object.
The port is narrow so that another reflector could take kopf's place.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol, cast

import kopf
from kubernetes.aio.client import Configuration

from carbonaware_operator.api.reasons import Label
from carbonaware_operator.cluster.kube import Object, configuration
from carbonaware_operator.kinds.registry import KINDS

log = logging.getLogger(__name__)


class Inbox(Protocol):
    """Who takes the events in. None of it may raise for an odd object, or block."""

    def job(self, body: Object, *, deleted: bool) -> None:
        """A CarbonAwareJob was seen, changed or deleted."""
        ...

    def child(self, body: Object, *, deleted: bool) -> None:
        """A workload with our label was seen, changed or deleted."""
        ...

    def zone(self, body: Object, *, deleted: bool) -> None:
        """A CarbonZone was seen, changed or deleted."""
        ...


async def run_feed(
    inbox: Inbox,
    kubeconfig: str | None,
    *,
    identity: str,
    namespaces: Sequence[str] = (),
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    """Watch until `stop` is set; the CRDs must exist before.

    identity: names this process; kopf would ask for the user's name, and a container has none.
    namespaces: where jobs are watched; empty for everywhere.
    """
    await kopf.operator(
        identity=cast("Any", identity),
        registry=_registry(inbox, kubeconfig),
        settings=_settings(),
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        stop_flag=stop,
        ready_flag=ready,
    )


def _registry(inbox: Inbox, kubeconfig: str | None) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return _connection(await configuration(kubeconfig))

    @kopf.on.event("carbonaware.io", "v1alpha1", "carbonawarejobs", registry=registry)
    async def job_event(event: Any, **_: Any) -> None:
        inbox.job(_body(event), deleted=event["type"] == "DELETED")

    @kopf.on.event("carbonaware.io", "v1alpha1", "carbonzones", registry=registry)
    async def zone_event(event: Any, **_: Any) -> None:
        inbox.zone(_body(event), deleted=event["type"] == "DELETED")

    async def child_event(event: Any, **_: Any) -> None:
        inbox.child(_body(event), deleted=event["type"] == "DELETED")

    ours = {Label.JOB_UID.value: kopf.PRESENT}
    for kind in KINDS:
        of = kind.resource
        kopf.on.event(of.group, of.version, of.plural, labels=ours, registry=registry)(child_event)
    return registry


def _body(event: Any) -> Object:
    # kopf shares the object with its own bookkeeping: a copy of the top keeps ours apart.
    return dict(event["object"])


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # events are written by events.py, for transitions only
    settings.scanning.disabled = True  # no list of namespaces and CRDs: a narrow role is enough
    settings.watching.chunk_size = 500
    for kind in KINDS:
        # Group and plural apart: kopf takes "batch/jobs" for one name, which never matches.
        where = kind.resource.group, kind.resource.plural
        settings.watching.label_selectors[where] = Label.JOB_UID.value
    settings.queueing.idle_timeout = 0.1  # 5 s keeps a task per object: 377 MB at 50,000 objects
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    return settings


def _connection(settings: Configuration) -> kopf.ConnectionInfo:
    scheme, _, token = str(settings.api_key.get("BearerToken", "")).rpartition(" ")
    return kopf.ConnectionInfo(
        server=settings.host,
        ca_path=settings.ssl_ca_cert,
        insecure=not settings.verify_ssl,
        scheme=scheme or "Bearer",
        token=token or None,
        certificate_path=settings.cert_file,
        private_key_path=settings.key_file,
    )
