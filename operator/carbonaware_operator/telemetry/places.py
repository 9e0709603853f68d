"""Series whose subject may go: zones, and namespaces with jobs.

A counter begins at 0 as its subject comes: to Prometheus a first value is no increase. It stays for
an hour after its subject went, so that what was counted last is scraped, and then disappears.
"""

from collections.abc import Callable, Collection
from datetime import timedelta

from prometheus_client.metrics import MetricWrapperBase

from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.zones import ZoneStore

PLACE = ("namespace", "zone")
KEPT = timedelta(hours=1)

Labels = tuple[str, ...]


class Subjects:
    """Which subjects there are, by the labels of their series, and what is counted of each."""

    def __init__(self, names: Labels, now: Callable[[], Instant]) -> None:
        self._names, self._now = names, now
        self._seen: dict[Labels, Instant] = {}
        self._families: list[tuple[MetricWrapperBase, tuple[Labels, ...]]] = []

    def count(self, family: MetricWrapperBase, more: tuple[Labels, ...] = ((),)) -> None:
        """Have a family for each subject; more: values of the labels that it has beside `names`."""
        self._families.append((family, more))

    def see(self, labels: Labels) -> None:
        """There is, or was a moment ago, a subject with these labels."""
        if labels not in self._seen:
            for family, more in self._families:
                for values in more:
                    family.labels(*labels, *values)
        self._seen[labels] = self._now()

    def show(self, present: Collection[Labels]) -> None:
        """These subjects there are; series of others are taken away when their time is over."""
        for labels in present:
            self.see(labels)
        limit = self._now() - KEPT
        for labels in [labels for labels, last in self._seen.items() if last < limit]:
            del self._seen[labels]
            for family, _ in self._families:
                family.remove_by_labels(dict(zip(self._names, labels, strict=True)))


class Places(Subjects):
    """Where jobs are: their namespace and their zone.

    A `zoneName` that names no CarbonZone is left empty: it is any text of a user, and one user
    could fill every Prometheus with it.

    zones: series of the zones themselves.
    """

    def __init__(self, zones: ZoneStore, now: Callable[[], Instant]) -> None:
        super().__init__(PLACE, now)
        self._known, self.zones = zones, Subjects(("zone",), now)

    def show(self, present: Collection[Labels]) -> None:
        """Jobs are in these places; and there are the zones that the store has."""
        super().show(present)
        self.zones.show([(name,) for name in self._known.records])

    def of(self, namespace: str, zone_name: str | None) -> tuple[str, str]:
        """The labels of a place."""
        return namespace, zone_name if zone_name and zone_name in self._known.records else ""
