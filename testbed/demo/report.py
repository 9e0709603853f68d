"""PURE: the comparison with run-at-once, as a table and as a file for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from testbed.demo.facts import JobFacts

Complaints = Mapping[str, Sequence[str]]
"""What is wrong with each job, by name; an empty list for one that ended as specified."""


def summary(jobs: Sequence[JobFacts], complaints: Complaints, node_kind: str) -> dict[str, Any]:
    """What is written to summary.json."""
    return {
        "jobs": [
            {
                "name": job.name,
                "reason": job.reason,
                "heldSeconds": job.held_seconds,
                "runSeconds": job.run_seconds,
                "energyJoules": job.energy_joules,
                "emissionsGrams": _grams(job.emissions_ug),
                "baselineGrams": _grams(job.baseline_ug),
                "avoidedPercent": job.avoided_percent,
                "asSpecified": not complaints[job.name],
            }
            for job in jobs
        ],
        "node": node_kind,
    }


def comparison(jobs: Sequence[JobFacts], complaints: Complaints, node_kind: str) -> Table:
    """Each job against itself, had it run at once."""
    table = Table(title=f"Five jobs against run-at-once ({node_kind} node)", box=SIMPLE_HEAD)
    table.add_column("job", no_wrap=True)
    table.add_column("because", overflow="fold")
    for column in ("waited", "ran", "energy", "CO2e", "at once", "saved", "as specified"):
        table.add_column(column, justify="right")
    for job in jobs:
        table.add_row(
            job.name,
            job.reason or "-",
            amount(job.held_seconds, "s"),
            amount(job.run_seconds, "s"),
            amount(job.energy_joules, "J"),
            milligrams(job.emissions_ug),
            milligrams(job.baseline_ug),
            amount(job.avoided_percent, "%"),
            "[red]no[/]" if complaints[job.name] else "[green]yes[/]",
        )
    return table


def amount(value: int | None, unit: str) -> str:
    """A value with its unit; a dash where it is not known."""
    return "-" if value is None else f"{value} {unit}"


def milligrams(micrograms: int | None) -> str:
    """A mass for people; a dash where it is not known."""
    return "-" if micrograms is None else f"{micrograms / 1000:.1f} mg"


def _grams(micrograms: int | None) -> float | None:
    return None if micrograms is None else micrograms / 1_000_000
