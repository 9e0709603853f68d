"""A marginal intensity gets nowhere that is meant for an average: mypy refuses it.

Each case is one expression, typed once with an average and once with a marginal value. The first
must be free of errors, or the second would prove nothing.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

PRELUDE = """
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from carbonaware_operator.grid.archive import Archive, PeriodIntensity
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point
from carbonaware_operator.grid.provider import MarginalProvider, Provider
from carbonaware_operator.planning.resolve import ResolvedSchedule
from carbonaware_operator.planning.outlook import Fallback, Signal
from carbonaware_operator.quantities.emissions import (
    MarginalIntensity,
    MicrogramsCO2e,
    MilligramsPerKWh,
    operational_emissions,
)
from carbonaware_operator.quantities.energy import Microjoules

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
"""

VALUE = ("MilligramsPerKWh", "MarginalIntensity")


class Case(NamedTuple):
    """`expression` of `parameters` has the type `returns`; {} stands for one of the `types`."""

    parameters: str
    returns: str
    expression: str
    error: str
    types: tuple[str, str] = VALUE

    def code(self, typed: str) -> str:
        """A module with the expression in a function."""
        head = f"def case({self.parameters.format(typed)}) -> {self.returns}:"
        return f"{PRELUDE}\n\n{head}\n    return {self.expression}\n"


CASES = {
    "a limit": Case(
        "value: {}, limit: MilligramsPerKWh",
        "bool",
        "value <= limit",
        'operand types for >= ("MilligramsPerKWh" and "MarginalIntensity")',
    ),
    "a limit on the other side": Case(
        "value: {}, limit: MilligramsPerKWh",
        "bool",
        "limit > value",
        'operand types for > ("MilligramsPerKWh" and "MarginalIntensity")',
    ),
    "equality": Case(
        "value: {}, limit: MilligramsPerKWh",
        "bool",
        "value == limit",
        "Non-overlapping equality check",
    ),
    "a sum": Case(
        "value: {}, other: MilligramsPerKWh",
        "int",
        "other + value",
        'operand types for + ("MilligramsPerKWh" and "MarginalIntensity")',
    ),
    "energy times intensity": Case(
        "value: {}, energy: Microjoules",
        "int",
        "energy * value",
        'operand types for * ("Microjoules" and "MarginalIntensity")',
    ),
    "an emission": Case(
        "value: {}, energy: Microjoules",
        "MicrogramsCO2e",
        "operational_emissions(energy, value)",
        'Argument 2 to "operational_emissions" has incompatible type "MarginalIntensity"',
    ),
    "a conversion": Case(
        "value: {}",
        "MilligramsPerKWh",
        "MilligramsPerKWh(value)",
        'Argument 1 to "MilligramsPerKWh" has incompatible type "MarginalIntensity"',
    ),
    "the limits of a job": Case(
        "schedule: ResolvedSchedule, value: {}",
        "ResolvedSchedule",
        "replace(schedule, max_intensity=value)",
        'Argument "max_intensity" to "replace" of "ResolvedSchedule" has incompatible type',
    ),
    "what the planner decides with": Case(
        "value: {}",
        "Signal",
        "Signal(value, 'source', NOON, NOON + HOUR)",
        'Argument 1 to "Signal" has incompatible type "MarginalIntensity"',
    ),
    "a fallback": Case(
        "value: {}",
        "Fallback",
        "Fallback(value, 'source')",
        'Argument 1 to "Fallback" has incompatible type "MarginalIntensity"',
    ),
    "what a period is priced with": Case(
        "value: {}",
        "PeriodIntensity",
        "PeriodIntensity(value, False)",
        'Argument 1 to "PeriodIntensity" has incompatible type "MarginalIntensity"',
    ),
    "a forecast": Case(
        "value: {}",
        "Forecast",
        "Forecast(NOON, NOON, HOUR, (value,), 'source')",
        'Argument 4 to "Forecast" has incompatible type "tuple[MarginalIntensity]"',
    ),
    "a point": Case(
        "point: Point, value: {}",
        "Point",
        "Point(NOON, NOON + HOUR, value, point.kind, 'source', None)",
        'Argument 3 to "Point" has incompatible type "MarginalIntensity"',
    ),
    "the archive": Case(
        "archive: Archive, point: {}",
        "None",
        "archive.add([point])",
        'List item 0 has incompatible type "MarginalPoint"; expected "Point"',
        ("Point", "MarginalPoint"),
    ),
    "a source of averages": Case(
        "source: {}",
        "Provider",
        "source",
        'Incompatible return value type (got "MarginalProvider", expected "Provider")',
        ("Provider", "MarginalProvider"),
    ),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says of every case, by the name of its module; one run for all."""
    folder = tmp_path_factory.mktemp("snippets")
    for number, case in enumerate(CASES.values()):
        for kind, typed in zip(("average", "marginal"), case.types, strict=True):
            (folder / f"{kind}_{number}.py").write_text(case.code(typed))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", folder],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, list[str]] = {file.stem: [] for file in folder.glob("*.py")}
    for line in done.stdout.splitlines():
        if match := re.match(r"[^:]*?(\w+)\.py:\d+: error: (.*)", line):
            found[match[1]].append(match[2])
    return found


@pytest.mark.parametrize("name", CASES)
def test_takes_an_average(errors: dict[str, list[str]], name: str) -> None:
    """What is written for an average is sound with one."""
    assert [] == errors[f"average_{list(CASES).index(name)}"]


@pytest.mark.parametrize("name", CASES)
def test_refuses_a_marginal_value(errors: dict[str, list[str]], name: str) -> None:
    """The same with a marginal value is one error, and it names the mix."""
    (message,) = errors[f"marginal_{list(CASES).index(name)}"]
    assert CASES[name].error in message


def test_a_marginal_value_is_unwrapped_where_it_is_shown_and_nowhere_else() -> None:
    """Only the status of a zone and a metric may turn it into a number."""
    field = re.compile(r"\.marginal_milligrams_per_kwh\b")
    files = (ROOT / "operator").rglob("*.py")
    found = {file.name for file in files if field.search(file.read_text())}
    assert found <= {"zone_status.py", "grid_metrics.py"}
