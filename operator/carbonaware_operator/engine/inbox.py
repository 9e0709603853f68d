"""The inbox: what the feed sees goes into the store, and whoever is concerned is woken."""

import logging
from collections.abc import Callable

from carbonaware_operator.cluster.kube import Object
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.reading import ODD, said_by
from carbonaware_operator.store.zones import ZoneStore, zone_record

log = logging.getLogger(__name__)


class StoreInbox:
    """Applies events to the store; an odd object is logged and concerns nobody else."""

    def __init__(
        self,
        jobs: JobStore,
        zones: ZoneStore,
        *,
        touch: Callable[[str], None],
        zone_changed: Callable[[str], None],
        forgotten: Callable[[str], None],
        room: Callable[[str], None],
        name_freed: Callable[[str, str], None],
    ) -> None:
        """Wire the inbox.

        touch, forgotten: told the uid of a job that changed, or is gone; zone_changed: the name of
        a zone; room: the namespace in which a child Job has ended or was deleted; name_freed: the
        namespace and the name of a Job that was deleted.
        """
        self._jobs, self._zones = jobs, zones
        self._touch, self._zone_changed = touch, zone_changed
        self._forgotten, self._room, self._name_freed = forgotten, room, name_freed

    def job(self, body: Object, *, deleted: bool) -> None:
        """A CarbonAwareJob was seen, changed or deleted."""
        if deleted:
            self._jobs.forget(body["metadata"]["uid"])
            self._forgotten(body["metadata"]["uid"])
            return
        try:
            record = self._jobs.apply(body)
        except ODD as error:
            _complain(body, said_by(error))
            return
        if record is None:
            return
        if record.unreadable:
            _complain(body, record.unreadable.problems)
        self._touch(record.uid)

    def child(self, body: Object, *, deleted: bool) -> None:
        """A batch/v1 Job with our label was seen, changed or deleted."""
        try:
            change = self._jobs.forget_child if deleted else self._jobs.apply_child
            parent = change(body)
        except ODD as error:
            _complain(body, said_by(error))
            return
        if parent:
            self._touch(parent)
        if deleted:
            self._name_freed(body["metadata"]["namespace"], body["metadata"]["name"])
        record = self._jobs.records.get(parent or "")
        if record and (deleted or (record.child and record.child.ending)):
            self._room(record.namespace)

    def zone(self, body: Object, *, deleted: bool) -> None:
        """A CarbonZone was seen, changed or deleted."""
        try:
            name = self._without(body) if deleted else self._with(body)
        except ODD as error:
            self._zones.unreadable.add(body["metadata"]["uid"])
            _complain(body, said_by(error))
            return
        if name:
            self._zone_changed(name)

    def _without(self, body: Object) -> str | None:
        return self._zones.forget(body["metadata"]["uid"])

    def _with(self, body: Object) -> str | None:
        """Take in a zone; its name, None when its spec is no other than it was."""
        at = body["metadata"]
        if self._zones.knows(at["name"], at["uid"], int(at["resourceVersion"])):
            return None
        record, known = zone_record(body), self._zones.records.get(at["name"])
        self._zones.apply(record)
        if known and (known.uid, known.generation) == (record.uid, record.generation):
            return None  # the echo of our own status write
        return record.name


def _complain(body: Object, problem: str) -> None:
    metadata = body.get("metadata") or {}
    log.warning(
        "object not understood",
        extra={
            "kind": body.get("kind"),
            "namespace": metadata.get("namespace"),
            "object_name": metadata.get("name"),
            "error": problem,
        },
    )
