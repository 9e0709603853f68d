"""The operator's Prometheus metrics. No job name or uid is ever a label: those are unbounded."""

from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from carbonaware_operator.api.reasons import ReleaseReason
from carbonaware_operator.quantities.energy import MICROJOULES_PER_JOULE
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.jobs import JobStore
from carbonaware_operator.store.zones import ZoneStore
from carbonaware_operator.telemetry import grid_metrics, job_metrics
from carbonaware_operator.telemetry.job_metrics import JobCollector
from carbonaware_operator.telemetry.places import PLACE, Places

_PASS_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
_WRITE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_HOLD_BUCKETS = (60, 600, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600, 168 * 3600)


STORE_LABELS = {**job_metrics.LABELS, **grid_metrics.LABELS}


class OperatorMetrics:
    """All metrics of one operator process, in a registry of their own."""

    def __init__(
        self,
        jobs: JobStore,
        zones: ZoneStore,
        version: str,
        now: Callable[[], Instant] = lambda: datetime.now(UTC),
    ) -> None:
        self.registry = CollectorRegistry()
        self._places = Places(zones, now)
        self.registry.register(JobCollector(jobs, zones, self._places, now))
        self.registry.register(grid_metrics.GridCollector(zones, now))
        self._accounts()
        self._questions()
        self._decisions()
        self._writes()
        self._leader = Gauge(
            "carbonaware_leader",
            "1 on the replica that decides and writes",
            registry=self.registry,
        )
        self._guards = Gauge(
            "carbonaware_admission_policy_bound",
            "1 while the admission policy is known to guard the operator, else 0",
            ("policy",),
            registry=self.registry,
        )
        self._info = Gauge(
            "carbonaware_build_info", "1, with the version", ("version",), registry=self.registry
        )
        self._info.labels(version).set(1)

    def _accounts(self) -> None:
        self._energy = self._counter(
            "carbonaware_energy_joules", "Energy used by CarbonAwareJobs, joules", PLACE
        )
        self._emissions = self._counter(
            "carbonaware_emissions_grams", "Emissions of CarbonAwareJobs, grams of CO2e", PLACE
        )
        self._baseline = self._counter(
            "carbonaware_baseline_emissions_grams",
            "Emissions had the same jobs run at once, grams of CO2e",
            PLACE,
        )
        for counter in (self._energy, self._emissions, self._baseline):
            self._places.count(counter)
        self._scrapes = self._counter(
            "carbonaware_agent_scrapes", "Scrapes of node agents by result", ("result",)
        )

    def _questions(self) -> None:
        self._requests = self._counter(
            "carbonaware_provider_requests",
            "Questions to providers of grid intensity by result: ok, or the reason of the failure",
            ("provider", "result"),
        )
        self._request_seconds = Histogram(
            "carbonaware_provider_request_duration_seconds",
            "Seconds for a question to a provider, with what it takes to make it",
            ("provider", "result"),
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )

    def _decisions(self) -> None:
        self._grid_updates = self._counter(
            "carbonaware_grid_updates",
            "Changes of a zone's intensity or freshness that the planner was told of",
            ("zone",),
        )
        self._places.zones.count(self._grid_updates)
        self._releases = self._counter(
            "carbonaware_job_releases",
            "Jobs that were let start, by the reason for it",
            (*PLACE, "reason"),
        )
        self._hold_seconds = Histogram(
            "carbonaware_job_hold_seconds",
            "Seconds from creation to release",
            PLACE,
            buckets=_HOLD_BUCKETS,
            registry=self.registry,
        )
        self._places.count(self._releases, tuple((reason,) for reason in ReleaseReason))
        self._places.count(self._hold_seconds)
        self.pass_seconds = Histogram(
            "carbonaware_planner_pass_duration_seconds",
            "Seconds for a planning pass",
            buckets=_PASS_BUCKETS,
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "carbonaware_planner_queue_depth",
            "Jobs that wait for a decision or a write",
            registry=self.registry,
        )

    def _writes(self) -> None:
        self.writes = self._counter(
            "carbonaware_writes", "Writes to the API server by kind and result", ("kind", "result")
        )
        self.write_seconds = Histogram(
            "carbonaware_write_duration_seconds",
            "Seconds for a write to the API server",
            ("kind",),
            buckets=_WRITE_BUCKETS,
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def labels_of(self, family: str) -> tuple[str, ...]:
        """The label names of a metric family of the registry."""
        if family in STORE_LABELS:
            return STORE_LABELS[family]
        (metric,) = [m for m in vars(self).values() if getattr(m, "_name", None) == family]
        names: tuple[str, ...] = metric._labelnames  # noqa: SLF001 - no public way to ask
        return names

    def led_by(self, leading: Callable[[], bool]) -> None:
        """Read the leader gauge from its source at every scrape."""
        self._leader.set_function(lambda: float(leading()))

    def guarded(self, policy: str, *, bound: bool) -> None:
        """Show whether an admission policy is bound."""
        self._guards.labels(policy).set(float(bound))

    def add(
        self,
        namespace: str,
        zone: str,
        energy_microjoules: int,
        emissions_micrograms: int,
        baseline_micrograms: int,
    ) -> None:
        """Count energy and emissions that a ledger gained; none of them may be negative."""
        place = self._place(namespace, zone)
        self._energy.labels(*place).inc(energy_microjoules / MICROJOULES_PER_JOULE)
        self._emissions.labels(*place).inc(emissions_micrograms / 1e6)
        self._baseline.labels(*place).inc(baseline_micrograms / 1e6)

    def released(self, namespace: str, zone: str, reason: str, held_seconds: float) -> None:
        """Count a job that may start now, and how long it was held."""
        place = self._place(namespace, zone)
        self._releases.labels(*place, reason).inc()
        self._hold_seconds.labels(*place).observe(held_seconds)

    def _place(self, namespace: str, zone: str) -> tuple[str, str]:
        place = self._places.of(namespace, zone)
        self._places.see(place)
        return place

    def grid_updated(self, zone: str) -> None:
        """Count a change of a zone's outlook."""
        self._places.zones.see((zone,))
        self._grid_updates.labels(zone).inc()

    def provider_asked(self, provider: str, result: str, seconds: float) -> None:
        """Count a question to a provider and how long its answer took."""
        self._requests.labels(provider, result).inc()
        self._request_seconds.labels(provider, result).observe(seconds)

    def scraped(self, result: str, count: int) -> None:
        """Count scrapes of agents that ended with the same result."""
        self._scrapes.labels(result).inc(count)
