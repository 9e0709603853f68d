"""Whether a job came to the end that its spec demands."""

from datetime import timedelta

import pytest

from demo_facts import CREATED, DUE, OPENING, TERMS, a_job
from testbed.demo import scene
from testbed.demo.facts import State
from testbed.demo.verdict import judge


def seconds(count):
    """A length of time."""
    return timedelta(seconds=count)


class TestJudge:
    @pytest.mark.parametrize("name", scene.JOBS)
    @pytest.mark.parametrize("late", [0, 3, 10])
    def test_has_no_complaint_about_a_job_that_did_as_specified(self, name, late):
        """A busy machine may take a few seconds."""
        assert [] == judge(a_job(name, released=DUE[name] + seconds(late)), TERMS)

    @pytest.mark.parametrize("name", scene.JOBS)
    def test_complains_of_a_release_long_after_it_was_due(self, name):
        """Also when the reason is right."""
        (wrong,) = judge(a_job(name, released=DUE[name] + seconds(11)), TERMS)

        assert "after" in wrong

    @pytest.mark.parametrize("name", [scene.WINDOW, scene.DEADLINE, scene.SUSPENDED])
    def test_complains_of_a_release_before_it_was_due(self, name):
        """A window, a deadline and a user are not anticipated."""
        (wrong,) = judge(a_job(name, released=DUE[name] - seconds(5)), TERMS)

        assert "before" in wrong

    def test_complains_of_a_threshold_job_on_a_dirty_grid(self):
        """Fifteen seconds early it still is the ninth hour, or less."""
        (wrong,) = judge(a_job(scene.CLEAN_GRID, released=CREATED + seconds(29)), TERMS)

        assert "must not start above 200 gCO2e/kWh" in wrong

    def test_does_not_let_a_window_open_a_second_early(self):
        """Its opening is exact: the operator decides, not the grid."""
        assert judge(a_job(scene.WINDOW, released=OPENING.start - seconds(1)), TERMS)

    def test_complains_of_a_suspended_job_that_nobody_released(self):
        """The user's hold always wins."""
        (wrong,) = judge(a_job(scene.SUSPENDED, freed=None), TERMS)

        assert "suspends it" in wrong

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"reason": "DeadlineReached"}, "because of Immediate, but says DeadlineReached"),
            ({"reason": "", "released": None}, "says nothing"),
            ({"child_count": 2}, "exactly one child Job, but has 2"),
            ({"child_count": 0}, "exactly one child Job, but has 0"),
            ({"state": State.FAILED}, "must be complete, but is failed"),
            ({"state": State.RUNNING}, "must be complete, but is running"),
            ({"energy_joules": None}, "none was measured"),
            ({"energy_joules": 0}, "none was measured"),
            ({"settled": False}, "must be settled"),
        ],
    )
    def test_names_what_is_wrong(self, changes, words):
        """One complaint for one fault."""
        (wrong,) = judge(a_job(**changes), TERMS)

        assert words in wrong
