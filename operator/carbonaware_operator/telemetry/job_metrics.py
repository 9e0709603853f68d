"""Gauges of the jobs, from the store's own counts, so that what is gone leaves no series."""

from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry.places import PLACE, Places

_JOBS = "carbonaware_jobs"
_DEADLINE = "carbonaware_job_next_deadline_seconds"
_UNREADABLE = "carbonaware_unreadable_objects"
LABELS = {_JOBS: (*PLACE, "state", "reason"), _DEADLINE: PLACE, _UNREADABLE: ("kind",)}


class JobCollector(Collector):
    """The jobs by state, and how long the most urgent of them may still wait."""

    def __init__(
        self, jobs: JobStore, zones: ZoneStore, places: Places, now: Callable[[], Instant]
    ) -> None:
        self._jobs, self._zones, self._places, self._now = jobs, zones, places, now

    def collect(self) -> Iterable[Metric]:
        """The jobs by state and reason, the next deadline of each place, what cannot be read."""
        counts: Counter[tuple[str, ...]] = Counter()
        for tally in self._jobs.tallies():
            place = self._places.of(tally.namespace, tally.zone_name)
            counts[*place, tally.state, tally.reason] += tally.count
        self._places.show({(namespace, zone) for namespace, zone, _, _ in counts})
        family = _family(_JOBS, "CarbonAwareJobs by state and the reason for it")
        for labels, count in counts.items():
            family.add_metric(labels, count)
        yield family
        yield self._deadlines()
        yield self._unreadable()

    def _deadlines(self) -> Metric:
        nearest: dict[tuple[str, str], Instant] = {}
        for namespace, zone_name, deadline in self._jobs.next_deadlines():
            place = self._places.of(namespace, zone_name)
            nearest[place] = min(deadline, nearest.get(place, deadline))
        now = self._now()
        family = _family(
            _DEADLINE,
            "Seconds until the first of the held jobs must start, negative when that is over; jobs"
            " that their user suspended are left out",
        )
        for place, deadline in nearest.items():
            family.add_metric(place, (deadline - now).total_seconds())
        return family

    def _unreadable(self) -> Metric:
        family = _family(
            _UNREADABLE,
            "Objects that this version of the operator cannot read in full: of a newer version, or"
            " with a time zone that it does not know",
        )
        family.add_metric(["CarbonAwareJob"], len(self._jobs.unreadable))
        family.add_metric(["CarbonZone"], len(self._zones.unreadable))
        return family


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=LABELS[name])
