"""A schedule is resolved once: defaults filled in, one latest start, everything to the second."""

from dataclasses import replace
from datetime import timedelta

import pytest

from builders import NOON, a_window, hours, minutes
from carbonaware_operator.api.job import (
    CarbonAwareJobSpec,
    JobTemplate,
    Schedule,
    Strategy,
    WhenDeadlineReached,
    WhenSignalMissing,
)
from carbonaware_operator.planning.resolve import (
    SETTINGS,
    Defaults,
    Given,
    Source,
    given_of,
    resolve,
)
from carbonaware_operator.quantities.instants import parse_instant

MIDNIGHT = "2026-06-16T00:00:00Z"


def a_given(zone_name: str | None = None, **schedule: object) -> Given:
    """What is read of a spec with these fields of its schedule."""
    return given_of(
        CarbonAwareJobSpec(
            job_template=JobTemplate(spec={}),
            zone_name=zone_name,
            schedule=Schedule.model_validate(schedule) if schedule else None,
        )
    )


def deadline(**schedule: object):
    """The latest start of a job that was created at noon."""
    return resolve(a_given(**schedule), NOON, SETTINGS).schedule.deadline


class TestLatestStart:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            pytest.param({}, NOON + hours(24), id="none given: the operator's default"),
            pytest.param({"maxDelay": "90m"}, NOON + minutes(90), id="maxDelay: from creation"),
            pytest.param(
                {"maxDelay": "90m", "earliestStart": MIDNIGHT},
                NOON + hours(13.5),
                id="maxDelay: from earliestStart, where that is later",
            ),
            pytest.param(
                {"earliestStart": "2026-06-19T12:00:00Z"},
                NOON + hours(5 * 24),
                id="the default delay as well",
            ),
            pytest.param(
                {"maxDelay": "90m", "earliestStart": "2026-06-14T00:00:00Z"},
                NOON + minutes(90),
                id="an earliestStart in the past changes nothing",
            ),
            pytest.param({"startBy": MIDNIGHT}, NOON + hours(12), id="startBy"),
            pytest.param(
                {"finishBy": MIDNIGHT, "expectedDuration": "4h"},
                NOON + hours(8),
                id="finishBy less the expected duration",
            ),
            pytest.param(
                {"startBy": "2026-06-16T00:00:00.9Z"}, NOON + hours(12), id="cut to the second"
            ),
            pytest.param(
                {"finishBy": MIDNIGHT, "expectedDuration": "600000h"},
                parse_instant("1970-01-01T00:00:00Z"),
                id="never before what the API can hold",
            ),
            pytest.param(
                {"maxDelay": "2562047h", "earliestStart": "8999-01-01T00:00:00Z"},
                parse_instant("8999-12-31T23:59:59Z"),
                id="nor after it",
            ),
        ],
    )
    def test_follows_from_the_one_field_that_is_given(self, schedule, expected):
        """Whatever the user wrote, the planner knows one latest start."""
        assert expected == deadline(**schedule)

    def test_is_inside_a_window(self):
        """The last instant of a window that meets the deadline is found once, not at each look."""
        windows = [a_window("20:00", "22:00").model_dump(by_alias=True)]

        schedule = resolve(a_given(windows=windows), NOON, SETTINGS).schedule

        assert NOON + hours(10) - minutes(1) == schedule.last_start


class TestDefaults:
    def test_a_given_value_stands_before_every_other(self):
        """Job before defaults, and what it says is not told as filled in."""
        given = a_given(
            "de",
            strategy="Immediate",
            maxDelay="1h",
            whenSignalMissing="Hold",
            whenDeadlineReached="Fail",
        )

        resolved = resolve(given, NOON, replace(SETTINGS, zone_name="world"))

        assert ("de", ()) == (resolved.zone_name, resolved.applied)
        assert (Strategy.IMMEDIATE, WhenSignalMissing.HOLD, WhenDeadlineReached.FAIL) == (
            resolved.schedule.strategy,
            resolved.schedule.when_signal_missing,
            resolved.schedule.when_deadline_reached,
        )

    def test_what_was_filled_in_is_told_by_source(self):
        """The first source that has a value fills it in; a later one only what is left."""
        first = Defaults(Source.SETTINGS, zone_name="is", max_delay=timedelta(hours=2))
        last = replace(SETTINGS, zone_name="world")

        resolved = resolve(a_given(strategy="Immediate"), NOON, first, last)

        assert ("is", NOON + hours(2)) == (resolved.zone_name, resolved.schedule.deadline)
        assert (
            first,
            Defaults(
                Source.SETTINGS,
                when_signal_missing=SETTINGS.when_signal_missing,
                when_deadline_reached=SETTINGS.when_deadline_reached,
            ),
        ) == resolved.applied

    @pytest.mark.parametrize(
        "schedule",
        [{"startBy": MIDNIGHT}, {"finishBy": MIDNIGHT, "expectedDuration": "1h"}],
    )
    def test_a_job_with_another_deadline_is_given_no_delay(self, schedule):
        """A delay that decides nothing was not filled in."""
        (settings,) = resolve(a_given(**schedule), NOON, SETTINGS).applied

        assert None is settings.max_delay

    def test_of_equal_jobs_are_kept_once(self):
        """A thousand jobs of a sweep cost what one costs."""
        once, again = a_given("de", maxDelay="1h"), a_given("de", maxDelay="1h")

        assert once is again
        assert resolve(once, NOON, SETTINGS).applied is resolve(again, NOON, SETTINGS).applied


class TestGiven:
    def test_a_limit_of_zero_is_a_limit(self):
        """Zero is not the same as absent."""
        assert 0 == resolve(a_given(maxGramsPerKWh=0), NOON, SETTINGS).schedule.max_intensity

    def test_the_expected_duration_is_kept(self):
        """A forecast is asked about all of a run, not about its start."""
        resolved = resolve(a_given(expectedDuration="90m"), NOON, SETTINGS)

        assert minutes(90) == resolved.schedule.expected_duration

    def test_an_unknown_time_zone_is_an_error(self):
        """What CEL let through and Python does not know must not pass for another zone."""
        window = {"start": "01:00", "end": "02:00", "timeZone": "Mars/Olympus"}

        with pytest.raises(KeyError):
            a_given(windows=[window])
