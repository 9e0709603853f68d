"""Builders for accounting, and an agent made of true energies, to hold ledgers against."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from carbonaware_operator.accounting.samples import Mark, Reading, SeriesSample
from carbonaware_operator.api.ledger import Ledger, LedgerPeriod
from carbonaware_operator.grid.archive import PeriodIntensity
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.energy import Microjoules
from carbonaware_operator.quantities.instants import Instant, format_instant, from_unix
from carbonaware_operator.quantities.periods import period_start

HOUR = 3600
MIDNIGHT = from_unix(1_763_942_400)
KILOWATT_HOUR = 3_600_000_000_000


def hours(count: float) -> timedelta:
    """So many hours."""
    return timedelta(hours=count)


def a_sample(
    microjoules: int,
    time: Instant = MIDNIGHT,
    *marks: Mark,
    epoch: str = "e1",
    node: str = "n1",
    source: str = "rapl",
    owner: str = "owner",
    namespace: str = "ml",
) -> SeriesSample:
    """One sample of a package domain."""
    return SeriesSample(
        node=node,
        namespace=namespace,
        owner_kind="Job",
        owner_name="train",
        owner_uid=owner,
        domain="package",
        source=source,
        epoch=epoch,
        microjoules=Microjoules(microjoules),
        time=time,
        marks=marks,
    )


def a_mark(start: Instant, microjoules: int) -> Mark:
    """The value of a series at the end of the period that starts then."""
    return (start, Microjoules(microjoules))


def a_ledger(*energies: int, start: Instant = MIDNIGHT, seconds: int = HOUR) -> Ledger:
    """A ledger with so many microjoules in each of successive periods."""
    periods = [
        LedgerPeriod(
            start_time=format_instant(start + timedelta(seconds=seconds * n)), microjoules=energy
        )
        for n, energy in enumerate(energies)
    ]
    return Ledger(revision=1, period_seconds=seconds, sources=[], hours=periods)


def energies(ledger: Ledger) -> dict[str, int]:
    """Energy by the start of its period."""
    return {period.start_time: period.microjoules for period in ledger.hours}


@dataclass(slots=True)
class Archive:
    """Means by the start of their period, in mg/kWh."""

    means: dict[Instant, PeriodIntensity] = field(default_factory=dict)
    always: PeriodIntensity | None = None

    def mean(self, period_start: Instant) -> PeriodIntensity | None:
        """The mean of one period."""
        return self.means.get(period_start, self.always)


def grid(*grams: float | None, start: Instant = MIDNIGHT, seconds: int = HOUR) -> Archive:
    """An archive of successive periods, gCO2e/kWh; None leaves a gap."""
    return Archive(
        {
            start + timedelta(seconds=seconds * n): PeriodIntensity(
                MilligramsPerKWh(round(value * 1000)), estimated=False
            )
            for n, value in enumerate(grams)
            if value is not None
        }
    )


@dataclass(slots=True)
class TrueSeries:
    """One series of an agent that knows what it used and when."""

    node: str = "n1"
    owner: str = "owner"
    epoch: str = "e1"
    source: str = "rapl"
    namespace: str = "ml"
    used: list[tuple[Instant, int]] = field(default_factory=list)

    def use(self, microjoules: int, at: Instant) -> None:
        """Use energy at an instant, not before the last one."""
        self.used.append((at, microjoules))

    def total(self, until: Instant) -> int:
        """Energy used until then, that instant included."""
        return sum(energy for at, energy in self.used if at <= until)

    def by_period(self, until: Instant, seconds: int) -> dict[str, int]:
        """The true split of that energy."""
        split: dict[str, int] = defaultdict(int)
        for at, energy in self.used:
            if at <= until and energy:
                split[format_instant(period_start(at, seconds))] += energy
        return dict(split)

    def sample(self, time: Instant, seconds: int, since: Instant | None = None) -> SeriesSample:
        """What the agent answers at an instant: marks for periods that closed after `since`."""
        marks, start, length = [], MIDNIGHT, timedelta(seconds=seconds)
        while start + length <= time:
            end = start + length
            if since is None or end > since:
                marks.append(a_mark(start, sum(e for at, e in self.used if at < end)))
            start = end
        return a_sample(
            self.total(time),
            time,
            *marks,
            epoch=self.epoch,
            node=self.node,
            source=self.source,
            owner=self.owner,
            namespace=self.namespace,
        )


def rendered(reading: Reading, period_seconds: int = HOUR) -> str:
    """A reading in the text format of the agent."""
    node = _quoted(reading.node)
    micro = (reading.time - from_unix(0)) // timedelta(microseconds=1)
    lines = [
        "# HELP carbonaware_agent_sample_timestamp_seconds When the sample was taken.",
        f"carbonaware_agent_sample_timestamp_seconds{{node={node}}} {_decimal(micro)}",
        f"carbonaware_agent_accounting_period_seconds{{node={node}}} {period_seconds}",
    ]
    for series in reading.series:
        labels = _labels(series)
        lines.append(
            f"carbonaware_owner_energy_joules_total{{{labels}}} {_decimal(series.microjoules)}"
        )
        lines += [
            f'carbonaware_owner_energy_mark_joules{{{labels},hour="{int(start.timestamp())}"}}'
            f" {_decimal(value)}"
            for start, value in series.marks
        ]
    return "\n".join([*lines, "# EOF", ""])


def _labels(series: SeriesSample) -> str:
    pairs = {
        "node": series.node,
        "namespace": series.namespace,
        "owner_kind": series.owner_kind,
        "owner_name": series.owner_name,
        "owner_uid": series.owner_uid,
        "domain": series.domain,
        "source": series.source,
        "boundary": "chip",
        "epoch": series.epoch,
    }
    return ",".join(f"{name}={_quoted(value)}" for name, value in pairs.items())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'"{escaped}"'


def _decimal(millionths: int) -> str:
    return f"{millionths // 10**6}.{millionths % 10**6:06d}"
