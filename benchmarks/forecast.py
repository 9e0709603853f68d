"""How well and how fast the grid is forecast from its own history.

On published traces: the 96 h MAPE of each model on six grids, the same on eight grids and years on
which no constant was chosen, the 24 h MAPE with and without day-ahead prices on two, and the time
and memory of one refit with its forecast.
Partners in the same run: the same hour of yesterday, and a process that imports NumPy and reads
the trace, but forecasts nothing.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("CARBONAWARE_DATA", "../shared/data"))
GRIDS = ("CISO", "DE", "ERCO", "ES", "ISNE", "PJM")
OTHERS = ("CA-ON", "DE", "GB", "IN-WE", "SG", "US-CAL-CISO", "US-MIDA-PJM", "US-TEX-ERCO")
MODELS = ("yesterday", "smoothing", "ridge", "auto")
MARKETS = {"US-CAL-CISO": "America/Los_Angeles", "US-TEX-ERCO": "America/Chicago"}
YEARS = (2022, 2023)
ONE_REFIT = """
import json, resource, sys, time
from carbonaware_operator.cli.traces import INTENSITY, read_trace
from carbonaware_operator.forecasting.choice import fit
from carbonaware_operator.forecasting.series import History, hourly
start, grams = hourly(read_trace(sys.argv[1], "lifecycle_g_per_kwh", INTENSITY))
history = History(start, grams * 1000)
started = time.perf_counter()
if sys.argv[2] == "forecast":
    fit(history).forecast(history.end, 96)
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps({"seconds": round(seconds, 3), "peak_megabytes": round(peak, 1)}))
"""


def main() -> None:
    """Print one JSON object for each grid, model and market, and one for the refit."""
    if not DATA.is_dir():
        _print(skipped=f"no traces in {DATA}; set CARBONAWARE_DATA")
        return
    for model in MODELS:
        _all_grids(model, "lifecycle_g_per_kwh", {grid: _carboncast(grid) for grid in GRIDS})
    for model in MODELS:
        _all_grids(model, "lca_g_per_kwh", {grid: _electricity_maps(grid) for grid in OTHERS})
    for market in MARKETS:
        _with_and_without_prices(market)
    _one_refit()


def _all_grids(model: str, column: str, traces: dict[str, Path]) -> None:
    scores = []
    for grid, trace in traces.items():
        found = _backtest(trace, "--column", column, "--model", model)
        scores.append(found["mape"])
        _print(grid=grid, traces=trace.parent.name, **found)
    mean = round(statistics.fmean(scores), 3)
    _print(grid=f"mean of {len(scores)}", traces=trace.parent.name, model=model, mape=mean)


def _with_and_without_prices(market: str) -> None:
    trace = _electricity_maps(market)
    chosen = ("--column", "lca_g_per_kwh", "--model", "ridge", "--horizon", "24")
    prices = [f"--price={DATA}/prices/{market}_{year}_dayahead.csv" for year in YEARS]
    without = _backtest(trace, *chosen)
    beside = _backtest(trace, *chosen, *prices, "--price-time-zone", MARKETS[market])
    _print(grid=market, model="ridge", mape_24h=without["mape"], with_prices=beside["mape"])


def _one_refit() -> None:
    trace = str(_carboncast("CISO"))
    measured = {
        what: json.loads(_output(sys.executable, "-c", ONE_REFIT, trace, what))
        for what in ("forecast", "nothing")
    }
    _print(
        refit_and_96h_forecast=measured["forecast"],
        trace_read_only=measured["nothing"],
    )


def _carboncast(grid: str) -> Path:
    return DATA / f"traces/carboncast/{grid}_train.csv"


def _electricity_maps(grid: str) -> Path:
    return DATA / f"traces/electricitymaps/{grid}_2022-2023.csv"


def _backtest(trace: Path, *options: str) -> dict[str, Any]:
    program = str(Path(sys.executable).parent / "kubectl-carbonaware")
    argv = (program, "forecast", "backtest", "--trace", str(trace), *options, "--output", "json")
    found: dict[str, Any] = json.loads(_output(*argv))
    return found


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _print(**measured: object) -> None:
    print(json.dumps({"benchmark": "forecast", **measured}), flush=True)
