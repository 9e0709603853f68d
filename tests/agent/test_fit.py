"""Fitting power models: the table, the models, and how they are judged."""

import json
import subprocess
import sys

import pytest

from benchmarks import power_models
from carbonaware_agent.calibration.cross_validation import method, predicted
from carbonaware_agent.calibration.fit import compare
from carbonaware_agent.calibration.models import PowerRow, UnfittableError, fits
from carbonaware_agent.calibration.scores import Residuals, Score, score
from carbonaware_agent.calibration.table import BadTableError, read_rows
from carbonaware_agent.host import Processor
from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.model import power_model, share_of_maximum

SERVER = PowerCurve([(0.0, 50.0), (0.1, 90.0), (0.5, 150.0), (0.8, 220.0), (1.0, 300.0)])
TWENTIETHS = [twentieth / 20 for twentieth in range(21)]


def rows(power, loads=TWENTIETHS) -> list[PowerRow]:
    """Measured rows of a machine of known power."""
    return [PowerRow(load, power(load)) for load in loads]


class TestModels:
    @pytest.mark.parametrize(
        ("model", "power"),
        [
            ("linear", lambda load: 60 + 90 * load),
            ("quadratic", lambda load: 60 + 90 * load + 50 * load**2),
            ("curve", SERVER.watts),
            ("shape", lambda load: 200 * share_of_maximum(load)),
        ],
    )
    def test_each_finds_the_machine_it_describes(self, model, power):
        """From a third of the loads, at all others."""
        predict = fits(None)[model](rows(power, [*TWENTIETHS[::3], 0.1, 1.0]))

        assert [power(load) for load in TWENTIETHS] == pytest.approx(
            [predict(load) for load in TWENTIETHS]
        )

    def test_design_power_needs_no_rows(self):
        """It is what an agent does that knows nothing else."""
        models = fits(100.0)

        assert 100 * share_of_maximum(0.3) == models["tdp"]([])(0.3)
        assert 30 == models["tdp-line"]([])(0.3)
        assert "tdp" not in fits(None)

    def test_too_few_loads_do_not_determine_a_model(self):
        """Rather none than any of the many that would fit."""
        with pytest.raises(UnfittableError):
            fits(None)["quadratic"]([PowerRow(0.1, 50.0), PowerRow(0.9, 90.0)])


class TestJudgement:
    def test_scores_are_those_of_the_textbook(self):
        """Residuals of +1, -2 and 0 W around powers with a variance of 14 in sum."""
        expected = Score(
            r_squared=pytest.approx(1 - 5 / 14),
            error_ratio=pytest.approx((1 / 10 + 2 / 11 + 0) / 3),
            error_watts=1.0,
            residuals=Residuals(-2.0, 0.0, 1.0),
        )

        assert expected == score([10.0, 11.0, 15.0], [11.0, 9.0, 15.0])

    def test_a_row_is_predicted_without_itself(self):
        """A mean of the others is off by what the row differs from them."""
        mean = lambda some: lambda _: sum(row.watts for row in some) / len(some)  # noqa: E731

        expected = [25.0, 20.0, 15.0]
        assert expected == predicted(mean, rows(lambda load: 10 + 20 * load, [0.0, 0.5, 1.0]))

    def test_many_rows_are_left_out_in_ten_parts(self):
        """Each row once, by the nine others of every ten."""
        seen = []
        many = [PowerRow(number / 1000, 50.0) for number in range(1000)]

        predicted(lambda some: seen.append(len(some)) or (lambda _: 50.0), many)

        assert [900] * 10 == seen
        assert "10-fold, every 10th row" == method(len(many))

    def test_the_best_model_comes_first(self):
        """By relative error, of a machine whose power bends as servers' does."""
        judged = compare(rows(SERVER.watts), design_watts=300).judged

        assert "curve" == judged[0].model
        assert "tdp-line" == judged[-1].model

    def test_bins_tell_where_a_model_is_wrong(self):
        """A line hides that little load takes much power."""
        (line,) = [each for each in compare(rows(SERVER.watts)).judged if each.model == "linear"]

        assert [0.0, 0.2, 0.4, 0.6, 0.8] == [part.from_load for part in line.bins]
        assert 21 == sum(part.rows for part in line.bins)
        assert line.bins[0].score.error_ratio > line.bins[2].score.error_ratio


class TestTable:
    def table(self, tmp_path, text: str, load_column: str = "load") -> list[PowerRow]:
        """The rows of a file."""
        (tmp_path / "power.csv").write_text(text)
        return read_rows(tmp_path / "power.csv", load_column, "watts")

    GOOD = "".join(f"{load},{60 + load}\n" for load in (0.0, 0.25, 0.5, 0.75, 1.0))

    def test_columns_are_found_by_name(self, tmp_path):
        """Among others, and after comments."""
        text = "# by a meter\nwatts,when,load\n" + "50,now,0.5\n" * 5

        assert [PowerRow(0.5, 50.0)] * 5 == self.table(tmp_path, text)

    def test_a_column_that_says_so_is_percent(self, tmp_path):
        """By its name, as values of 0 to 1 may be either."""
        text = "cpu_percent,watts\n" + "0.5,50\n" * 5

        assert [PowerRow(0.005, 50.0)] * 5 == self.table(tmp_path, text, "cpu_percent")

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("0.5,much", "line 7, column watts: 'much' is not a number"),
            ("0.5", "line 7, column watts: None is not a number"),
            ("nan,50", "line 7, column load: 'nan' is not a number"),
            ("50,50", "line 7, column load: 50 must be 0 to 1 (a column in percent must have"),
            ("0.5,0", "line 7, column watts: 0 must be above 0"),
        ],
    )
    def test_a_bad_row_is_named(self, tmp_path, line, told):
        """By line and column."""
        with pytest.raises(BadTableError) as caught:
            self.table(tmp_path, f"load,watts\n{self.GOOD}{line}\n")

        assert str(caught.value).startswith(told)

    def test_a_column_that_is_not_there_is_named(self, tmp_path):
        """With those that are."""
        with pytest.raises(BadTableError, match="no column load; there are: cpu, watts"):
            self.table(tmp_path, "cpu,watts\n1,2\n")

    def test_a_few_rows_are_not_enough(self, tmp_path):
        """Nothing could be left out."""
        with pytest.raises(BadTableError, match="has 1 rows; at least 5"):
            self.table(tmp_path, "load,watts\n0.5,50\n")


class TestCommand:
    def run(self, tmp_path, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run it on a table of a known machine."""
        file = tmp_path / "power.csv"
        lines = [f"{row.load},{row.watts}" for row in rows(SERVER.watts)]
        file.write_text("\n".join(["load,watts", *lines]))
        command = (sys.executable, "-m", "carbonaware_agent", "fit", f"--csv={file}", *flags)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def test_it_prints_a_comparison(self, tmp_path):
        """As text, and as JSON."""
        text = self.run(tmp_path)
        document = json.loads(self.run(tmp_path, "-o", "json", "--tdp-watts=300").stdout)

        assert "21 rows, judged by rows left out (leave-one-out)" in text.stdout
        assert "curve" == document["judged"][0]["model"]
        assert 6 == len(document["judged"])

    def test_an_unusable_table_ends_with_the_reason(self, tmp_path):
        """And exit code 1."""
        run = self.run(tmp_path, "--load-column=cpu")

        assert (1, "cannot fit: there is no column cpu; there are: load, watts\n") == (
            run.returncode,
            run.stderr,
        )


class TestStatedErrors:
    """The errors that agents state must cover what the models do on published results."""

    def error_ratio(self, name: str) -> float:
        """Of one of the benchmark's models, over all loads of all its servers."""
        servers = power_models.servers()
        return power_models.judged(
            power_models.models(servers)[name], servers, range(11)
        ).error_ratio

    @pytest.mark.parametrize(
        ("figures", "model"),
        [
            ((200.0, None), "shape (the agent's) x maximum"),
            ((None, 200.0), "design power x shape (the agent's)"),
        ],
    )
    def test_they_cover_the_servers(self, figures, model):
        """In the mean; a single server may be further off."""
        maximum_watts, design_watts = figures
        stated = power_model(
            Processor(2, guest=False), maximum_watts=maximum_watts, design_watts=design_watts
        )

        assert self.error_ratio(model) <= stated.error_ratio

    def test_a_fifth_point_halves_the_error(self):
        """Which is why `calibrate` measures it."""
        five = self.error_ratio("curve of five points: 0, 10, 50, 80, 100 %")
        four = self.error_ratio("curve of four points: 0, 10, 50, 100 %")

        assert five < 0.5 * four < 0.02
