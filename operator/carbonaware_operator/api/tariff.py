"""The tariff of a CarbonZone: what a kilowatt-hour costs there, by time."""

from typing import Annotated

from pydantic import Field

from carbonaware_operator.api.daily import Daily
from carbonaware_operator.api.schema import ATOMIC_LIST, BaseUrl, Name, Schema, rule, rules

Currency = Annotated[
    str,
    Field(max_length=3, pattern="^[A-Z]{3}$", description="ISO 4217 code, such as EUR."),
]
MicrosPerKWhField = Annotated[
    int,
    Field(
        ge=-1_000_000_000_000,
        le=1_000_000_000_000,
        json_schema_extra={"format": "int64"},
        description="Price, millionths of the currency per kWh; may be negative.",
    ),
]


class TariffPeriod(Daily):
    """A time of day, on some days, with a price of its own."""

    price_micros_per_kwh: Annotated[MicrosPerKWhField, Field(alias="priceMicrosPerKWh")]


class DayAheadPrices(Schema):
    """Day-ahead auction prices, as Energy-Charts shows them."""

    bidding_zone: Annotated[
        str,
        Field(
            max_length=16,
            pattern="^[A-Z]{2}[A-Z0-9-]*$",
            description="Bidding zone there, such as DE-LU.",
        ),
    ]
    url: Annotated[
        BaseUrl | None,
        Field(description="Base URL. Default: https://api.energy-charts.info."),
    ] = None


class Tariff(Schema):
    """What a kilowatt-hour costs."""

    model_config = rules(
        rule(
            "!has(self.dayAhead) || !has(self.periods)",
            "must have at most one of `periods` and `dayAhead`",
        )
    )

    currency: Currency
    price_micros_per_kwh: Annotated[
        MicrosPerKWhField,
        Field(
            alias="priceMicrosPerKWh",
            description="Price outside of all periods, or while no day-ahead price is known;"
            " millionths of the currency per kWh, may be negative.",
        ),
    ]
    periods: Annotated[
        list[TariffPeriod] | None,
        Field(
            min_length=1,
            max_length=32,
            description="Times with another price; where they overlap the first one holds.",
            json_schema_extra=ATOMIC_LIST,
        ),
    ] = None
    day_ahead: Annotated[
        DayAheadPrices | None,
        Field(description="Day-ahead prices in place of a fixed one; the currency must be theirs."),
    ] = None


class CurrentPrice(Schema):
    """What a kilowatt-hour costs now."""

    micros_per_kwh: Annotated[MicrosPerKWhField, Field(alias="microsPerKWh")]
    currency: Currency
    source: Annotated[Name, Field(description="Who says so: Tariff, or the market.")]
