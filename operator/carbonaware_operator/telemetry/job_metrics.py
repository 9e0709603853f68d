"""Gauges of the jobs, read from the store at a scrape, so that what is gone leaves no series."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobStore

PLACE = ("namespace", "zone")

_JOBS = "carbonaware_jobs"
_DEADLINE = "carbonaware_job_next_deadline_seconds"
LABELS = {_JOBS: (*PLACE, "state", "reason"), _DEADLINE: PLACE}


class JobCollector(Collector):
    """The jobs by state, and how long the most urgent of them may still wait.

    seen: told the places where there are jobs, before their values are shown.
    """

    def __init__(
        self,
        jobs: JobStore,
        now: Callable[[], Instant],
        seen: Callable[[Iterable[tuple[str, str]]], None],
    ) -> None:
        self._jobs, self._now, self._seen = jobs, now, seen

    def collect(self) -> Iterable[Metric]:
        """The jobs by state and reason, and the next deadline of each place."""
        tally = Tally(self._jobs.by_reason())
        self._seen({(namespace, zone) for namespace, zone, _, _ in tally})
        family = _family(_JOBS, "CarbonAwareJobs by state and the reason for it")
        for labels, count in tally.items():
            family.add_metric(labels, count)
        yield family
        yield self._deadlines()

    def _deadlines(self) -> Metric:
        nearest: dict[tuple[str, str], Instant] = {}
        for namespace, zone, deadline in self._jobs.deadlines():
            place = (namespace, zone)
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


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=LABELS[name])
