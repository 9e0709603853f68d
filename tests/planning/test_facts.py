"""The facts that the rules look at, as `explain` shows them."""

import pytest

from builders import NOON, a_child, a_held_job, a_window, an_outlook, hours, some_windows
from carbonaware_operator.api.job import Strategy, WhenDeadlineReached
from carbonaware_operator.planning.observed import Cause, Ending
from carbonaware_operator.planning.rules import findings
from carbonaware_operator.planning.situation import Situation

TUESDAYS = some_windows(a_window("01:00", "02:00", None, "Tue"))
GRID = an_outlook(300)
OLD = an_outlook(None).current.detail


class TestFacts:
    @pytest.mark.parametrize(
        ("rule", "fields", "outlook", "fact"),
        [
            ("suspend", {"suspend": True}, GRID, "`suspend` is true"),
            ("release request", {"release_requested": True}, GRID, "asked to start now"),
            (
                "earliestStart",
                {"earliest_start": NOON + hours(1)},
                GRID,
                "2026-06-15T13:00:00Z (in 1 h)",
            ),
            (
                "maxGramsPerKWh",
                {"max_grams": 100},
                an_outlook(100.4),
                "100.4 is above 100 gCO2e/kWh",
            ),
            ("maxGramsPerKWh", {"max_grams": 100}, an_outlook(None), "473 is above 100 gCO2e/kWh"),
            ("maxGramsPerKWh", {"max_grams": 100}, None, "100 gCO2e/kWh"),
            (
                "preferredGramsPerKWh",
                {"preferred_grams": 300},
                GRID,
                "300 is not above 300 gCO2e/kWh",
            ),
            ("signal", {}, GRID, "300 gCO2e/kWh from Static, now"),
            ("signal", {}, None, "no zone, no signal"),
            (
                "signal",
                {},
                an_outlook(None),
                f"missing (Stale), `whenSignalMissing` is UseFallback: {OLD}",
            ),
            ("windows", {}, GRID, "always open"),
            (
                "windows",
                {"windows": TUESDAYS},
                GRID,
                "closed, opens 2026-06-16T01:00:00Z (in 13 h)",
            ),
            (
                "windows",
                {"windows": some_windows(a_window("11:00", "14:00"))},
                GRID,
                "open, closes in 2 h",
            ),
            ("zone", {}, GRID, "CarbonZone de"),
            ("zone", {}, None, "there is no CarbonZone de"),
            ("zone", {"zone_name": None}, None, "none named, and the operator has no default zone"),
            ("strategy", {}, GRID, "Threshold: looks at the grid"),
            (
                "strategy",
                {"strategy": Strategy.IMMEDIATE},
                GRID,
                "Immediate: starts whatever the grid",
            ),
            (
                "latest start",
                {"deadline": NOON + hours(3), "when_deadline_reached": WhenDeadlineReached.FAIL},
                GRID,
                "2026-06-15T15:00:00Z (in 3 h); then the job fails",
            ),
            (
                "latest start",
                {"deadline": NOON - hours(1)},
                GRID,
                "2026-06-15T11:00:00Z (1 h ago) has passed: the job starts",
            ),
            (
                "latest start",
                {"deadline": NOON + hours(3), "windows": TUESDAYS},
                GRID,
                "no window opens again before 2026-06-15T15:00:00Z (in 3 h): the job starts",
            ),
            ("run", {"child": a_child()}, GRID, "runs"),
            (
                "run",
                {"child": a_child(suspended_by=Cause.USER)},
                GRID,
                "suspended (User)",
            ),
            (
                "end",
                {"child": a_child(ending=Ending(NOON, False, "out of memory"))},
                GRID,
                "out of memory",
            ),
            ("child Job", {"noted": a_child().workload}, GRID, "there is none any more"),
        ],
    )
    def test_hold_the_numbers_that_the_rule_compares(self, rule, fields, outlook, fact):
        """Each in the words that answer what one would ask next."""
        found = findings(Situation(a_held_job(**fields), outlook, NOON))

        assert fact == next(f.fact for f in found if f.rule == rule)
