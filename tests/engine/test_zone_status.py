"""What users see of a zone's signals, step by step of the fallback."""

from dataclasses import replace
from datetime import timedelta

from builders import NOON, a_zone_body, hours
from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.api.zone import CarbonZoneStatus
from carbonaware_operator.engine.zone_signal import ZoneSignal
from carbonaware_operator.engine.zone_status import zone_status
from carbonaware_operator.grid.errors import SignalRateLimited, SignalUnreachable
from carbonaware_operator.grid.points import Forecast, MarginalPoint, Point, PointKind
from carbonaware_operator.grid.provider import Cadence
from carbonaware_operator.grid.tariff import Price
from carbonaware_operator.grid.typical_day import TypicalDay
from carbonaware_operator.planning.outlook import Signal
from carbonaware_operator.quantities.emissions import MarginalIntensity
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.zones import zone_record

RECORD = zone_record(a_zone_body())
CADENCE = Cadence(poll=300, stale=3600)
LATE = NOON + hours(5)
FORECAST = Forecast(NOON, NOON, timedelta(hours=1), (310_000,) * 6, "ElectricityMaps/DE")


def a_point(start: Instant = NOON, milligrams: int = 300_000) -> Point:
    """An hour of the zone."""
    factors = EmissionFactors.LIFECYCLE
    return Point(
        start, start + hours(1), milligrams, PointKind.ACTUAL, "ElectricityMaps/DE", factors
    )


def a_signal(**fields: object) -> ZoneSignal:
    """A zone whose source gave a value at noon, and has failed since."""
    signal = ZoneSignal()
    signal.take([a_point()], CADENCE)
    signal.fail(SignalUnreachable("no answer"))
    return replace(signal, **fields)


def status(signal: ZoneSignal, now: Instant = LATE) -> CarbonZoneStatus:
    """Its status, five hours after its last value unless given."""
    return zone_status(signal, RECORD, CarbonZoneStatus(), None, now)


def conditions(of: CarbonZoneStatus) -> dict[str, tuple[str, str]]:
    """Status and reason by type."""
    return {c.type: (c.status, c.reason) for c in of.conditions or []}


class TestFallback:
    def test_is_not_shown_while_the_last_value_can_be_used(self):
        """The source fails, and its last value still holds."""
        shown = status(a_signal(), NOON + hours(1.5))

        assert {"Ready": ("False", "Unreachable"), "Fresh": ("True", "Current")} == conditions(
            shown
        )
        assert shown.current is not None
        assert shown.fallback is None

    def test_says_value_level_source_and_year(self):
        """In the status for programs, in the condition for people."""
        shown = status(a_signal())

        assert {
            "milligramsPerKWh": 342_000,
            "level": "Zone",
            "source": "Electricity Maps, zone DE",
            "emissionFactors": "Lifecycle",
            "year": 2025,
            "typicalDay": False,
        } == shown.fallback.model_dump(mode="json", by_alias=True)
        fresh = next(c for c in shown.conditions if c.type == "Fresh")
        assert ("False", "UsingFallback") == (fresh.status, fresh.reason)
        assert fresh.message == (
            "no answer; until then jobs may be decided on with the fallback, 342 gCO2e/kWh,"
            " from Electricity Maps, zone DE, 2025"
        )
        assert shown.current is None

    def test_is_the_forecast_while_it_lasts(self):
        """One step up the ladder."""
        signal = a_signal(forecast=FORECAST)

        levels = [status(signal, NOON + hours(h)).fallback.level for h in (5, 6)]

        assert ["Forecast", "Zone"] == levels

    def test_follows_the_typical_day(self):
        """The mean of the zone, twice as much in this hour as in others."""
        day = TypicalDay((100,) * 17 + (200,) + (100,) * 6, NOON)

        fallback = status(a_signal(day=day)).fallback

        assert round(342_000 * 200 / day.mean) == fallback.milligrams_per_kwh
        assert fallback.typical_day

    def test_ends_as_soon_as_the_source_answers(self):
        """A provider that comes back is used at once."""
        signal = a_signal()
        before = signal.outlook(RECORD, LATE)

        signal.take([a_point(LATE, 250_000)], CADENCE)

        shown, after = status(signal), signal.outlook(RECORD, LATE)
        assert not isinstance(before.current, Signal)
        assert 250_000 == after.current.intensity
        assert shown.fallback is None
        assert {"Ready": ("True", "Current"), "Fresh": ("True", "Current")} == conditions(shown)


class TestSummary:
    def test_is_the_value_in_effect_in_grams(self):
        """`kubectl get czone` can only print a field: here it is as people read it."""
        current = status(a_signal(), NOON + hours(1.5))

        assert ("300 g/kWh", "ElectricityMaps/DE") == (
            current.summary.intensity,
            current.summary.source,
        )

    def test_marks_a_fallback_with_a_tilde(self):
        """What stands in never looks like a value of the grid."""
        fallback = status(a_signal())

        assert ("~342 g/kWh", "Electricity Maps, zone DE") == (
            fallback.summary.intensity,
            fallback.summary.source,
        )


class TestMarginal:
    def test_is_shown_beside_the_average(self):
        """With its kind; what jobs are decided on stays the average."""
        signal = a_signal()
        signal.take([a_point(LATE)], CADENCE)
        value = MarginalIntensity(812_000)
        point = MarginalPoint(LATE, LATE + hours(1), value, PointKind.ESTIMATE, "WattTime/X", None)
        signal.marginal.take([point], CADENCE)

        shown = status(signal)

        assert ("Marginal", 812_000) == (shown.marginal.signal, shown.marginal.milligrams_per_kwh)
        assert ("Average", 300_000) == (shown.current.signal, shown.current.milligrams_per_kwh)
        assert 300_000 == signal.outlook(RECORD, LATE).current.intensity

    def test_that_fails_makes_the_zone_unready_and_takes_nothing_away(self):
        """The average is still fresh."""
        signal = a_signal()
        signal.take([a_point(LATE)], CADENCE)
        signal.marginal.fail(SignalRateLimited("ask less often"))

        shown = status(signal)

        assert {"Ready": ("False", "RateLimited"), "Fresh": ("True", "Current")} == conditions(
            shown
        )


def test_forecast_is_shown_as_it_was_issued():
    """Start, step and values."""
    shown = status(a_signal(forecast=FORECAST)).forecast

    assert ("2026-06-15T12:00:00Z", 3600, [310_000] * 6) == (
        shown.start_time,
        shown.step_seconds,
        shown.milligrams_per_kwh,
    )


def test_a_price_is_shown_with_its_currency_and_source():
    """A zone without a tariff shows none, which is not a price of 0."""
    price = Price(-5_000, "EUR", "EnergyCharts/DE-LU")

    shown = zone_status(a_signal(), RECORD, CarbonZoneStatus(), None, NOON, price).current_price

    assert (-5_000, "EUR", "EnergyCharts/DE-LU") == (
        shown.micros_per_kwh,
        shown.currency,
        shown.source,
    )
    assert status(a_signal()).current_price is None


class TestGuard:
    def shown(
        self, unguarded: str | None, before: CarbonZoneStatus | None = None
    ) -> CarbonZoneStatus:
        """The status of a zone, for what is known of the policies."""
        previous = before or CarbonZoneStatus()
        return zone_status(a_signal(), RECORD, previous, None, NOON, unguarded=unguarded)

    def test_says_what_lacks(self):
        """A CarbonZone is the administrator's, who can change it; a job's user cannot."""
        (condition,) = [
            c
            for c in self.shown("x must exist").conditions or []
            if c.type == "AdmissionPolicyBound"
        ]

        assert ("False", "NotBound", "x must exist") == (
            condition.status,
            condition.reason,
            condition.message,
        )

    def test_is_true_while_the_policies_are_bound(self):
        """So that `kubectl wait` can wait for it."""
        assert ("True", "Bound") == conditions(self.shown(""))["AdmissionPolicyBound"]

    def test_says_what_it_said_while_nothing_is_known(self):
        """An operator that has just started does not take it away."""
        before = self.shown("x must exist")

        assert before == self.shown(None, before)
        assert "AdmissionPolicyBound" not in conditions(self.shown(None))
