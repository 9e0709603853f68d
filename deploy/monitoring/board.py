"""What a dashboard is made of, apart from the form in which Grafana wants it."""

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """How a panel draws its queries."""

    TIME_SERIES = "time series"
    STACKED = "stacked time series"
    NUMBER = "number"
    BARS = "bars"
    TABLE = "table"


class Unit(StrEnum):
    """Units, by the names that Grafana knows them by."""

    COUNT = "short"
    GRAMS = "massg"
    GRAMS_PER_HOUR = "suffix: gCO2e/h"
    GRAMS_PER_KILOWATT_HOUR = "suffix: gCO2e/kWh"
    JOULES = "joule"
    PER_SECOND = "ops"
    RATIO = "percentunit"
    SECONDS = "s"
    WATTS = "watt"

    @property
    def word(self) -> str:
        """The unit as a reader knows it."""
        return _WORDS.get(self, self.value.removeprefix("suffix: "))


_WORDS = {
    Unit.COUNT: "number",
    Unit.GRAMS: "gCO2e",
    Unit.JOULES: "J",
    Unit.PER_SECOND: "1/s",
    Unit.RATIO: "%",
    Unit.WATTS: "W",
}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel. legend: what names its series, in Grafana's `{{label}}`."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. question: what it answers. more: which page of `docs/` says more.

    width: in 24ths of the dashboard.
    """

    title: str
    question: str
    shape: Shape
    unit: Unit
    queries: tuple[Query, ...]
    more: str
    width: int = 12

    @property
    def instant(self) -> bool:
        """Whether it shows one instant and not a course."""
        return self.shape in (Shape.NUMBER, Shape.BARS, Shape.TABLE)


@dataclass(frozen=True, slots=True)
class Variable:
    """A label by which the viewer filters; `metric` is where its values are looked up."""

    label: str
    metric: str


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. uid: also its file name. releases: a query for the marks on its time axis."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    releases: str

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, from top to bottom."""
        return tuple(panel for row in self.rows for panel in row.panels)
