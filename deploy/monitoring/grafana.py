"""A board as Grafana's JSON, through Grafana's own builders.

Nothing in it names a data source, a host or an interval: those are variables. `docs` is the
variable in front of every link: nobody but the installer knows where the documentation lies.
"""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, assert_never

from grafana_foundation_sdk.builders import bargauge, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as building
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.monitoring.board import Board, Panel, Shape, Variable

DATASOURCE = "$datasource"
DOCS = "docs"
_SOURCE = model.DataSourceRef(type_val="prometheus", uid=DATASOURCE)
_HEIGHT = 8
_COLUMNS = 24
_SCHEMA_VERSION = 39  # of Grafana 10.4, the oldest that is still looked after by distributions

_Drawn = timeseries.Panel | stat.Panel | bargauge.Panel | table.Panel


def rendered(board: Board) -> str:
    """The dashboard's file."""
    text = JSONEncoder(sort_keys=True, indent=1).encode(_dashboard(board).build())
    document = _cleared(json.loads(text))
    document["schemaVersion"] = _SCHEMA_VERSION
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _dashboard(board: Board) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["carbonaware"])
        .readonly()
        .refresh("1m")
        .time("now-24h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
        .annotation(_releases(board.releases))
        .link(_to_the_others())
    )
    for variable in board.variables:
        built = built.with_variable(_variable(variable))
    built = built.with_variable(
        dashboard.TextBoxVariable(DOCS).label("Documentation at").default_value("")
    )
    return _laid_out(built, board)


def _releases(expr: str) -> dashboard.AnnotationQuery:
    return (
        dashboard.AnnotationQuery()
        .name("Releases")
        .datasource(_SOURCE)
        .enable(True)
        .icon_color("green")
        .expr(expr)
        .step("1m")
        .title_format("Released: {{reason}}")
        .text_format("{{namespace}}{{zone}}")
        .tag_keys("reason")
    )


def _to_the_others() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Carbon aware")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags(["carbonaware"])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )


def _variable(variable: Variable) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(variable.label)
        .label(variable.label.capitalize())
        .datasource(_SOURCE)
        .query(f"label_values({variable.metric}, {variable.label})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(text="All", value="$__all", selected=True))
    )


def _laid_out(built: dashboard.Dashboard, board: Board) -> dashboard.Dashboard:
    """Add rows and panels, left to right and top to bottom."""
    numbers, top = count(1), 0
    for row in board.rows:
        place = model.GridPos(h=1, w=_COLUMNS, x=0, y=top)
        built = built.with_row(dashboard.Row(row.title).grid_pos(place).id(next(numbers)))
        left, top = 0, top + 1
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                left, top = 0, top + _HEIGHT
            place = model.GridPos(h=_HEIGHT, w=panel.width, x=left, y=top)
            built = built.with_panel(_drawn(panel).grid_pos(place).id(next(numbers)))
            left += panel.width
        top += _HEIGHT
    return built


def _drawn(panel: Panel) -> _Drawn:
    built = _shaped(panel)
    link = dashboard.DashboardLink("What this means").url(f"${{{DOCS}}}/{panel.more}")
    built.title(panel.title).description(panel.question).datasource(_SOURCE)
    built.unit(panel.unit).links([link.target_blank(True)])
    for target in _targets(panel):
        built.with_target(target)
    return built


def _shaped(panel: Panel) -> _Drawn:
    match panel.shape:
        case Shape.TIME_SERIES:
            return timeseries.Panel().fill_opacity(0).legend(_legend())
        case Shape.STACKED:
            stacking = building.StackingConfig().mode(common.StackingMode.NORMAL)
            return timeseries.Panel().fill_opacity(30).stacking(stacking).legend(_legend())
        case Shape.NUMBER:
            return stat.Panel().graph_mode(common.BigValueGraphMode.NONE).reduce_options(_last())
        case Shape.BARS:
            horizontal = common.VizOrientation.HORIZONTAL
            return bargauge.Panel().orientation(horizontal).reduce_options(_last())
        case Shape.TABLE:
            return table.Panel()
        case _:
            assert_never(panel.shape)


def _legend() -> building.VizLegendOptions:
    return building.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)


def _last() -> building.ReduceDataOptions:
    return building.ReduceDataOptions().calcs(["lastNotNull"])


def _targets(panel: Panel) -> Iterator[prometheus.Dataquery]:
    for number, query in enumerate(panel.queries):
        target = (
            prometheus.Dataquery()
            .expr(query.expr)
            .legend_format(query.legend)
            .ref_id(chr(ord("A") + number))
            .datasource(_SOURCE)
        )
        target = target.instant() if panel.instant else target.range()
        if panel.shape is Shape.TABLE:
            target = target.format(PromQueryFormat.TABLE)
        yield target


def _cleared(value: Any) -> Any:
    """The same without what the builders add unasked.

    Empty values, which Grafana's schema does not allow, and a placement that would hide links and
    annotations in a menu.
    """
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if each != "inControlsMenu"}
        return {key: _cleared(each) for key, each in kept.items() if each is not None}
    if isinstance(value, list):
        return [_cleared(each) for each in value]
    return value
