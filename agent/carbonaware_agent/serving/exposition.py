"""The text of the two pages, made of a snapshot; which metrics there are is `families`' matter."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from carbonaware_agent import __version__
from carbonaware_agent.attribution.devices import Holding
from carbonaware_agent.gpus.holdings import GpuPicture
from carbonaware_agent.readings import Collected
from carbonaware_agent.saved.journal import History, Mark
from carbonaware_agent.saved.snapshot import SeriesKey, Snapshot
from carbonaware_agent.serving import families
from carbonaware_agent.serving.families import Family, Row

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_END = "# EOF\n"


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """What the agent says about itself. model_errors: relative error by (domain, source)."""

    collected: Mapping[str, Collected]
    tick_lag_seconds: float
    model_errors: Mapping[tuple[str, str], float]
    gpus: GpuPicture = field(default_factory=GpuPicture)


def metrics(snapshot: Snapshot, health: AgentHealth) -> str:
    """The text of /metrics."""
    rows = _node_rows(snapshot) | _workload_rows(snapshot) | _gpu_rows(snapshot, health.gpus)
    rows |= _agent_rows(snapshot, health)
    texts = (
        text for family in families.METRICS for text in (family.head(), *family.lines(rows[family]))
    )
    return "".join(texts) + _END


def accounting(
    snapshot: Snapshot, histories: Iterable[tuple[str, History]], *, node: str, since_us: int
) -> str:
    """The text of /metrics/accounting.

    Every owner series, closed ones too, and of each the marks of the periods that ended after
    `since_us` and are closed in this snapshot: one for each period in which it grew.
    """
    histories = list(histories)
    # A series may be closed in the journal and still be open in the last snapshot that was saved.
    live = {record.epoch for record in snapshot.series.values()}
    closed = (
        (history.key, epoch, history.total_uj)
        for epoch, history in histories
        if history.total_uj is not None and epoch not in live
    )
    marks = (
        (node, *_owner_row(history.key, epoch), _hour(mark), _decimal(mark.value_uj))
        for epoch, history in histories
        for mark in history.marks
        if since_us < mark.start_us + snapshot.period_us and mark.start_us < snapshot.open_us
    )
    rows: dict[Family, Iterable[Row]] = {
        families.SAMPLE_TIMESTAMP: [(node, _decimal(snapshot.wall_us, digits=3))],
        families.ACCOUNTING_PERIOD: [(node, str(snapshot.period_us // 1_000_000))],
        families.NODES_OWNER_ENERGY: (
            (node, *_owner_row(key, epoch), _decimal(total_uj))
            for key, epoch, total_uj in (*_series(snapshot), *closed)
        ),
        families.OWNER_MARK: marks,
    }
    return (
        "".join(line for family in families.ACCOUNTING for line in family.lines(rows[family]))
        + _END
    )


def _node_rows(snapshot: Snapshot) -> dict[Family, Iterable[Row]]:
    domains = [
        ((name, record.stream.source, record.stream.boundary), record)
        for (name, _), record in snapshot.domains.items()
    ]
    return {
        families.NODE_ENERGY: [(*domain, _decimal(record.total_uj)) for domain, record in domains],
        families.NODE_PLATFORM: [
            (*platform.stream[1:], _decimal(platform.total_uj))
            for platform in snapshot.platforms.values()
        ],
        families.NODE_POWER: [
            (*domain, _decimal(record.power_uw))
            for domain, record in domains
            if record.raw is not None
        ],
        families.NODE_IDLE_POWER: [
            (*stream, idle.origin, _decimal(idle.in_force_uw))
            for stream, idle in snapshot.idle.items()
        ],
        families.NODE_ATTRIBUTED: [
            (domain, component, _decimal(getattr(record, f"{component}_uj")))
            for domain, record in snapshot.attributed.items()
            for component in ("dynamic", "idle", "system", "unallocated")
        ],
    }


def _gpu_rows(snapshot: Snapshot, gpus: GpuPicture) -> dict[Family, Iterable[Row]]:
    cards = {domain: (facts.uuid, facts.model) for domain, facts in gpus.facts.items()}
    energy_uj, power_uw = dict.fromkeys(cards, 0), dict.fromkeys(cards, 0)
    # A card may have been measured by its power before it was by its counter.
    for (domain, _), record in snapshot.domains.items():
        if domain in cards:
            energy_uj[domain] += record.total_uj
            power_uw[domain] += record.power_uw
    return {
        families.GPU_ENERGY: [
            (*card, _decimal(energy_uj[domain])) for domain, card in cards.items()
        ],
        families.GPU_POWER: [(*card, _decimal(power_uw[domain])) for domain, card in cards.items()],
        families.GPU_UTILIZATION: [
            (*cards[domain], str(facts.utilization))
            for domain, facts in gpus.facts.items()
            if facts.utilization is not None
        ],
        families.GPU_DIVISION: [
            (card[0], snapshot.holdings.get(domain, Holding()).method, "1")
            for domain, card in cards.items()
        ],
        families.UNRESOLVED_DEVICES: [(str(gpus.unresolved),)] if cards else [],
    }


def _workload_rows(snapshot: Snapshot) -> dict[Family, Iterable[Row]]:
    return {
        families.POD_ENERGY: _pods(snapshot),
        families.OWNER_ENERGY: (
            (*_owner_row(key, epoch), _decimal(total_uj))
            for key, epoch, total_uj in _series(snapshot)
        ),
    }


def _pods(snapshot: Snapshot) -> Iterator[Row]:
    for pod in snapshot.pods.values():
        # Labels must not change after the fact, so a pod is shown when they are known for good.
        if not pod.uid:
            continue
        identity = (pod.namespace, pod.name, pod.uid)
        for stream, parts in pod.energy.items():
            for component, energy_uj in zip(("dynamic", "idle"), parts, strict=True):
                yield (*identity, stream.domain, component, stream.source, _decimal(energy_uj))


def _series(snapshot: Snapshot) -> Iterator[tuple[SeriesKey, str, int]]:
    for key, record in snapshot.series.items():
        yield key, record.epoch, record.total_uj


def _owner_row(key: SeriesKey, epoch: str) -> tuple[str, ...]:
    owner, stream = key
    return (*owner, *stream, epoch)


def _agent_rows(snapshot: Snapshot, health: AgentHealth) -> dict[Family, Iterable[Row]]:
    collected = health.collected.items()
    return {
        families.COLLECTOR_SUCCESS: [(name, str(int(run.success))) for name, run in collected],
        families.COLLECTOR_DURATION: [
            (name, f"{run.duration_seconds:.6f}") for name, run in collected
        ],
        families.TICK_LAG: [(f"{health.tick_lag_seconds:.6f}",)],
        families.GAPS: [(*key, str(count)) for key, count in snapshot.gaps.items()],
        families.MODEL_ERROR: [(*key, str(error)) for key, error in health.model_errors.items()],
        families.BUILD_INFO: [(__version__, "1")],
        families.PAGE_TIMESTAMP: [(_decimal(snapshot.wall_us, digits=3),)],
    }


def _hour(mark: Mark) -> str:
    return str(mark.start_us // 1_000_000)


# Not a float: above 8.59 GJ a series would lose microjoules.
def _decimal(micro: int, digits: int = 6) -> str:
    """An exact decimal of an integer count of millionths, cut to some digits."""
    return f"{micro // 1_000_000}.{micro % 1_000_000:06d}"[: digits - 6 or None]
