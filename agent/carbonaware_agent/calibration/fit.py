"""`carbonaware-agent fit`: fit power models to measured rows, and judge each by rows left out."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from carbonaware_agent.calibration.cross_validation import method, predicted
from carbonaware_agent.calibration.models import PowerRow, UnfittableError, fits
from carbonaware_agent.calibration.scores import Score, score
from carbonaware_agent.calibration.table import BadTableError, read_rows

_BINS = 5


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows of a fifth of all loads, which begins at `from_load`."""

    from_load: float
    rows: int
    score: Score


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's score over all rows and by load."""

    model: str
    score: Score
    bins: Sequence[Bin]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of each model. unfitted: why some could not be fitted."""

    rows: int
    method: str
    judged: Sequence[Judged]
    unfitted: dict[str, str]


def compare(rows: Sequence[PowerRow], design_watts: float | None = None) -> Comparison:
    """Judge every model on the rows; the best comes first."""
    judged, unfitted = [], {}
    for name, fit in fits(design_watts).items():
        try:
            guesses = predicted(fit, rows)
        except UnfittableError as error:
            unfitted[name] = str(error)
            continue
        total = score([row.watts for row in rows], guesses)
        judged.append(Judged(name, total, list(_bins(rows, guesses))))
    judged.sort(key=lambda each: each.score.error_ratio)
    return Comparison(len(rows), method(len(rows)), judged, unfitted)


def main(arguments: Sequence[str]) -> None:
    """Print a comparison of the models; ends the process with 1 when the table is unusable."""
    chosen = _parse(arguments)
    try:
        rows = read_rows(chosen.csv, chosen.load_column, chosen.power_column)
    except (BadTableError, OSError) as error:
        sys.exit(f"cannot fit: {error}")
    comparison = compare(rows, chosen.tdp_watts)
    if chosen.output == "json":
        print(json.dumps(asdict(comparison), indent=2))
    else:
        print("\n".join(_report(comparison)))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carbonaware-agent fit", description=__doc__)
    add = parser.add_argument
    add("--csv", type=Path, required=True, metavar="FILE", help="its first line names the columns")
    add("--load-column", default="load", help="0 to 1, or percent if its name says so (load)")
    add("--power-column", default="watts", help="in watts (watts)")
    add("--tdp-watts", type=float, metavar="W", help="design power of all sockets together")
    add("--output", "-o", choices=("text", "json"), default="text")
    return parser.parse_args(arguments)


def _bins(rows: Sequence[PowerRow], guesses: Sequence[float]) -> Iterator[Bin]:
    for number in range(_BINS):
        inside = [
            (row.watts, guess)
            for row, guess in zip(rows, guesses, strict=True)
            if min(int(row.load * _BINS), _BINS - 1) == number
        ]
        if inside:
            measured, predicted_watts = zip(*inside, strict=True)
            yield Bin(number / _BINS, len(inside), score(measured, predicted_watts))


def _report(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.rows} rows, judged by rows left out ({comparison.method})"
    yield "model           R2    MAPE     MAE W   residuals W: lowest  median  highest"
    for judged in comparison.judged:
        yield f"{judged.model:10}" + _figures(judged.score)
    for name, reason in comparison.unfitted.items():
        yield f"{name:10} not fitted: {reason}"
    for judged in comparison.judged:
        yield f"\n{judged.model}, by load:"
        for part in judged.bins:
            yield f"{part.from_load:.0%} and more, {part.rows} rows".ljust(22) + (
                f"MAPE {part.score.error_ratio:6.1%}   {_residuals(part.score)}"
            )


def _figures(of: Score) -> str:
    return f"{of.r_squared:8.3f} {of.error_ratio:7.1%} {of.error_watts:9.1f}   {_residuals(of)}"


def _residuals(of: Score) -> str:
    residuals = of.residuals
    return f"{residuals.lowest:+18.1f} {residuals.middle:+7.1f} {residuals.highest:+8.1f}"
