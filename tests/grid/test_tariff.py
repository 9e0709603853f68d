"""What a kilowatt-hour costs: flat, by time of use, of the market, and below zero."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carbonaware_operator.api import tariff as api
from carbonaware_operator.grid.errors import SignalMisconfigured
from carbonaware_operator.grid.tariff import MarketPrice, MarketPrices, Price, tariff_of

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
"""A Monday, two in the afternoon in Berlin."""
HOUR = timedelta(hours=1)


def a_tariff(*periods: dict[str, Any]):
    spec = {"currency": "EUR", "priceMicrosPerKWh": 102_370}
    return tariff_of(api.Tariff.model_validate(spec | ({"periods": periods} if periods else {})))


def a_period(price: int, start: str = "22:00", end: str = "06:00", **fields: Any) -> dict[str, Any]:
    return {
        "priceMicrosPerKWh": price,
        "start": start,
        "end": end,
        "timeZone": "Europe/Berlin",
    } | fields


def at(hour: int, day: int = 15) -> datetime:
    return NOON.replace(day=day, hour=hour)


class TestFlat:
    def test_is_the_same_always(self):
        """With its currency, and who says so."""
        assert Price(102_370, "EUR", "Tariff") == a_tariff().price_at(NOON)


class TestTimeOfUse:
    @pytest.mark.parametrize(("hour", "price"), [(19, 102_370), (20, 61_000), (3, 61_000)])
    def test_is_that_of_the_period_by_local_time(self, hour: int, price: int):
        """Ten at night in Berlin is eight in UTC; the period wraps midnight."""
        assert price == a_tariff(a_period(61_000)).price_at(at(hour)).micros_per_kwh

    def test_is_of_the_days_on_which_the_period_begins(self):
        """The night of Sunday is not the morning of Monday's."""
        tariff = a_tariff(a_period(61_000, days=["Sun"]))

        assert [61_000, 102_370] == [tariff.price_at(at(3, d)).micros_per_kwh for d in (15, 16)]

    def test_is_that_of_the_first_period_where_two_overlap(self):
        """Whoever writes the list says which one is meant."""
        tariff = a_tariff(a_period(1, "00:00", "00:00"), a_period(2))

        assert 1 == tariff.price_at(at(22)).micros_per_kwh

    def test_may_be_below_zero(self):
        """Takers are paid at noon."""
        tariff = a_tariff(a_period(-5_000, "12:00", "15:00"))

        assert -5_000 == tariff.price_at(NOON).micros_per_kwh

    @pytest.mark.parametrize("fields", [{"timeZone": "Mars/Olympus"}, {"start": "noon"}])
    def test_of_what_is_no_time_is_refused(self, fields: dict[str, str]):
        """What the CRD lets through is an error that says what to change."""
        spec = a_period(1) | fields

        with pytest.raises(SignalMisconfigured, match="time zones such as"):
            tariff_of(
                api.Tariff.model_construct(
                    currency="EUR",
                    price_micros_per_kwh=1,
                    periods=[
                        api.TariffPeriod.model_construct(
                            days=None,
                            start=spec["start"],
                            end=spec["end"],
                            time_zone=spec["timeZone"],
                            price_micros_per_kwh=1,
                        )
                    ],
                    day_ahead=None,
                )
            )


class TestMarket:
    MARKET = MarketPrices(
        "EUR",
        "EnergyCharts/DE-LU",
        (
            MarketPrice(NOON, NOON + HOUR, 84_100),
            MarketPrice(NOON + 2 * HOUR, NOON + 3 * HOUR, -9),
        ),
    )

    @pytest.mark.parametrize(
        ("instant", "expected"),
        [
            (NOON - HOUR, None),
            (NOON, 84_100),
            (NOON + 0.9 * HOUR, 84_100),
            (NOON + HOUR, None),
            (NOON + 2 * HOUR, -9),
            (NOON + 3 * HOUR, None),
        ],
    )
    def test_is_known_for_its_hours_alone(self, instant: datetime, expected: int | None):
        """No hour stands in for another one."""
        price = self.MARKET.at(instant)

        assert expected == (price.micros_per_kwh if price else None)

    def test_goes_before_the_tariff_where_it_is_known(self):
        """Else the tariff holds, and says so."""
        tariff = a_tariff()

        prices = [tariff.price_at(t, self.MARKET) for t in (NOON, NOON + HOUR)]

        assert ["EnergyCharts/DE-LU", "Tariff"] == [price.source for price in prices]
