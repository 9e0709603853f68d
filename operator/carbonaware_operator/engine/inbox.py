"""The inbox: what the feed sees goes into the store, and whoever is concerned is woken."""

import logging
from collections.abc import Callable

from carbonaware_operator.cluster.kube import Object
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore, zone_record

log = logging.getLogger(__name__)

_ODD_OBJECT = (ValueError, KeyError, TypeError)
"""What reading an object raises that the API server should not have let through."""


class StoreInbox:
    """Applies events to the store; an odd object is logged and concerns nobody else."""

    def __init__(
        self,
        jobs: JobStore,
        zones: ZoneStore,
        *,
        touch: Callable[[str], None],
        zone_changed: Callable[[str], None],
    ) -> None:
        self._jobs, self._zones = jobs, zones
        self._touch, self._zone_changed = touch, zone_changed

    def job(self, body: Object, *, deleted: bool) -> None:
        """A CarbonAwareJob was seen, changed or deleted."""
        if deleted:
            self._jobs.forget(body["metadata"]["uid"])
            return
        try:
            self._touch(self._jobs.apply(body).uid)
        except _ODD_OBJECT as error:
            _complain(body, error)

    def child(self, body: Object, *, deleted: bool) -> None:
        """A batch/v1 Job with our label was seen, changed or deleted."""
        try:
            change = self._jobs.forget_child if deleted else self._jobs.apply_child
            parent = change(body)
        except _ODD_OBJECT as error:
            _complain(body, error)
            return
        if parent:
            self._touch(parent)

    def zone(self, body: Object, *, deleted: bool) -> None:
        """A CarbonZone was seen, changed or deleted."""
        name = body["metadata"]["name"]
        try:
            if deleted:
                self._zones.forget(name)
            elif not self._apply_zone(body):
                return  # the echo of our own status write: the spec is the same
        except _ODD_OBJECT as error:
            _complain(body, error)
            return
        self._zone_changed(name)

    def _apply_zone(self, body: Object) -> bool:
        record = zone_record(body)
        known = self._zones.records.get(record.name)
        self._zones.apply(record)
        return known is None or (known.uid, known.generation) != (record.uid, record.generation)


def _complain(body: Object, error: Exception) -> None:
    metadata = body.get("metadata") or {}
    log.warning(
        "object not understood",
        extra={
            "kind": body.get("kind"),
            "namespace": metadata.get("namespace"),
            "object_name": metadata.get("name"),
            "error": str(error),
        },
    )
