"""What is left of the demo: a table for people, a file for programs."""

from rich.console import Console

from demo_facts import a_job
from testbed.demo import report, scene


class TestSummary:
    def test_has_the_documented_fields(self):
        """Programs rely on their names and units."""
        written = report.summary([a_job()], {scene.IMMEDIATE: []}, "real")

        assert {
            "jobs": [
                {
                    "name": "immediate",
                    "reason": "Immediate",
                    "heldSeconds": 0,
                    "runSeconds": 16,
                    "energyJoules": 120,
                    "emissionsGrams": 0.005,
                    "baselineGrams": 0.0112,
                    "avoidedPercent": 55,
                    "asSpecified": True,
                }
            ],
            "node": "real",
        } == written

    def test_says_null_where_nothing_is_known(self):
        """Not zero."""
        job = a_job(energy_joules=None, emissions_ug=None)

        (written,) = report.summary([job], {scene.IMMEDIATE: ["no energy"]}, "real")["jobs"]

        assert (None, None) == (written["energyJoules"], written["emissionsGrams"])
        assert written["asSpecified"] is False


class TestComparison:
    def test_shows_each_job_against_itself_at_once(self):
        """On one line."""
        console = Console(width=140)
        with console.capture() as shown:
            jobs = [a_job(scene.CLEAN_GRID)]
            console.print(report.comparison(jobs, {scene.CLEAN_GRID: []}, "simulated"))

        (line,) = [line for line in shown.get().splitlines() if scene.CLEAN_GRID in line]
        words = " ".join(line.replace("│", " ").split())
        assert "clean-grid IntensityAcceptable 44 s 16 s 120 J 5.0 mg 11.2 mg 55 % yes" == words
