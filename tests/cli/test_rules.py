"""The rules that explain shows are those of decide(), in its order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carbonaware_operator.api.daily import Day
from carbonaware_operator.api.job import (
    Schedule,
    Strategy,
    WhenDeadlineReached,
    WhenSignalMissing,
    Window,
)
from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason, SignalReason
from carbonaware_operator.cli.rules import RULES, Situation, Verdict, findings
from carbonaware_operator.planning.decide import decide
from carbonaware_operator.planning.decision import Continue
from carbonaware_operator.planning.job import Blocked, Job, ScheduleDefaults, resolve
from carbonaware_operator.planning.observed import Stage
from carbonaware_operator.planning.outlook import Fallback, Missing, Outlook, Signal
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import format_instant

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)  # a Sunday
ELSEWHEN = Window(days=[Day.MON], start="01:00", end="02:00")
FALLBACK = Fallback(MilligramsPerKWh(473_000), "world mean")
BLOCKED = Blocked(HoldReason.QUOTA_EXCEEDED, "quota is full", retry=None)


def at(milligrams: int) -> Outlook:
    """A zone with a fresh intensity."""
    signal = Signal(MilligramsPerKWh(milligrams), "Static", NOON, NOON + timedelta(hours=1))
    return Outlook("de", signal, FALLBACK)


def silent() -> Outlook:
    """A zone without a fresh intensity."""
    return Outlook("de", Missing(SignalReason.STALE, "no value for now"), FALLBACK)


def held(schedule: Schedule, **more: object) -> Job:
    """A held job in zone de."""
    resolved = resolve(schedule, NOON - timedelta(hours=1), ScheduleDefaults())
    job = Job(stage=Stage.HELD, suspend=False, zone_name="de", schedule=resolved)
    return replace(job, **more)  # type: ignore[arg-type]


FAR = format_instant(NOON + timedelta(days=9))
LATER = format_instant(NOON + timedelta(hours=5))
LOW = {"max_grams_per_kwh": 100, "start_by": FAR}
HOLD = WhenSignalMissing.HOLD

ONE_CONSTRAINT_LIFTED_AT_A_TIME = [
    ("suspend", held(Schedule(earliest_start=LATER), suspend=True, blocked=BLOCKED), None),
    ("workload", held(Schedule(earliest_start=LATER), blocked=BLOCKED), None),
    ("release request", held(Schedule(earliest_start=LATER), release_requested=True), None),
    ("earliestStart", held(Schedule(earliest_start=LATER, max_delay="1m")), None),
    ("latest start", held(Schedule(max_delay="1m", windows=[ELSEWHEN])), None),
    ("zone", held(Schedule(**LOW, windows=[ELSEWHEN])), None),
    ("windows", held(Schedule(**LOW, windows=[ELSEWHEN], when_signal_missing=HOLD)), silent()),
    ("strategy", held(Schedule(strategy=Strategy.IMMEDIATE, when_signal_missing=HOLD)), silent()),
    ("signal", held(Schedule(**LOW, when_signal_missing=HOLD)), silent()),
    ("preferredGramsPerKWh", held(Schedule(**LOW, preferred_grams_per_kwh=90)), at(80_000)),
    ("maxGramsPerKWh", held(Schedule(**LOW, preferred_grams_per_kwh=90)), at(300_000)),
]


class TestRules:
    def test_are_the_eleven_that_the_next_test_goes_through(self) -> None:
        """A rule that is added must be added to the table below."""
        assert [name for name, _, _ in ONE_CONSTRAINT_LIFTED_AT_A_TIME] == [r.name for r in RULES]

    @pytest.mark.parametrize(
        ("deciding", "job", "outlook"),
        ONE_CONSTRAINT_LIFTED_AT_A_TIME,
        ids=[name for name, _, _ in ONE_CONSTRAINT_LIFTED_AT_A_TIME],
    )
    def test_stand_in_the_order_of_decide(
        self, deciding: str, job: Job, outlook: Outlook | None
    ) -> None:
        """Of a job that later rules bind as well, the first is named and no later one is asked."""
        decision = decide(job, outlook, NOON)

        found = findings(Situation(job, outlook, NOON), decision)

        index = [f.rule for f in found].index(deciding)
        assert found[index].verdict in (Verdict.HOLDS, Verdict.STARTS, Verdict.FAILS)
        assert {Verdict.PASS} >= {f.verdict for f in found[:index]}
        assert {Verdict.NOT_ASKED} >= {f.verdict for f in found[index + 1 :]}

    @pytest.mark.parametrize("reason", [*HoldReason, *ReleaseReason, EndReason.DEADLINE_MISSED])
    def test_know_every_reason_of_a_decision_once(self, reason: str) -> None:
        """A reason that is added to the API belongs to one rule."""
        assert 1 == sum(reason in rule.reasons for rule in RULES)

    def test_are_not_asked_about_a_job_that_runs(self) -> None:
        """A running job waits for nothing."""
        assert [] == findings(Situation(held(Schedule()), None, NOON), Continue())


class TestFacts:
    @pytest.mark.parametrize(
        ("rule", "schedule", "outlook", "fact"),
        [
            ("maxGramsPerKWh", LOW, at(100_400), "100.4 is above 100 gCO2e/kWh"),
            ("maxGramsPerKWh", LOW, silent(), "473 is above 100 gCO2e/kWh"),
            ("signal", LOW, at(300_000), "300 gCO2e/kWh from Static, now"),
            ("windows", {}, at(1), "always open"),
            (
                "windows",
                {"windows": [ELSEWHEN]},
                at(1),
                "closed, opens 2026-03-02T01:00:00Z (in 13 h)",
            ),
            ("zone", {}, None, "there is no CarbonZone de"),
            (
                "latest start",
                {"max_delay": "4h", "when_deadline_reached": WhenDeadlineReached.FAIL},
                at(1),
                "2026-03-01T15:00:00Z (in 3 h); then the job fails",
            ),
            (
                "latest start",
                {"max_delay": "1m"},
                at(1),
                "2026-03-01T11:01:00Z (59 min ago) has passed: the job starts",
            ),
            (
                "latest start",
                {"max_delay": "4h", "windows": [ELSEWHEN]},
                at(1),
                "no window opens again before 2026-03-01T15:00:00Z (in 3 h): the job starts",
            ),
        ],
    )
    def test_say_what_the_rule_looks_at(
        self, rule: str, schedule: dict[str, object], outlook: Outlook | None, fact: str
    ) -> None:
        """A fact holds the numbers that the rule compares."""
        job = held(Schedule(**schedule))  # type: ignore[arg-type]

        found = findings(Situation(job, outlook, NOON), decide(job, outlook, NOON))

        assert fact == next(f.fact for f in found if f.rule == rule)
