"""The agent's /metrics page, as a reader of its text sees it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from agent_builders import samples

NODE = "carbonaware_node_energy_joules_total"
ATTRIBUTED = "carbonaware_node_attributed_joules_total"
POD = "carbonaware_pod_energy_joules_total"
OWNER = "carbonaware_owner_energy_joules_total"
GAPS = "carbonaware_agent_gaps_total"


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the page."""

    labels: dict[str, str]
    value: Decimal


class Page:
    """One state of the page; every value is the exact decimal that was printed."""

    def __init__(self, text: str) -> None:
        self._samples = samples(text)

    def samples(self, name: str, **labels: str) -> Iterator[Sample]:
        """The samples of a metric that carry the given labels."""
        for series, value in self._samples.items():
            if series.partition("{")[0] == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', series))
                if labels.items() <= found.items():
                    yield Sample(found, Decimal(value))

    def sum(self, name: str, **labels: str) -> Decimal:
        """The sum of those samples; 0 where there are none."""
        return sum((sample.value for sample in self.samples(name, **labels)), Decimal(0))

    def counters(self) -> dict[str, Decimal]:
        """Every series of energy, by its line without the value."""
        return {
            series: Decimal(value)
            for series, value in self._samples.items()
            if "_joules_total{" in series
        }

    def domain_kinds(self) -> set[str]:
        """The kinds of domain whose energy was attributed."""
        return {sample.labels["domain"] for sample in self.samples(ATTRIBUTED)}

    def node(self, kind: str) -> Decimal:
        """The energy of all domains of one kind in joules."""
        return sum(
            (
                sample.value
                for sample in self.samples(NODE)
                if sample.labels["domain"].partition("-")[0] == kind
                or sample.labels["domain"] == kind
            ),
            Decimal(0),
        )
