"""`top`: what jobs, namespaces or nodes draw now, joined with the grid of each. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from carbonaware_operator.cli.jobs import ListedJob
from carbonaware_operator.cli.outlooks import Grid
from carbonaware_operator.cli.output import MISSING
from carbonaware_operator.cli.usage import Page, Use, nodes, owners
from carbonaware_operator.quantities.emissions import (
    MicrogramsCO2e,
    format_emissions,
    grams,
)
from carbonaware_operator.quantities.energy import (
    MICROJOULES_PER_JOULE,
    Microjoules,
    format_energy,
)

HEADER = ("WATTS", "ENERGY", "EMISSIONS", "AN HOUR")
WIDE_HEADER = ("ZONE", "gCO2e/kWh", "NODES", "SOURCES")

SECONDS_PER_HOUR = 3600

Number = TypeVar("Number", int, float)


class Subject(StrEnum):
    """Of what energy is shown."""

    JOBS = "jobs"
    NAMESPACES = "namespaces"
    NODES = "nodes"


class SortKey(StrEnum):
    """By what rows are sorted: the name up, all else down."""

    WATTS = "watts"
    ENERGY = "energy"
    EMISSIONS = "emissions"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Line:
    """One row. Emissions are None where a part of the energy has no zone."""

    name: str
    namespace: str | None
    joules: float
    watts: float | None
    micrograms: int | None
    micrograms_per_hour: int | None
    grids: frozenset[Grid]
    nodes: frozenset[str]
    sources: frozenset[str]

    def __add__(self, other: "Line") -> "Line":
        return replace(
            self,
            joules=self.joules + other.joules,
            watts=_both(self.watts, other.watts),
            micrograms=_both(self.micrograms, other.micrograms),
            micrograms_per_hour=_both(self.micrograms_per_hour, other.micrograms_per_hour),
            grids=self.grids | other.grids,
            nodes=self.nodes | other.nodes,
            sources=self.sources | other.sources,
        )


@dataclass(frozen=True, slots=True)
class Looks:
    """Two looks at the agents, pages by node, and what the API server shows meanwhile.

    grids: by the name of their zone; elsewhere: the grid of energy that belongs to no job.
    """

    before: Mapping[str, Page]
    now: Mapping[str, Page]
    jobs: Sequence[ListedJob]
    grids: Mapping[str, Grid]
    elsewhere: Grid | None


def lines(looks: Looks, subject: Subject) -> list[Line]:
    """The rows of a subject, in no order."""
    if subject is Subject.NODES:
        return [
            _line(use, use.labels["node"], None, looks.elsewhere)
            for use in nodes(looks.before, looks.now)
        ]
    used = owners(looks.before, looks.now)
    jobs = {job.progress.workload.uid: job for job in looks.jobs if job.progress.workload}
    if subject is Subject.JOBS:
        return [_job_line(use, jobs[uid], looks) for use in used if (uid := _uid(use)) in jobs]
    summed: dict[str, Line] = {}
    for use in used:
        name, job = use.labels["namespace"], jobs.get(_uid(use))
        grid = looks.grids.get(job.zone_name or "") if job else looks.elsewhere
        line = _line(use, name, None, grid)
        summed[name] = summed[name] + line if name in summed else line
    return list(summed.values())


def _uid(use: Use) -> str:
    return use.labels["owner_uid"]


def _job_line(use: Use, job: ListedJob, looks: Looks) -> Line:
    return _line(use, job.name, job.namespace, looks.grids.get(job.zone_name or ""))


def _line(use: Use, name: str, namespace: str | None, grid: Grid | None) -> Line:
    hourly = None if use.watts is None else use.watts * SECONDS_PER_HOUR
    return Line(
        name=name,
        namespace=namespace,
        joules=use.joules,
        watts=use.watts,
        micrograms=grid.emissions(use.joules) if grid else None,
        micrograms_per_hour=grid.emissions(hourly) if grid and hourly is not None else None,
        grids=frozenset([grid] if grid else []),
        nodes=frozenset(use.nodes),
        sources=frozenset(use.sources),
    )


def _both(one: Number | None, other: Number | None) -> Number | None:
    return None if one is None or other is None else one + other


_SORTING: dict[SortKey, Callable[[Line], Any]] = {
    SortKey.WATTS: lambda line: -(line.watts or 0.0),
    SortKey.ENERGY: lambda line: -line.joules,
    SortKey.EMISSIONS: lambda line: -(line.micrograms or 0),
    SortKey.NAME: lambda line: 0,
}


def in_order(found: Iterable[Line], key: SortKey) -> list[Line]:
    """Sorted, the largest first; those that are equal by name."""
    return sorted(found, key=lambda line: (_SORTING[key](line), line.namespace or "", line.name))


def header(subject: Subject, *, namespaced: bool, wide: bool) -> list[str]:
    """The names of the columns of `row`."""
    name = {Subject.NAMESPACES: "NAMESPACE", Subject.NODES: "NODE"}.get(subject, "NAME")
    named = ["NAMESPACE", name] if namespaced else [name]
    return [*named, *HEADER, *(WIDE_HEADER if wide else ())]


def row(line: Line, *, namespaced: bool, wide: bool) -> list[str]:
    """The cells of one line; emissions made of a fallback value have a tilde."""
    mark = "~" if any(grid.fallback for grid in line.grids) else ""
    cells = [
        *([line.namespace or MISSING] if namespaced else []),
        line.name,
        MISSING if line.watts is None else f"{line.watts:.1f}",
        format_energy(Microjoules(round(line.joules * MICROJOULES_PER_JOULE))),
        _mass(line.micrograms, mark),
        _mass(line.micrograms_per_hour, mark),
    ]
    if wide:
        cells += [
            ",".join(sorted(grid.zone for grid in line.grids)) or MISSING,
            ",".join(f"{mark}{grams(grid.intensity)}" for grid in _by_zone(line)) or MISSING,
            str(len(line.nodes)),
            ",".join(sorted(line.sources)) or MISSING,
        ]
    return cells


def _by_zone(line: Line) -> list[Grid]:
    return sorted(line.grids, key=lambda grid: grid.zone)


def _mass(micrograms: int | None, mark: str) -> str:
    return MISSING if micrograms is None else mark + format_emissions(MicrogramsCO2e(micrograms))


def document(found: Iterable[Line], subject: Subject) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/cli.md."""
    return {"items": [_item(line, subject) for line in found]}


def _item(line: Line, subject: Subject) -> dict[str, Any]:
    return {
        **({"namespace": line.namespace} if subject is Subject.JOBS else {}),
        "name": line.name,
        "watts": None if line.watts is None else round(line.watts, 3),
        "energyJoules": round(line.joules),
        "emissionsMilligrams": _milligrams(line.micrograms),
        "emissionsMilligramsPerHour": _milligrams(line.micrograms_per_hour),
        "fallback": any(grid.fallback for grid in line.grids),
        "zones": [grid.zone for grid in _by_zone(line)],
        "nodes": sorted(line.nodes),
        "sources": sorted(line.sources),
    }


def _milligrams(micrograms: int | None) -> int | None:
    return None if micrograms is None else round(micrograms / 1000)
