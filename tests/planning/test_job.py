"""A schedule is resolved once: defaults filled in, one latest start, everything to the second."""

from datetime import timedelta

import pytest

from builders import NOON, hours, minutes
from carbonaware_operator.api.job import Schedule
from carbonaware_operator.planning.job import ScheduleDefaults, resolve

DEFAULTS = ScheduleDefaults()


class TestLatestStart:
    @pytest.mark.parametrize(
        ("schedule", "expected"),
        [
            pytest.param(None, NOON + hours(24), id="none given: the operator's default"),
            pytest.param({"maxDelay": "90m"}, NOON + minutes(90), id="maxDelay: from creation"),
            pytest.param({"startBy": "2026-06-16T00:00:00Z"}, NOON + hours(12), id="startBy"),
            pytest.param(
                {"finishBy": "2026-06-16T00:00:00Z", "expectedDuration": "4h"},
                NOON + hours(8),
                id="finishBy less the expected duration",
            ),
            pytest.param(
                {"startBy": "2026-06-16T00:00:00.9Z"}, NOON + hours(12), id="cut to the second"
            ),
        ],
    )
    def test_follows_from_the_one_field_that_is_given(self, schedule, expected):
        """Whatever the user wrote, the planner knows one latest start."""
        given = Schedule.model_validate(schedule) if schedule else None

        assert expected == resolve(given, NOON, DEFAULTS).deadline

    def test_the_default_can_be_set(self):
        """An operator's default delay takes the place of 24 h."""
        defaults = ScheduleDefaults(max_delay=timedelta(hours=2))

        assert NOON + hours(2) == resolve(None, NOON, defaults).deadline


class TestDefaults:
    def test_a_given_value_stands_before_a_default(self):
        """Job before defaults."""
        resolved = resolve(Schedule.model_validate({"strategy": "Immediate"}), NOON, DEFAULTS)

        assert "Immediate" == resolved.strategy

    def test_a_limit_of_zero_is_a_limit(self):
        """Zero is not the same as absent."""
        resolved = resolve(Schedule.model_validate({"maxGramsPerKWh": 0}), NOON, DEFAULTS)

        assert 0 == resolved.max_intensity

    def test_an_unknown_time_zone_is_an_error(self):
        """What CEL let through and Python does not know must not pass for another zone."""
        window = {"start": "01:00", "end": "02:00", "timeZone": "Mars/Olympus"}

        with pytest.raises(KeyError):
            resolve(Schedule.model_validate({"windows": [window]}), NOON, DEFAULTS)
