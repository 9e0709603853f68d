"""The ledger in a CarbonAwareJob's status: cursors and energy by period, posted in one write."""

from typing import Annotated

from pydantic import Field

from carbonaware_operator.api.schema import (
    ATOMIC_LIST,
    Count64,
    MilligramsPerKWhField,
    Name,
    Schema,
    Timestamp,
)


class SourceCursor(Schema):
    """How far one cumulative series of one agent has been posted."""

    node: Annotated[Name, Field(description="Node of the agent.")]
    owner: Annotated[Name, Field(description="Uid of the pods' controller.")]
    zone: Annotated[
        Name, Field(description="Domain of the node: package, dram, other or gpu/<uuid>.")
    ]
    source: Annotated[Name, Field(description="Sensor or model.")]
    epoch: Annotated[Name, Field(description="Which life of the series: a new one begins at 0.")]
    microjoules: Annotated[Count64, Field(description="Posted so far, in microjoules.")]
    time: Annotated[Timestamp, Field(description="When the agent took the last sample.")]


class LedgerPeriod(Schema):
    """Energy of one accounting period and its price."""

    start_time: Annotated[Timestamp, Field(description="Start of the period.")]
    microjoules: Annotated[Count64, Field(description="Energy used in it, in microjoules.")]
    pue_milli: Annotated[
        int | None,
        Field(ge=1000, le=5000, description="PUE x 1000, captured when first priced."),
    ] = None
    milligrams_per_kwh: Annotated[
        MilligramsPerKWhField | None,
        Field(alias="milligramsPerKWh", description="Mean average intensity, mgCO2e/kWh."),
    ] = None
    baseline_milligrams_per_kwh: Annotated[
        MilligramsPerKWhField | None,
        Field(
            alias="baselineMilligramsPerKWh",
            description="The same for run-at-once; absent when not comparable.",
        ),
    ] = None
    estimated: Annotated[
        bool | None, Field(description="True when the intensity may still be revised.")
    ] = None


class EnergySum(Schema):
    """Energy of many periods, in two integers that every JSON reader keeps exact."""

    joules: Annotated[Count64, Field(description="Whole joules.")] = 0
    microjoules: Annotated[int, Field(ge=0, le=999_999, description="The rest of a joule.")] = 0


class FrozenTotals(Schema):
    """Sums of periods that are final."""

    energy: Annotated[EnergySum, Field(description="Energy used.")] = EnergySum()
    priced: Annotated[EnergySum, Field(description="The part that has a price.")] = EnergySum()
    compared: Annotated[
        EnergySum, Field(description="The part that has a price and a baseline.")
    ] = EnergySum()
    estimated: Annotated[
        EnergySum, Field(description="The part priced or compared by an estimate.")
    ] = EnergySum()
    emissions_micrograms: Annotated[Count64, Field(description="Emissions, ugCO2e.")] = 0
    compared_emissions_micrograms: Annotated[
        Count64, Field(description="Emissions of the compared energy, ugCO2e.")
    ] = 0
    baseline_micrograms: Annotated[Count64, Field(description="Baseline, ugCO2e.")] = 0


class Ledger(Schema):
    """The account of one job."""

    revision: Annotated[Count64, Field(description="Rises with every posting.")] = 0
    settled: Annotated[bool | None, Field(description="True when no more energy can come.")] = None
    period_seconds: Annotated[
        int | None, Field(ge=1, le=86400, description="Length of an accounting period, seconds.")
    ] = None
    sources: Annotated[
        list[SourceCursor],
        Field(
            default_factory=list,
            max_length=4096,
            description="Cursors.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ]
    hours: Annotated[
        list[LedgerPeriod],
        Field(
            default_factory=list,
            max_length=1024,
            description="Energy by accounting period, as long as it may be re-priced.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ]
    frozen: Annotated[
        FrozenTotals | None, Field(description="Sums of the periods before those.")
    ] = None
