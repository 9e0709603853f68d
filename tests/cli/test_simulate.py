"""`simulate`: from files to what would become of their jobs; needs no cluster."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from carbonaware_operator.cli import main
from stand_in_api import Run

EXAMPLES = Path(__file__).parents[2] / "examples"
EVENING = "2026-12-01T17:00:00Z"


@pytest.fixture
def simulate() -> Run:
    """Run the command for jobs that are created on a Tuesday at 17:00 UTC."""
    return lambda *arguments, **kwargs: CliRunner().invoke(
        main.cli, ["simulate", "--start", EVENING, *map(str, arguments)], **kwargs
    )


def a_job(**schedule: object) -> dict[str, object]:
    """A job of zone de."""
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonAwareJob",
        "metadata": {"name": "train"},
        "spec": {"zoneName": "de", "jobTemplate": {"spec": {}}, "schedule": schedule},
    }


def a_zone(name: str = "de", **source: object) -> dict[str, object]:
    """A CarbonZone with a source of this kind."""
    return {
        "apiVersion": "carbonaware.io/v1alpha1",
        "kind": "CarbonZone",
        "metadata": {"name": name},
        "spec": {"source": source},
    }


def a_file(folder: Path, *objects: dict[str, object]) -> Path:
    """A file with these objects."""
    path = folder / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


# waits until, reason, seconds, grams at once and then, percent saved: of the twenty seconds it runs
EXAMPLE_JOBS = {
    "clean-grid": ("2026-12-01T17:00:50Z", "IntensityAcceptable", 50, 340, 136, 60),
    "window": ("2026-12-01T19:00:00Z", "Immediate", 7200, 340, 340, 0),
    "deadline": ("2026-12-01T17:00:40Z", "DeadlineReached", 40, 340, 232, 32),
    "immediate": (EVENING, "Immediate", 0, 340, 340, 0),
    "suspended": (None, "SuspendedByUser", None, None, None, None),
}


class TestExamples:
    @pytest.mark.parametrize("name", EXAMPLE_JOBS)
    def test_do_what_their_comments_say(self, simulate: Run, name: str):
        """On the recorded day of their own zone, an hour every five seconds."""
        items = json.loads(simulate("-f", EXAMPLES, "-o", "json").stdout)["items"]
        (item,) = (item for item in items if item["name"] == name)
        start, reason, held, at_once, then, saved = EXAMPLE_JOBS[name]

        assert reason == item["steps"][-1]["reason"]
        assert (start, held, saved) == (
            item["startTime"], item["heldSeconds"], item["avoidedPercent"],
        )  # fmt: skip
        assert (at_once, then) == tuple(
            item[key] and round(item[key] / 1000)
            for key in ("baselineMilligramsPerKWh", "milligramsPerKWh")
        )

    def test_of_a_real_day_are_told_in_a_table(self, simulate: Run):
        """As docs/cli.md shows it."""
        result = simulate("-f", EXAMPLES / "simulate")

        page = (EXAMPLES.parent / "docs" / "cli.md").read_text()
        assert result.stdout in page
        assert 0 == result.exit_code


class TestGrid:
    def test_is_a_fixed_value(self, simulate: Run, tmp_path: Path):
        """A zone of the files wins over the built-in one of the same name."""
        path = a_file(tmp_path, a_zone(type="Static", static={"gramsPerKWh": 120}), a_job())

        (item,) = json.loads(simulate("-f", path, "-o", "json").stdout)["items"]

        assert (EVENING, 120_000) == (item["startTime"], item["milligramsPerKWh"])

    def test_is_that_of_the_zone_asked_for(self, simulate: Run, tmp_path: Path):
        """Whatever the jobs name; the source is said with its year."""
        found = json.loads(
            simulate("-f", a_file(tmp_path, a_job()), "--zone", "fr", "-o", "json").stdout
        )

        assert ["Electricity Maps, zone FR, hourly means of 2022"] == [
            zone["values"] for zone in found["zones"]
        ]
        assert ["fr"] == [item["zone"] for item in found["items"]]

    def test_is_the_mean_of_the_year_where_no_hours_are_published(self, simulate, tmp_path: Path):
        """And says that it is the same all day."""
        found = json.loads(
            simulate("-f", a_file(tmp_path, a_job()), "--zone", "pl", "-o", "json").stdout
        )

        (zone,) = found["zones"]
        assert "Electricity Maps, zone PL, mean of 2025, the same all day" == zone["values"]
        assert 1 == len(set(zone["milligramsPerKWh"]))

    def test_is_the_published_one_of_a_source_that_would_have_to_be_asked(self, simulate, tmp_path):
        """No network: the key of the source says which zone it is."""
        source = {"country": "fr"}
        path = a_file(tmp_path, a_zone(type="EnergyCharts", energyCharts=source), a_job())

        (zone,) = json.loads(simulate("-f", path, "-o", "json").stdout)["zones"]

        assert "Electricity Maps, zone FR, hourly means of 2022" == zone["values"]

    def test_that_ends_leaves_its_jobs_to_the_fallback(self, simulate: Run, tmp_path: Path):
        """A recording that does not loop is stale soon after its last row, as at the operator."""
        rows = "time,grams\n2026-01-01T00:00Z,500\n2026-01-01T01:00Z,500\n"
        recording = {"configMapRef": {"name": "day", "key": "csv"}}
        path = a_file(
            tmp_path,
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "day"},
             "data": {"csv": rows}},
            a_zone(type="Recording", recording=recording),
            a_job(maxGramsPerKWh=400),
        )  # fmt: skip

        (item,) = json.loads(simulate("-f", path, "-o", "json").stdout)["items"]

        assert "2026-12-01T19:00:10Z" == item["startTime"]  # zone DE stands in with less than 400
        assert item["milligramsPerKWh"] is None

    def test_that_does_not_exist_holds_the_job_until_its_deadline(self, simulate, tmp_path: Path):
        """As a CarbonZone that was never created."""
        job = a_job(maxDelay="2h") | {"spec": {"zoneName": "atlantis", "jobTemplate": {"spec": {}},
                                               "schedule": {"maxDelay": "2h"}}}  # fmt: skip
        (item,) = json.loads(simulate("-f", a_file(tmp_path, job), "-o", "json").stdout)["items"]

        assert ["NoZone", "DeadlineReached"] == [step["reason"] for step in item["steps"]]


REFUSED = {
    "a misspelt field": (
        [a_job(maxGramPerKWh=3)],
        "spec.schedule.maxGramPerKWh: there is no such field",
    ),
    "a value out of bounds": ([a_job(maxGramsPerKWh=-1)], "spec.schedule.maxGramsPerKWh: "),
    "a time zone that nobody knows": (
        [a_job(windows=[{"start": "08:00", "end": "09:00", "timeZone": "Mars/Base"}])],
        "CarbonAwareJob train: No time zone found with key Mars/Base",
    ),
    "a recording that is in no file": (
        [a_zone(type="Recording", recording={"configMapRef": {"name": "day", "key": "c"}}),
         a_job()],
        "CarbonZone de plays ConfigMap day: give the file that holds it too",
    ),
    "annotations that are no map": (
        [a_job() | {"metadata": {"name": "train", "annotations": ["a"]}}],
        "CarbonAwareJob train: metadata.annotations must be a map",
    ),
    "a namespace that is no string": (
        [a_job() | {"metadata": {"name": "train", "namespace": ["a"]}}],
        "CarbonAwareJob train: metadata.namespace must be a string",
    ),
    "no job": ([a_zone(type="Static", static={"gramsPerKWh": 1})], "no CarbonAwareJob in "),
}  # fmt: skip


def test_reads_the_list_that_kubectl_get_prints(simulate: Run, tmp_path: Path):
    """`kubectl get caj -o yaml` wraps the objects."""
    wrapped = {"apiVersion": "v1", "kind": "List", "items": [a_job()]}

    assert 0 == simulate("-f", a_file(tmp_path, wrapped)).exit_code


class TestRefusals:
    @pytest.mark.parametrize(("objects", "said"), REFUSED.values(), ids=REFUSED.keys())
    def test_say_what_to_change(self, simulate: Run, tmp_path: Path, objects, said: str):
        """One line, and exit code 1."""
        result = simulate("-f", a_file(tmp_path, *objects))

        assert said in result.stderr
        assert (1, 1) == (result.exit_code, result.stderr.count("\n"))

    def test_of_a_zone_that_is_nowhere(self, simulate: Run, tmp_path: Path):
        """To play no grid is not what was asked for."""
        result = simulate("-f", a_file(tmp_path, a_job()), "--zone", "atlantis")

        assert "there is no CarbonZone atlantis in the files, and no built-in zone" in result.stderr

    def test_of_what_is_no_yaml(self, simulate: Run):
        """From stdin, as kubectl takes it."""
        result = simulate("-f", "-", input="a: [b")

        assert "Error: - must be YAML or JSON: " in result.stderr
