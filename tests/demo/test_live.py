"""The live view, on a terminal and elsewhere."""

import io

from rich.console import Console

from demo_facts import ZONE_CREATED, a_job
from testbed.demo import live, scene
from testbed.demo.day import typical_day
from testbed.demo.facts import Observation, State


def a_view(*jobs, day_seconds=50.0):
    """A moment ten recorded hours after the start."""
    seen = Observation(ZONE_CREATED, 160.0, jobs)
    return live.View(typical_day(), "real", day_seconds, 44.0, seen)


def lines_of(*views):
    """What is printed without a terminal."""
    output = io.StringIO()
    with live.screen(Console(file=output, width=120)) as screen:
        for view in views:
            screen.show(view)
    return output.getvalue().splitlines()


class TestWithoutATerminal:
    def test_a_change_is_a_line(self):
        """With the time, the hour and the intensity that explain it."""
        held = a_job(scene.CLEAN_GRID, state=State.HELD, reason="AboveMaxIntensity")

        lines = lines_of(a_view(held), a_view(held), a_view(a_job(scene.CLEAN_GRID)))

        assert [
            "   44 s  hour 10   160 gCO2e/kWh  clean-grid: held, AboveMaxIntensity",
            "   44 s  hour 10   160 gCO2e/kWh  clean-grid: complete, IntensityAcceptable",
        ] == lines


class TestOnATerminal:
    def test_the_picture_shows_day_and_jobs(self):
        """Everything that the story needs is in sight."""
        output = io.StringIO()
        console = Console(file=output, width=120, force_terminal=True)
        with live.screen(console) as screen:
            screen.show(a_view(a_job(scene.WINDOW)))

        shown = output.getvalue()
        for word in ("hour 10", "160 gCO2e/kWh", "real node", "█", "window", "complete", "55 %"):
            assert word in shown


class TestSparkline:
    def test_has_a_bar_for_each_hour_and_dims_what_is_to_come(self):
        """The hour that plays is the last one in full colour."""
        line = live.sparkline(a_view())

        bars = line.plain.partition(" ")[0]
        dim = [span for span in line.spans if "dim" in str(span.style)]
        assert 2 * 24 == len(bars)
        assert 13 == len(dim)

    def test_is_green_where_the_grid_is_clean(self):
        """Green means that the threshold job may start."""
        line = live.sparkline(a_view())

        assert [10] == [s.start // 2 for s in line.spans if s.style == "green"]
