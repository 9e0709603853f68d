"""Judging a model by rows that it was not fitted to."""

from collections.abc import Sequence

from carbonaware_agent.calibration.models import Fit, PowerRow

# Leaving out one row at a time takes as many fits as there are rows.
_MOST_LEFT_OUT_ALONE = 200
_FOLDS = 10


def method(count: int) -> str:
    """How so many rows are divided, in words."""
    if count <= _MOST_LEFT_OUT_ALONE:
        return "leave-one-out"
    return f"{_FOLDS}-fold, every {_FOLDS}th row"


def predicted(fit: Fit, rows: Sequence[PowerRow]) -> list[float]:
    """Power of each row, predicted by the model fitted to the rows of the other parts.

    Raises UnfittableError: some part leaves too few loads to the others.
    """
    parts = len(rows) if len(rows) <= _MOST_LEFT_OUT_ALONE else _FOLDS
    result = [0.0] * len(rows)
    for part in range(parts):
        others = [row for number, row in enumerate(rows) if number % parts != part]
        predict = fit(others)
        for number in range(part, len(rows), parts):
            result[number] = predict(rows[number].load)
    return result
