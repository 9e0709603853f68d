"""The dashboard Jobs and namespaces: what each team's jobs wait for, use and emit."""

from deploy.monitoring.board import Board, Panel, Query, Row, Shape, Unit, Variable
from deploy.monitoring.overview import in_range

_NAMESPACE = 'namespace=~"$namespace"'
_EMISSIONS = f"namespace:carbonaware_emissions_grams:rate5m{{{_NAMESPACE}}}"
_BASELINE = f"namespace:carbonaware_baseline_emissions_grams:rate5m{{{_NAMESPACE}}}"
_BY = " by (namespace)"


def _in_state(*states: str) -> Query:
    by = f'state="{states[0]}"' if len(states) == 1 else f'state=~"{"|".join(states)}"'
    return Query(
        f"sum by (namespace) (namespace:carbonaware_jobs:sum{{{by},{_NAMESPACE}}})",
        "{{namespace}}",
    )


_WAITING = Row(
    "Jobs",
    (
        Panel(
            "Held jobs",
            "Which namespaces have jobs that wait?",
            Shape.STACKED,
            Unit.COUNT,
            (_in_state("Held"),),
            "why-is-my-job-waiting.md",
        ),
        Panel(
            "Started jobs that have not ended",
            "Which namespaces have jobs that run, are suspended, or whose pods wait for a node?",
            Shape.STACKED,
            Unit.COUNT,
            (_in_state("Starting", "Running", "Suspending", "Suspended"),),
            "why-is-my-job-waiting.md",
        ),
        Panel(
            "Jobs by state and reason",
            "Why is each namespace's job in the state it is in?",
            Shape.TABLE,
            Unit.COUNT,
            (
                Query(
                    "sum by (namespace, state, reason) "
                    f"(namespace:carbonaware_jobs:sum{{{_NAMESPACE}}})",
                    "{{namespace}}",
                ),
            ),
            "why-is-my-job-waiting.md",
        ),
        Panel(
            "Next deadline",
            "How long may the most urgent held job of each namespace still wait? Below zero it is "
            "overdue.",
            Shape.BARS,
            Unit.SECONDS,
            (
                Query(
                    "min by (namespace) "
                    f"(namespace:carbonaware_job_next_deadline_seconds:min{{{_NAMESPACE}}})",
                    "{{namespace}}",
                ),
            ),
            "runbooks/CarbonAwareJobOverdue.md",
        ),
        Panel(
            "Releases in the range, by reason",
            "Why were a namespace's jobs let start?",
            Shape.TABLE,
            Unit.COUNT,
            (
                Query(
                    in_range(
                        f"namespace:carbonaware_job_releases:rate5m{{{_NAMESPACE}}}",
                        by=" by (namespace, reason)",
                    ),
                    "{{namespace}} {{reason}}",
                ),
            ),
            "why-is-my-job-waiting.md",
            width=24,
        ),
    ),
)
_ENERGY = Row(
    "Energy and emissions",
    (
        Panel(
            "Power of jobs",
            "How much power do the CarbonAwareJobs of each namespace draw? Accounts are posted "
            "by period, so this follows what runs by some minutes.",
            Shape.STACKED,
            Unit.WATTS,
            (
                Query(
                    "sum by (namespace) "
                    f"(namespace:carbonaware_energy_joules:rate5m{{{_NAMESPACE}}})",
                    "{{namespace}}",
                ),
            ),
            "energy-and-emissions.md",
        ),
        Panel(
            "Power of all pods",
            "How much power do all pods of a namespace draw, as the agents see it? Energies from "
            "different sources are never added.",
            Shape.TIME_SERIES,
            Unit.WATTS,
            (
                Query(
                    "sum by (namespace, source) "
                    f"(namespace:carbonaware_pod_energy_joules:rate5m{{{_NAMESPACE}}})",
                    "{{namespace}} ({{source}})",
                ),
            ),
            "energy-and-emissions.md",
        ),
        Panel(
            "Emissions in the range",
            "How much CO2e did the jobs of each namespace cause?",
            Shape.BARS,
            Unit.GRAMS,
            (Query(in_range(_EMISSIONS, _BY), "{{namespace}}"),),
            "energy-and-emissions.md",
        ),
        Panel(
            "Avoided in the range",
            "How much less is that than had the same jobs run at once?",
            Shape.BARS,
            Unit.GRAMS,
            (
                Query(
                    f"{in_range(_BASELINE, _BY)} - {in_range(_EMISSIONS, _BY)}",
                    "{{namespace}}",
                ),
            ),
            "energy-and-emissions.md",
        ),
    ),
)
BOARD = Board(
    uid="carbonaware-jobs",
    title="Carbon aware / Jobs and namespaces",
    description="What the jobs of each namespace wait for, use and emit.",
    variables=(Variable("namespace", "namespace:carbonaware_jobs:sum"),),
    rows=(_WAITING, _ENERGY),
    releases="sum by (namespace, reason) "
    f"(namespace:carbonaware_job_releases:rate5m{{{_NAMESPACE}}}) > 0",
)
