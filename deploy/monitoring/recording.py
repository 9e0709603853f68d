"""Recording rules: what dashboards sum over namespaces, made once instead of at every look.

Gauges that every replica of the operator shows are taken as their maximum first, so that two
replicas count no job twice; only the leader counts energy, emissions and releases. Names follow
Prometheus's `level:metric:operation`.
"""

from dataclasses import dataclass

_PLACE_JOBS = "max by (namespace, zone, state, reason) (carbonaware_jobs)"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded series. meaning: with its unit."""

    record: str
    expr: str
    meaning: str


def _rates(level: str) -> tuple[Recording, ...]:
    def rate(metric: str, meaning: str, *labels: str) -> Recording:
        by = ", ".join((level, *labels))
        return Recording(
            f"{level}:{metric}:rate5m", f"sum by ({by}) (rate({metric}_total[5m]))", meaning
        )

    return (
        rate("carbonaware_energy_joules", "power of jobs, watts"),
        rate("carbonaware_emissions_grams", "emissions of jobs, grams of CO2e per second"),
        rate(
            "carbonaware_baseline_emissions_grams",
            "emissions had the same jobs run at once, grams of CO2e per second",
        ),
        rate("carbonaware_job_releases", "jobs that were let start, per second", "reason"),
    )


RULES = (
    Recording(
        "zone:carbonaware_jobs:sum",
        f"sum by (zone, state, reason) ({_PLACE_JOBS})",
        "jobs of all namespaces",
    ),
    Recording(
        "namespace:carbonaware_jobs:sum",
        f"sum by (namespace, state, reason) ({_PLACE_JOBS})",
        "jobs of all zones",
    ),
    *(
        Recording(
            f"{level}:carbonaware_job_next_deadline_seconds:min",
            f"min by ({level}) (carbonaware_job_next_deadline_seconds)",
            "seconds until the first held job must start",
        )
        for level in ("zone", "namespace")
    ),
    Recording(
        "zone:carbonaware_job_hold_seconds_bucket:rate5m",
        "sum by (zone, le) (rate(carbonaware_job_hold_seconds_bucket[5m]))",
        "releases per second by how long the job was held",
    ),
    *_rates("zone"),
    *_rates("namespace"),
    Recording(
        "namespace:carbonaware_pod_energy_joules:rate5m",
        "sum by (namespace, component, source) (rate(carbonaware_pod_energy_joules_total[5m]))",
        "power of all pods, watts; sources are never added",
    ),
)
