"""The dashboard Operator health: does it lead, decide, write, ask and scrape as it should?"""

from deploy.monitoring.board import Board, Panel, Query, Row, Shape, Unit
from deploy.monitoring.overview import RELEASES


def _rate(metric: str, *by: str) -> Query:
    return Query(
        f"sum by ({', '.join(by)}) (rate({metric}[$__rate_interval]))",
        ", ".join(f"{{{{{label}}}}}" for label in by),
    )


def _quantile(share: float, histogram: str, *by: str) -> Query:
    return Query(
        f"histogram_quantile({share}, sum by ({', '.join(('le', *by))}) "
        f"(rate({histogram}_bucket[$__rate_interval])))",
        " ".join([f"{share:.0%}", *(f"{{{{{label}}}}}" for label in by)]),
    )


_DECIDING = Row(
    "Deciding",
    (
        Panel(
            "Leaders",
            "Does exactly one replica decide and write?",
            Shape.NUMBER,
            Unit.COUNT,
            (Query("sum(carbonaware_leader)", "leaders"),),
            "runbooks/CarbonAwareOperatorNotLeading.md",
            width=6,
        ),
        Panel(
            "Replicas and agents by version",
            "Does everything run the same version?",
            Shape.BARS,
            Unit.COUNT,
            (
                Query("count by (version) (carbonaware_build_info)", "operator {{version}}"),
                Query("count by (version) (carbonaware_agent_build_info)", "agent {{version}}"),
            ),
            "metrics-operator.md",
            width=6,
        ),
        Panel(
            "Jobs in the queue",
            "How many jobs wait for a decision or a write?",
            Shape.TIME_SERIES,
            Unit.COUNT,
            (Query("max(carbonaware_planner_queue_depth)", "jobs"),),
            "metrics-operator.md",
            width=6,
        ),
        Panel(
            "Planning pass",
            "How long does a pass over what changed take?",
            Shape.TIME_SERIES,
            Unit.SECONDS,
            (
                _quantile(0.5, "carbonaware_planner_pass_duration_seconds"),
                _quantile(0.99, "carbonaware_planner_pass_duration_seconds"),
            ),
            "metrics-operator.md",
            width=6,
        ),
    ),
)
_GUARDED = Panel(
    "Admission policies",
    "Is each policy bound (1), or does it guard nothing (0)?",
    Shape.BARS,
    Unit.COUNT,
    (Query("max by (policy) (carbonaware_admission_policy_bound)", "{{policy}}"),),
    "runbooks/CarbonAwareAdmissionPolicyNotBound.md",
    width=8,
)
_WRITING = Row(
    "API server",
    (
        Panel(
            "Writes",
            "How often does the operator write, what, and with which result?",
            Shape.TIME_SERIES,
            Unit.PER_SECOND,
            (_rate("carbonaware_writes_total", "kind", "result"),),
            "metrics-operator.md",
            width=8,
        ),
        Panel(
            "Time of a write",
            "How long does the API server take?",
            Shape.TIME_SERIES,
            Unit.SECONDS,
            (_quantile(0.99, "carbonaware_write_duration_seconds", "kind"),),
            "metrics-operator.md",
            width=8,
        ),
        _GUARDED,
    ),
)
_ASKING = Row(
    "Grid and agents",
    (
        Panel(
            "Questions to providers",
            "How often are providers of grid intensity asked, and with which result?",
            Shape.TIME_SERIES,
            Unit.PER_SECOND,
            (_rate("carbonaware_provider_requests_total", "provider", "result"),),
            "providers.md",
        ),
        Panel(
            "Time of an answer",
            "How long do providers take?",
            Shape.TIME_SERIES,
            Unit.SECONDS,
            (_quantile(0.95, "carbonaware_provider_request_duration_seconds", "provider"),),
            "providers.md",
        ),
        Panel(
            "Age of the signal",
            "How old is the newest value of each zone's source?",
            Shape.TIME_SERIES,
            Unit.SECONDS,
            (Query("max by (zone) (carbonaware_grid_signal_age_seconds)", "{{zone}}"),),
            "runbooks/CarbonAwareSignalStale.md",
        ),
        Panel(
            "Error of forecasts",
            "How far were the forecasts of the last weeks off, as a part of what came?",
            Shape.TIME_SERIES,
            Unit.RATIO,
            (Query("max by (zone) (carbonaware_grid_forecast_error_ratio)", "{{zone}}"),),
            "runbooks/CarbonAwareForecastDrift.md",
        ),
        Panel(
            "Changes of the outlook",
            "How often does a zone's intensity or freshness change?",
            Shape.TIME_SERIES,
            Unit.PER_SECOND,
            (_rate("carbonaware_grid_updates_total", "zone"),),
            "metrics-operator.md",
        ),
        Panel(
            "Scrapes of agents",
            "Do all agents answer the operator?",
            Shape.TIME_SERIES,
            Unit.PER_SECOND,
            (_rate("carbonaware_agent_scrapes_total", "result"),),
            "runbooks/CarbonAwareAgentDown.md",
        ),
    ),
)
BOARD = Board(
    uid="carbonaware-operator",
    title="Carbon aware / Operator health",
    description="Does the operator lead, decide, write, ask and scrape as it should?",
    variables=(),
    rows=(_DECIDING, _WRITING, _ASKING),
    releases=RELEASES,
)
