"""The dashboard Nodes and GPUs: where power goes, which GPUs rest, how sure the figures are."""

from deploy.monitoring.board import Board, Panel, Query, Row, Shape, Unit, Variable
from deploy.monitoring.overview import RELEASES

_NODE = 'node=~"$node"'
_ATTRIBUTED = "carbonaware_node_attributed_joules_total"
_HELD = f'max by (node, gpu_uuid) (carbonaware_gpu_division_info{{method!="unheld",{_NODE}}})'
_BUSY = f"max by (node, gpu_uuid) (carbonaware_gpu_utilization_ratio{{{_NODE}}}) >= 0.05"


def _package(by: str) -> str:
    rate = f'rate({_ATTRIBUTED}{{domain="package",{_NODE}}}[$__rate_interval])'
    return f"sum by ({by}) ({rate})"


_POWER = Row(
    "Power",
    (
        Panel(
            "Power by source",
            "How much power is measured, by which sensor, and for the chip or the whole server? "
            "Series that differ in source or boundary are never added.",
            Shape.TIME_SERIES,
            Unit.WATTS,
            (
                Query(
                    f"sum by (source, boundary) (carbonaware_node_power_watts{{{_NODE}}})",
                    "{{source}}, {{boundary}}",
                ),
            ),
            "energy-and-emissions.md",
        ),
        Panel(
            "Power by domain",
            "Which parts of the machines draw it? GPUs have panels of their own.",
            Shape.TIME_SERIES,
            Unit.WATTS,
            (
                Query(
                    "sum by (domain, source, boundary) "
                    f'(carbonaware_node_power_watts{{domain!~"gpu/.*",{_NODE}}})',
                    "{{domain}} ({{source}}, {{boundary}})",
                ),
            ),
            "energy-and-emissions.md",
        ),
        Panel(
            "The twenty nodes that draw most",
            "Which nodes draw most, by source?",
            Shape.TIME_SERIES,
            Unit.WATTS,
            (
                Query(
                    "topk(20, sum by (node, source, boundary) "
                    f"(carbonaware_node_power_watts{{{_NODE}}}))",
                    "{{node}} ({{source}}, {{boundary}})",
                ),
            ),
            "energy-and-emissions.md",
        ),
        Panel(
            "Where the energy of processors goes",
            "On the mean node, which part do pods cause (dynamic), reserve (idle), does the system "
            "use, and does nobody reserve (unallocated)?",
            Shape.STACKED,
            Unit.RATIO,
            (
                Query(
                    f"avg by (component) ({_package('node, component')}"
                    f" / on (node) group_left () {_package('node')})",
                    "{{component}}",
                ),
            ),
            "energy-and-emissions.md",
        ),
    ),
)
_GPUS = Row(
    "GPUs",
    (
        Panel(
            "GPUs",
            "How many GPUs are there, how many are reserved, and how many of those rest (below "
            "5 % utilization)?",
            Shape.TIME_SERIES,
            Unit.COUNT,
            (
                Query(f"count(carbonaware_gpu_utilization_ratio{{{_NODE}}})", "all"),
                Query(f"count({_HELD})", "reserved"),
                Query(f"count({_HELD} unless on (node, gpu_uuid) ({_BUSY}))", "reserved, at rest"),
            ),
            "gpus.md",
            width=8,
        ),
        Panel(
            "Idle power of reserved GPUs",
            "What do GPUs that a namespace reserves draw without working for it?",
            Shape.STACKED,
            Unit.WATTS,
            (
                Query(
                    "sum by (namespace) (rate(carbonaware_pod_energy_joules_total"
                    f'{{domain=~"gpu/.*",component="idle",{_NODE}}}[$__rate_interval]))',
                    "{{namespace}}",
                ),
            ),
            "gpus.md",
            width=8,
        ),
        Panel(
            "Where the energy of GPUs goes",
            "What do pods cause and reserve, and what do GPUs draw that nobody holds?",
            Shape.STACKED,
            Unit.WATTS,
            (
                Query(
                    f'sum by (component) (rate({_ATTRIBUTED}{{domain=~"gpu/.*",{_NODE}}}'
                    "[$__rate_interval]))",
                    "{{component}}",
                ),
            ),
            "gpus.md",
            width=8,
        ),
        Panel(
            "Power by GPU model",
            "How much power do GPUs draw?",
            Shape.TIME_SERIES,
            Unit.WATTS,
            (
                Query(
                    f"sum by (model) (carbonaware_gpu_power_watts{{{_NODE}}})",
                    "{{model}}",
                ),
            ),
            "gpus.md",
            width=8,
        ),
        Panel(
            "Utilization by GPU model",
            "In which part of the time did a kernel run?",
            Shape.TIME_SERIES,
            Unit.RATIO,
            (
                Query(
                    f"avg by (model) (carbonaware_gpu_utilization_ratio{{{_NODE}}})",
                    "{{model}}",
                ),
            ),
            "gpus.md",
            width=8,
        ),
        Panel(
            "GPU devices that nobody can place",
            "How many devices do pods hold that mean no known GPU, so that nobody is charged?",
            Shape.NUMBER,
            Unit.COUNT,
            (
                Query(
                    f"sum(carbonaware_agent_unresolved_gpu_devices{{{_NODE}}})",
                    "devices",
                ),
            ),
            "gpus.md",
            width=8,
        ),
    ),
)
_TRUST = Row(
    "How sure the figures are",
    (
        Panel(
            "Stated error by source",
            "How far may modelled or sampled power be off, at the worst node?",
            Shape.TIME_SERIES,
            Unit.RATIO,
            (
                Query(
                    f"max by (source) (carbonaware_agent_model_error_ratio{{{_NODE}}})",
                    "{{source}}",
                ),
            ),
            "runbooks/CarbonAwareModelErrorHigh.md",
            width=8,
        ),
        Panel(
            "Gaps",
            "How often was a part of a node not read, and why?",
            Shape.TIME_SERIES,
            Unit.PER_SECOND,
            (
                Query(
                    "sum by (reason) "
                    f"(rate(carbonaware_agent_gaps_total{{{_NODE}}}[$__rate_interval]))",
                    "{{reason}}",
                ),
            ),
            "energy-and-emissions.md",
            width=8,
        ),
        Panel(
            "Collectors that fail",
            "On how many nodes does a collector not get all that it asks for?",
            Shape.TIME_SERIES,
            Unit.COUNT,
            (
                Query(
                    f"sum by (collector) (1 - carbonaware_agent_collector_success{{{_NODE}}})",
                    "{{collector}}",
                ),
            ),
            "runbooks/CarbonAwareAgentDown.md",
            width=8,
        ),
    ),
)
BOARD = Board(
    uid="carbonaware-nodes",
    title="Carbon aware / Nodes and GPUs",
    description="Where power goes, which reserved GPUs rest, and how sure the figures are.",
    variables=(Variable("node", "carbonaware_agent_build_info"),),
    rows=(_POWER, _GPUS, _TRUST),
    releases=RELEASES,
)
