"""The report: every scenario through every formula, as aligned tables in one page of text."""

from collections.abc import Callable, Sequence

from conformance.comparison import (
    AGENT,
    CEEMS,
    KEPLER,
    SCAPHANDRE,
    TOOLS,
    agent_energy,
    ended,
    gaps,
    gpu_kind,
    idle_ratio,
    level_ratios,
    node_ratio,
    pod_ratio,
    worst_pod,
)
from conformance.curves import HIGH, LOW, MEDIAN, Curve, spread
from conformance.gpu_scenarios import GPU_SCENARIOS
from conformance.replay import Outcome, outcome_of
from conformance.scenario import Knowledge
from conformance.scenarios import LEVELS, SCENARIOS, load_levels

Row = Sequence[str]


def aligned(head: Row, rows: Sequence[Row]) -> str:
    """A table in plain text: the first column to the left, all others to the right."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def level_table(curve: Curve) -> str:
    """Attributed over true dynamic energy at each load level, on machines of one curve."""
    outcomes = {knowledge: outcome_of(load_levels(curve, knowledge)) for knowledge in Knowledge}
    columns = {
        str(knowledge): level_ratios(outcome.cuts, AGENT)[-len(LEVELS) :]
        for knowledge, outcome in outcomes.items()
    }
    # The peers know no idle power, so any run with counters shows them alike.
    cuts = outcomes[Knowledge.CALIBRATED].cuts
    columns |= {tool: level_ratios(cuts, tool) for tool in (KEPLER, SCAPHANDRE, CEEMS)}
    rows = [
        (f"{level} %", *(_ratio(column[position]) for column in columns.values()))
        for position, level in enumerate(LEVELS)
    ]
    return aligned(("load", *columns), rows)


def spread_table() -> str:
    """What utilisation times energy gives over the truth, over all servers of the benchmarks."""
    rows = [(f"{level} %", *map(_ratio, spread(level / 100))) for level in LEVELS]
    return aligned(("load", "p10", "median", "p90"), rows)


def tool_table(outcomes: Sequence[Outcome], cell: Callable[[Outcome, str], float | None]) -> str:
    """A row for each scenario, a column for each tool."""
    rows = [
        (outcome.scenario.name, *(_ratio(cell(outcome, tool)) for tool in TOOLS))
        for outcome in outcomes
    ]
    return aligned(("scenario", *TOOLS), rows)


def books_table(outcomes: Sequence[Outcome]) -> str:
    """What the agent's own page says of each scenario."""
    rows = [
        (
            outcome.scenario.name,
            f"{outcome.residual():f}",
            _ratio(idle_ratio(outcome)),
            str(gaps(outcome)),
        )
        for outcome in outcomes
    ]
    return aligned(("scenario", "residual J", "idle of pods", "gaps told"), rows)


def gpu_table(outcomes: Sequence[Outcome]) -> str:
    """Dynamic and idle energy of each pod that holds a GPU, in joules; Kepler divides no idle."""
    rows = []
    for outcome in outcomes:
        for pod in outcome.scenario.pods:
            if pod.gpu is None:
                continue
            true = outcome.end.truth.of(pod.name, gpu_kind(outcome, pod))
            joules = (
                true.dynamic,
                agent_energy(outcome, pod, "dynamic", gpu=True),
                outcome.kepler_gpu_uj.get(pod.name, 0.0),
                true.idle,
                agent_energy(outcome, pod, "idle", gpu=True),
            )
            name = f"{outcome.scenario.name}: {pod.name}"
            rows.append((name, *(f"{value / 1e6:.0f}" for value in joules)))
    return aligned(("pod", "dynamic", AGENT, KEPLER, "idle", AGENT), rows)


def _ended_ratio(outcome: Outcome, tool: str) -> float | None:
    return pod_ratio(outcome, tool, ended(outcome))


def _all_ratio(outcome: Outcome, tool: str) -> float | None:
    return pod_ratio(outcome, tool, outcome.scenario.pods)


def tables() -> dict[str, str]:
    """All tables by the mark that stands for them in the page."""
    outcomes = [outcome_of(scenario) for scenario in SCENARIOS]
    on_gpus = [outcome_of(scenario) for scenario in GPU_SCENARIOS]
    with_ends = [outcome for outcome in outcomes if ended(outcome)]
    return {
        "levels-median": level_table(MEDIAN),
        "levels-low": level_table(LOW),
        "levels-high": level_table(HIGH),
        "spread": spread_table(),
        "pods": tool_table(outcomes, _all_ratio),
        "worst": tool_table(outcomes, worst_pod),
        "node": tool_table(outcomes, node_ratio),
        "ended": tool_table(with_ends, _ended_ratio),
        "gpus": gpu_table(on_gpus),
        "books": books_table([*outcomes, *on_gpus]),
    }
