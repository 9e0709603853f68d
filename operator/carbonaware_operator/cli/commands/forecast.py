"""`forecast`: how well the grid of a trace can be forecast. Needs no cluster."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.options import with_output
from carbonaware_operator.cli.output import DOCUMENTS, print_document, print_table
from carbonaware_operator.cli.traces import INTENSITY, PRICE, read_trace

if TYPE_CHECKING:
    from carbonaware_operator.forecasting.backtest import Backtest
    from carbonaware_operator.forecasting.series import History

EXIT_CODES = "Exit codes: 0 done; 1 the trace cannot be read or is too short; 2 wrong usage."

HEADER = ("MODEL", "DAY", "MAPE %")

_MILLIGRAMS_PER_GRAM = 1000


@click.group(epilog=EXIT_CODES)
def forecast() -> None:
    """Forecast the grid from its own history."""


def _time_zone(_context: click.Context, _parameter: click.Parameter, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder of zones is no zone
        raise click.BadParameter(
            f"must be a time zone such as Europe/Berlin, not {name}"
        ) from error


@forecast.command("backtest", epilog=EXIT_CODES)
@click.option("--trace", required=True, metavar="FILE", help="CSV file of hourly intensity.")
@click.option(
    "--column", metavar="NAME", help="Its column with gCO2e/kWh. Default: the second column."
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="FILE",
    help="CSV file of hourly day-ahead prices, used by ridge; may be given once for each year.",
)
@click.option(
    "--price-column", metavar="NAME", help="Its column with prices. Default: the second column."
)
@click.option(
    "--price-time-zone",
    callback=_time_zone,
    metavar="ZONE",
    default="Europe/Berlin",
    show_default=True,
    help="Time zone of the market: at 13:00 there, the prices of the next day there are known.",
)
@click.option(
    "--test-hours",
    type=click.IntRange(1),
    metavar="N",
    default=4344,
    show_default=True,
    help="Forecasts start in the last N hours of the trace.",
)
@click.option(
    "--horizon",
    type=click.IntRange(1, 120),
    metavar="HOURS",
    default=96,
    show_default=True,
    help="How far each forecast reaches.",
)
@click.option(
    "--model",
    type=click.Choice(("auto", "smoothing", "ridge", "yesterday")),
    default="auto",
    show_default=True,
    help="auto: the one with the best score in the weeks before each forecast.",
)
@with_output("table", "json", "yaml")
def backtest_(
    trace: str,
    column: str | None,
    prices: tuple[str, ...],
    price_column: str | None,
    price_time_zone: ZoneInfo,
    test_hours: int,
    horizon: int,
    model: str,
    output: str,
) -> None:
    """Forecast the past of a trace and compare with what came.

    One forecast a day at 00:00 UTC, made from what precedes it alone. MAPE is the mean absolute
    error in percent of what came.
    """
    if price_column and not prices:
        raise click.UsageError("--price-column needs --price")
    history = _history(trace, column)
    if prices:
        history = _with_prices(history, prices, price_column, price_time_zone)
    started = time.perf_counter()
    found = _backtested(history, model, test_hours, horizon)
    seconds = time.perf_counter() - started
    if output in DOCUMENTS:
        print_document(document(model, found, seconds), output)
    else:
        print_table(HEADER, rows(model, found))


def _history(trace: str, column: str | None) -> "History":
    """Read a trace; NumPy is imported by who forecasts, and by nobody else."""
    from carbonaware_operator.forecasting.series import History, hourly

    try:
        start, grams = hourly(read_trace(trace, column, INTENSITY))
    except ValueError as error:
        raise CommandError(f"{trace}: {error}") from error
    return History(start, grams * _MILLIGRAMS_PER_GRAM)


def _with_prices(
    history: "History", files: tuple[str, ...], column: str | None, zone: ZoneInfo
) -> "History":
    """The same history beside the prices of all files."""
    from carbonaware_operator.forecasting.prices import DayAheadPrices
    from carbonaware_operator.forecasting.series import History, aligned

    points = [point for file in files for point in read_trace(file, column, PRICE)]
    prices = DayAheadPrices(history.start, aligned(points, history.start), zone)
    return History(history.start, history.values, prices)


def _backtested(history: "History", model: str, test_hours: int, horizon: int) -> "Backtest":
    from carbonaware_operator.forecasting.backtest import backtest
    from carbonaware_operator.forecasting.choice import MODELS
    from carbonaware_operator.forecasting.errors import ForecastError

    try:
        with _progress() as on_origin:
            return backtest(
                history,
                MODELS[model],
                test_hours=test_hours,
                horizon=horizon,
                on_origin=on_origin,
            )
    except ForecastError as error:
        raise CommandError(str(error)) from error


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A line on stderr that counts forecasts, only where somebody looks at it."""
    if not sys.stderr.isatty():
        yield lambda done, origins: None
        return
    try:
        yield lambda done, origins: print(
            f"\rforecast {done} of {origins}", end="", file=sys.stderr, flush=True
        )
    finally:
        sys.stderr.write("\r\033[K")


def document(model: str, found: "Backtest", seconds: float) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print; the keys are described in docs/forecasting.md."""
    return {
        "model": model,
        "origins": len(found.forecasts),
        "mape_by_day": [_percent(score) for score in found.mape_by_day],
        "mape": _percent(found.mape),
        "seconds": round(seconds, 3),
    }


def rows(model: str, found: "Backtest") -> list[list[str]]:
    """The score of each day ahead, and of all."""
    days = [[model, str(day), f"{m:.2f}"] for day, m in enumerate(found.mape_by_day, start=1)]
    return [*days, [model, "all", f"{found.mape:.2f}"]]


def _percent(score: float) -> float | None:
    """A score to four digits; None, as JSON has no NaN, when no outcome was above zero."""
    return None if math.isnan(score) else round(score, 4)
