"""The agent's metrics: names, types, labels and help, which are the contract with the operator.

Rendered here rather than by a library, because energies are exact decimals of integer microjoules
and a library's values are floats. `reference` makes the page for readers from the same table.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

# Label values in the order of a family's labels, then the sample's value.
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. kind: counter or gauge."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    def head(self) -> str:
        """The lines that introduce the metric."""
        return f"# HELP {self.name} {self.text}\n# TYPE {self.name} {self.kind}\n"

    def lines(self, rows: Iterable[Row]) -> Iterator[str]:
        """One line for each sample."""
        labels = ",".join(f'{label}="%s"' for label in self.labels)
        template = f"{self.name}{{{labels}}} %s\n" if labels else f"{self.name} %s\n"
        for row in rows:
            # A sample's value is a number, and new each time.
            yield template % (*map(_escaped, row[:-1]), row[-1])


@lru_cache(maxsize=8192)
def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


_DOMAIN = ("domain", "source", "boundary")
_OWNER = ("namespace", "owner_kind", "owner_name", "owner_uid", *_DOMAIN, "epoch")

NODE_ENERGY = Family(
    "carbonaware_node_energy_joules_total",
    "counter",
    _DOMAIN,
    "Energy of a domain of the node in joules.",
)
NODE_PLATFORM = Family(
    "carbonaware_node_platform_energy_joules_total",
    "counter",
    ("source", "boundary"),
    "Energy in joules that a meter of the whole node saw while all of its parts were known too.",
)
NODE_POWER = Family(
    "carbonaware_node_power_watts",
    "gauge",
    _DOMAIN,
    "Mean power of a domain over the last interval in watts.",
)
NODE_IDLE_POWER = Family(
    "carbonaware_node_idle_power_watts",
    "gauge",
    (*_DOMAIN, "origin"),
    "Idle power in watts by which energy is divided now, and where it comes from.",
)
NODE_ATTRIBUTED = Family(
    "carbonaware_node_attributed_joules_total",
    "counter",
    ("domain", "component"),
    "Energy in joules by where it went; the components sum to the domains of that kind.",
)
POD_ENERGY = Family(
    "carbonaware_pod_energy_joules_total",
    "counter",
    ("namespace", "pod", "pod_uid", "domain", "component", "source"),
    "Energy of a pod in joules.",
)
OWNER_ENERGY = Family(
    "carbonaware_owner_energy_joules_total",
    "counter",
    _OWNER,
    "Energy in joules of all pods of one controlling owner.",
)
_CARD = ("gpu_uuid", "model")
GPU_ENERGY = Family(
    "carbonaware_gpu_energy_joules_total",
    "counter",
    _CARD,
    "Energy of a GPU in joules; the same as of its domain.",
)
GPU_POWER = Family(
    "carbonaware_gpu_power_watts",
    "gauge",
    _CARD,
    "Mean power of a GPU over the last interval in watts.",
)
GPU_UTILIZATION = Family(
    "carbonaware_gpu_utilization_ratio",
    "gauge",
    _CARD,
    "Share of time in which a kernel ran on a GPU, by its driver; looked at every 10 s.",
)
GPU_DIVISION = Family(
    "carbonaware_gpu_division_info",
    "gauge",
    ("gpu_uuid", "method"),
    "How a GPU's energy is divided now: exclusive, mig_activity, mig_slices, sm_util, equal or "
    "unheld; always 1.",
)
UNRESOLVED_DEVICES = Family(
    "carbonaware_agent_unresolved_gpu_devices",
    "gauge",
    (),
    "Devices that pods hold and that mean no GPU known here, so that they are charged to nobody.",
)
COLLECTOR_SUCCESS = Family(
    "carbonaware_agent_collector_success",
    "gauge",
    ("collector",),
    "1 if the collector's last run was complete, else 0.",
)
COLLECTOR_DURATION = Family(
    "carbonaware_agent_collector_duration_seconds",
    "gauge",
    ("collector",),
    "Time that the collector's last run took in seconds.",
)
TICK_LAG = Family(
    "carbonaware_agent_tick_lag_seconds",
    "gauge",
    (),
    "How late the last tick began in seconds.",
)
GAPS = Family(
    "carbonaware_agent_gaps_total",
    "counter",
    ("domain", "reason"),
    "Intervals of a domain: unreadable, lost, unmeasured, implausible, reset or only estimated.",
)
MODEL_ERROR = Family(
    "carbonaware_agent_model_error_ratio",
    "gauge",
    ("domain", "source"),
    "Stated relative error of a domain that is modelled, or sampled rather than counted.",
)
BUILD_INFO = Family(
    "carbonaware_agent_build_info",
    "gauge",
    ("version",),
    "The agent's version; always 1.",
)
SAMPLE_TIMESTAMP = Family(
    "carbonaware_agent_sample_timestamp_seconds",
    "gauge",
    ("node",),
    "Unix time of the snapshot that is shown.",
)
PAGE_TIMESTAMP = Family(
    SAMPLE_TIMESTAMP.name,
    "gauge",
    (),
    "Unix time of the snapshot that is shown.",
)
ACCOUNTING_PERIOD = Family(
    "carbonaware_agent_accounting_period_seconds",
    "gauge",
    ("node",),
    "Length of an accounting period.",
)
NODES_OWNER_ENERGY = Family(
    OWNER_ENERGY.name,
    "counter",
    ("node", *_OWNER),
    "Energy in joules of all pods of one controlling owner; also of series that are closed.",
)
OWNER_MARK = Family(
    "carbonaware_owner_energy_mark_joules",
    "gauge",
    ("node", *_OWNER, "hour"),
    "The same at the end of the accounting period that began at the Unix time `hour`.",
)

# What each page shows, in its order.
METRICS = (
    NODE_ENERGY,
    NODE_PLATFORM,
    NODE_POWER,
    NODE_IDLE_POWER,
    NODE_ATTRIBUTED,
    POD_ENERGY,
    OWNER_ENERGY,
    GPU_ENERGY,
    GPU_POWER,
    GPU_UTILIZATION,
    GPU_DIVISION,
    UNRESOLVED_DEVICES,
    COLLECTOR_SUCCESS,
    COLLECTOR_DURATION,
    TICK_LAG,
    GAPS,
    MODEL_ERROR,
    BUILD_INFO,
    PAGE_TIMESTAMP,
)
ACCOUNTING = (SAMPLE_TIMESTAMP, ACCOUNTING_PERIOD, NODES_OWNER_ENERGY, OWNER_MARK)
