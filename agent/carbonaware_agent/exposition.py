"""Metric names, which are the contract with the operator, and the text they are shown in.

Own renderer, because energies are exact decimals of integer microjoules and a library's are
floats; and because a snapshot is rendered once and then handed to every scraper.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from carbonaware_agent import __version__
from carbonaware_agent.journal import History, Mark
from carbonaware_agent.readings import Collected
from carbonaware_agent.snapshot import SeriesKey, Snapshot

NODE_ENERGY = "carbonaware_node_energy_joules_total"
NODE_POWER = "carbonaware_node_power_watts"
NODE_IDLE_POWER = "carbonaware_node_idle_power_watts"
NODE_ATTRIBUTED = "carbonaware_node_attributed_joules_total"
POD_ENERGY = "carbonaware_pod_energy_joules_total"
OWNER_ENERGY = "carbonaware_owner_energy_joules_total"
OWNER_MARK = "carbonaware_owner_energy_mark_joules"
SAMPLE_TIMESTAMP = "carbonaware_agent_sample_timestamp_seconds"
ACCOUNTING_PERIOD = "carbonaware_agent_accounting_period_seconds"
COLLECTOR_SUCCESS = "carbonaware_agent_collector_success"
COLLECTOR_DURATION = "carbonaware_agent_collector_duration_seconds"
TICK_LAG = "carbonaware_agent_tick_lag_seconds"
GAPS = "carbonaware_agent_gaps_total"
MODEL_ERROR = "carbonaware_agent_model_error_ratio"
BUILD_INFO = "carbonaware_agent_build_info"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_END = "# EOF\n"


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """What the agent says about itself. model_errors: relative error by (zone, source)."""

    collected: Mapping[str, Collected]
    tick_lag_seconds: float
    model_errors: Mapping[tuple[str, str], float]


def metrics(snapshot: Snapshot, health: AgentHealth) -> str:
    """The text of /metrics."""
    families = (
        *_node_families(snapshot),
        _family(POD_ENERGY, "counter", "Energy of a pod in joules.", _pods(snapshot)),
        _family(
            OWNER_ENERGY,
            "counter",
            "Energy in joules of all pods of one controlling owner.",
            (_owner_line(OWNER_ENERGY, *series) for series in _series(snapshot)),
        ),
        *_agent_families(snapshot, health),
    )
    return "".join(families) + _END


def accounting(
    snapshot: Snapshot, histories: Iterable[tuple[str, History]], *, node: str, since_us: int
) -> str:
    """The text of /metrics/accounting.

    Every owner series, closed ones too, and of each the marks of the periods that ended after
    `since_us` and are closed in this snapshot: one for each period in which it grew.
    """
    histories = list(histories)
    labels = _labels(node=node)
    lines = [
        f"{SAMPLE_TIMESTAMP}{{{labels}}} {_decimal(snapshot.wall_us, digits=3)}\n",
        f"{ACCOUNTING_PERIOD}{{{labels}}} {snapshot.period_us // 1_000_000}\n",
    ]
    lines += [_owner_line(OWNER_ENERGY, *series, node=node) for series in _series(snapshot)]
    # A series may be closed in the journal and still be open in the last snapshot that was saved.
    live = {record.epoch for record in snapshot.series.values()}
    lines += [
        _owner_line(OWNER_ENERGY, history.key, epoch, history.total_uj, node=node)
        for epoch, history in histories
        if history.total_uj is not None and epoch not in live
    ]
    lines += [
        _owner_line(OWNER_MARK, history.key, epoch, mark.value_uj, node=node, hour=_hour(mark))
        for epoch, history in histories
        for mark in history.marks
        if since_us < mark.start_us + snapshot.period_us and mark.start_us < snapshot.open_us
    ]
    return "".join(lines) + _END


def _node_families(snapshot: Snapshot) -> Iterator[str]:
    zones = [
        (_labels(zone=name, source=record.stream.source, boundary=record.stream.boundary), record)
        for (name, _), record in snapshot.zones.items()
    ]
    yield _family(
        NODE_ENERGY,
        "counter",
        "Energy of a zone of the node in joules.",
        (f"{NODE_ENERGY}{{{labels}}} {_decimal(record.total_uj)}\n" for labels, record in zones),
    )
    yield _family(
        NODE_POWER,
        "gauge",
        "Mean power of a zone over the last interval in watts.",
        (
            f"{NODE_POWER}{{{labels}}} {_decimal(record.power_uw)}\n"
            for labels, record in zones
            if record.raw is not None
        ),
    )
    yield _family(
        NODE_IDLE_POWER,
        "gauge",
        "Idle power in watts by which energy is divided now, and where it comes from.",
        (
            f"{NODE_IDLE_POWER}{{{_labels(**stream._asdict(), origin=idle.origin)}}} "
            f"{_decimal(idle.in_force_uw)}\n"
            for stream, idle in snapshot.idle.items()
        ),
    )
    yield _family(
        NODE_ATTRIBUTED,
        "counter",
        "Energy in joules by where it went; the components sum to the zones of that kind.",
        _attributed(snapshot),
    )


def _attributed(snapshot: Snapshot) -> Iterator[str]:
    for zone, record in snapshot.attributed.items():
        for component in ("dynamic", "idle", "system", "unallocated"):
            value = _decimal(getattr(record, f"{component}_uj"))
            labels = _labels(zone=zone, component=component)
            yield f"{NODE_ATTRIBUTED}{{{labels}}} {value}\n"


def _pods(snapshot: Snapshot) -> Iterator[str]:
    for cgroup, pod in snapshot.pods.items():
        # Without a word from the API server the cgroup's uid is all there is; better than silence.
        identity = _labels(namespace=pod.namespace, pod=pod.name, pod_uid=pod.uid or cgroup)
        for stream, parts in pod.energy.items():
            for component, energy_uj in zip(("dynamic", "idle"), parts, strict=True):
                labels = _labels(zone=stream.zone, component=component, source=stream.source)
                yield f"{POD_ENERGY}{{{identity},{labels}}} {_decimal(energy_uj)}\n"


def _series(snapshot: Snapshot) -> Iterator[tuple[SeriesKey, str, int]]:
    for key, record in snapshot.series.items():
        yield key, record.epoch, record.total_uj


def _owner_line(
    name: str, key: SeriesKey, epoch: str, energy_uj: int, *, node: str = "", hour: str = ""
) -> str:
    owner, stream = key
    labels = _labels(
        node=node,
        namespace=owner.namespace,
        owner_kind=owner.kind,
        owner_name=owner.name,
        owner_uid=owner.uid,
        zone=stream.zone,
        source=stream.source,
        boundary=stream.boundary,
        epoch=epoch,
        hour=hour,
    )
    return f"{name}{{{labels}}} {_decimal(energy_uj)}\n"


def _agent_families(snapshot: Snapshot, health: AgentHealth) -> Iterator[str]:
    yield _family(
        COLLECTOR_SUCCESS,
        "gauge",
        "1 if the collector's last run was complete, else 0.",
        (
            f"{COLLECTOR_SUCCESS}{{{_labels(collector=name)}}} {int(collected.success)}\n"
            for name, collected in health.collected.items()
        ),
    )
    yield _family(
        COLLECTOR_DURATION,
        "gauge",
        "Time that the collector's last run took in seconds.",
        (
            f"{COLLECTOR_DURATION}{{{_labels(collector=name)}}} {collected.duration_seconds:.6f}\n"
            for name, collected in health.collected.items()
        ),
    )
    yield _family(
        TICK_LAG,
        "gauge",
        "How late the last tick began in seconds.",
        [f"{TICK_LAG} {health.tick_lag_seconds:.6f}\n"],
    )
    yield _family(
        GAPS,
        "counter",
        "Intervals of a zone that were unreadable, lost, implausible, reset or only estimated.",
        (
            f"{GAPS}{{{_labels(zone=zone, reason=reason)}}} {count}\n"
            for (zone, reason), count in snapshot.gaps.items()
        ),
    )
    yield _family(
        MODEL_ERROR,
        "gauge",
        "Stated relative error of a modelled zone.",
        (
            f"{MODEL_ERROR}{{{_labels(zone=zone, source=source)}}} {error}\n"
            for (zone, source), error in health.model_errors.items()
        ),
    )
    version = _labels(version=__version__)
    yield _family(
        BUILD_INFO, "gauge", "The agent's version; always 1.", [f"{BUILD_INFO}{{{version}}} 1\n"]
    )


def _family(name: str, kind: str, text: str, lines: Iterable[str]) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{''.join(lines)}"


def _labels(**labels: str) -> str:
    """Labels in the order given; node and hour only where the line has them."""
    return ",".join(
        f'{name}="{_escaped(value)}"'
        for name, value in labels.items()
        if value or name not in ("node", "hour")
    )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _hour(mark: Mark) -> str:
    return str(mark.start_us // 1_000_000)


# Not a float: above 8.59 GJ a series would lose microjoules.
def _decimal(micro: int, digits: int = 6) -> str:
    """An exact decimal of an integer count of millionths, cut to some digits."""
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"[: digits - 6 or None]
