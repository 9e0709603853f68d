"""`forecast backtest`: from files to scores; needs no cluster."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from carbonaware_operator.cli.commands import forecast
from carbonaware_operator.forecasting.series import HOUR
from forecasting_builders import NEW_YEAR, a_grid, a_history
from stand_in_api import Run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """60 days of two columns; the first is constant."""
    path = tmp_path / "zone.csv"
    starts = (NEW_YEAR + i * HOUR for i in range(24 * 60))
    rows = [
        f"{s:%Y-%m-%dT%H:%MZ},300,{v / 1000:.3f}" for s, v in zip(starts, a_grid(60), strict=True)
    ]
    path.write_text("\n".join(["utc,flat,lifecycle", *rows, ""]))
    return path


def _rewritten(trace: Path, line: int, text: str) -> Path:
    lines = trace.read_text().splitlines()
    lines[line - 1] = text
    trace.write_text("\n".join(lines))
    return trace


class TestBacktest:
    def test_prints_json(self, kubectl_carbonaware: Run, trace: Path) -> None:
        """The keys that docs/forecasting.md describes, and no other."""
        result = kubectl_carbonaware(
            *("forecast", "backtest", f"--trace={trace}", "--column=lifecycle", "--test-hours=240"),
            *("--horizon=96", "--model=smoothing", "--output=json"),
        )

        found = json.loads(result.stdout)
        assert ["model", "origins", "mape_by_day", "mape", "seconds"] == list(found)
        assert ("smoothing", 7, 4) == (found["model"], found["origins"], len(found["mape_by_day"]))
        assert found["mape"] == pytest.approx(sum(found["mape_by_day"]) / 4, abs=1e-3)
        assert "" == result.stderr

    def test_prints_a_table(self, kubectl_carbonaware: Run, trace: Path) -> None:
        """By default of the second column, here the one without any error."""
        result = kubectl_carbonaware(
            "forecast", "backtest", f"--trace={trace}", "--test-hours=96", "--horizon=48"
        )

        assert [
            "MODEL   DAY   MAPE %",
            "auto    1     0.00",
            "auto    2     0.00",
            "auto    all   0.00",
        ] == result.stdout.splitlines()

    def test_counts_forecasts_on_a_terminal(
        self, trace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing but the answer is left when it is done."""
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

        with forecast._progress() as on_origin:
            on_origin(1, 2)

        assert "\rforecast 1 of 2\r\x1b[K" == capsys.readouterr().err

    @pytest.mark.parametrize(
        ("line", "text", "message"),
        [
            (3, "2024-01-01T01:00,300,1", "line 3, column 'utc': must be an ISO 8601 instant"),
            (4, "2024-01-01T02:00Z,300,x", "line 4, column 'lifecycle': must be a number from 0"),
            (4, "2024-01-01T02:00Z,300,-1", "line 4, column 'lifecycle': must be a number from 0"),
            (4, "2024-01-01T02:00Z,300,nan", "line 4, column 'lifecycle': must be a number from"),
            (5, "2024-01-01T02:00Z,300,1", "line 5: each row must be later than the row before"),
            (1, "utc,flat,direct", "has no column 'lifecycle'; it has flat, direct"),
            (1, "utc", "must have a header with at least two columns"),
            (2, '"', "must be comma-separated values"),
        ],
    )
    def test_says_where_a_trace_is_wrong(
        self, kubectl_carbonaware: Run, trace: Path, line: int, text: str, message: str
    ) -> None:
        """File, line and column, on one line, exit code 1."""
        _rewritten(trace, line, text)

        result = kubectl_carbonaware(
            "forecast", "backtest", f"--trace={trace}", "--column=lifecycle"
        )

        assert 1 == result.exit_code
        assert f"Error: {trace}" in result.stderr
        assert message in result.stderr
        assert 1 == result.stderr.count("\n")

    def test_says_what_cannot_be_read(self, kubectl_carbonaware: Run, tmp_path: Path) -> None:
        """A missing file, bytes that are no text, a column without values."""
        binary, empty = tmp_path / "binary", tmp_path / "empty"
        binary.write_bytes(b"utc,\xff\n")
        empty.write_text("utc,value\n2024-01-01T00:00Z,\n")

        errors = [
            kubectl_carbonaware("forecast", "backtest", f"--trace={path}").stderr
            for path in (tmp_path / "absent", binary, empty)
        ]

        assert "absent: No such file or directory" in errors[0]
        assert "binary must be text in UTF-8" in errors[1]
        assert "empty: there must be at least one value" in errors[2]

    def test_says_when_a_trace_is_too_short(self, kubectl_carbonaware: Run, trace: Path) -> None:
        """Ridge needs half a year."""
        result = kubectl_carbonaware(
            "forecast", "backtest", f"--trace={trace}", "--test-hours=240", "--model=ridge"
        )

        assert 1 == result.exit_code
        assert "ridge needs at least 4200 hours of history; there are 1200" in result.stderr


class TestPrices:
    def test_lower_the_error_of_ridge(self, kubectl_carbonaware: Run, tmp_path: Path) -> None:
        """Files of several years join; a price may be negative, a history may begin before them."""
        values = a_history(230, noise=0.2).values / 1000
        starts = [f"{NEW_YEAR + i * HOUR:%Y-%m-%dT%H:%MZ}" for i in range(len(values))]
        trace, *prices = tmp_path / "zone.csv", tmp_path / "1.csv", tmp_path / "2.csv"
        for path, rows, column in (
            (trace, slice(None), values),
            (prices[0], slice(240, 3000), values - 310),
            (prices[1], slice(3000, None), values - 310),
        ):
            lines = [f"{s},{v:.2f}" for s, v in zip(starts[rows], column[rows], strict=True)]
            path.write_text("\n".join(["utc,value", *lines]))
        command = ("forecast", "backtest", f"--trace={trace}", "--model=ridge", "--output=json")
        command += ("--test-hours=240", "--horizon=24")

        without = kubectl_carbonaware(*command)
        beside = kubectl_carbonaware(
            *command, *(f"--price={path}" for path in prices), "--price-time-zone=UTC"
        )

        scores = [json.loads(result.stdout)["mape"] for result in (without, beside)]
        assert scores[1] < 0.7 * scores[0]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--price-column=usd",), "--price-column needs --price"),
            (("--price-time-zone=Mars/Base",), "must be a time zone such as Europe/Berlin"),
            (("--price-time-zone=Europe",), "must be a time zone such as Europe/Berlin"),
            (("--horizon=121",), "121 is not in the range 1<=x<=120"),
        ],
    )
    def test_wrong_usage_is_exit_code_2(
        self, kubectl_carbonaware: Run, trace: Path, options: tuple[str, ...], message: str
    ) -> None:
        """Before any file is read."""
        result = kubectl_carbonaware("forecast", "backtest", f"--trace={trace}", *options)

        assert (2, True) == (result.exit_code, message in result.stderr)


def test_no_other_verb_pays_for_numpy() -> None:
    """The command line and the operator load NumPy with the first forecast."""
    names = ("jobs", "explain", "changes", "wait", "top", "zones", "forecast")
    modules = ", ".join(f"carbonaware_operator.cli.commands.{name}" for name in names)
    check = f"import sys, {modules}; sys.exit('numpy' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", check], check=False).returncode
