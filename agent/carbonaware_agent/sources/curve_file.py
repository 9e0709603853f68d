"""Calibrations as files: one JSON document for each kind of machine, as a ConfigMap holds them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.sensor import CHIP, WALL

# More than any server draws: larger figures are milliwatts taken for watts.
_MOST_WATTS = 20_000


class CurveFileError(Exception):
    """A curve file cannot be used; the message names the file and the field."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Power of one kind of machine, as measured on one of them.

    processor: the model's name in /proc/cpuinfo. threads: of the whole machine. measured_by: the
    source of the measured energy. boundary: chip or wall. error_ratio: mean relative error of the
    curve on the machine itself.
    """

    processor: str
    sockets: int
    threads: int
    memory_gib: int
    measured_by: str
    boundary: str
    error_ratio: float
    curve: PowerCurve

    @property
    def file_name(self) -> str:
        """A valid key of a ConfigMap, the same for machines of the same kind."""
        model = re.sub(r"[^a-z0-9]+", "-", self.processor.lower()).strip("-")[:150]
        return f"{model}.{self.sockets}-sockets.{self.memory_gib}-gib.json"

    def document(self) -> dict[str, Any]:
        """What the file holds."""
        return {
            "processor": self.processor,
            "sockets": self.sockets,
            "threads": self.threads,
            "memoryGiB": self.memory_gib,
            "measuredBy": self.measured_by,
            "boundary": self.boundary,
            "errorRatio": self.error_ratio,
            "points": [list(point) for point in self.curve.points],
        }


def read_calibrations(folder: Path) -> Iterator[Calibration | CurveFileError]:
    """All calibrations in a folder, or why one is none. Raises OSError: there is no folder."""
    # A mounted ConfigMap holds links and folders that begin with two dots beside its keys.
    for file in sorted(path for path in folder.iterdir() if path.suffix == ".json"):
        try:
            yield _calibration(json.loads(file.read_text()))
        except (OSError, ValueError, RecursionError) as error:
            yield CurveFileError(f"{file.name}: {error}")


def _calibration(document: Any) -> Calibration:
    """Raises ValueError, which names the field."""
    if not isinstance(document, dict):
        raise ValueError("must hold a JSON object")
    return Calibration(
        processor=_text(document, "processor"),
        sockets=_count(document, "sockets"),
        threads=_count(document, "threads"),
        memory_gib=_count(document, "memoryGiB"),
        measured_by=_text(document, "measuredBy"),
        boundary=_boundary(document),
        error_ratio=_number(document.get("errorRatio"), "errorRatio", highest=1),
        curve=PowerCurve(_points(document)),
    )


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a text that is not empty, not {value!r}")
    return value


def _count(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} must be a whole number above 0, not {value!r}")
    return value


def _number(value: Any, name: str, *, highest: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= highest:
        raise ValueError(f"{name} must be a number from 0 to {highest:g}, not {value!r}")
    return float(value)


def _boundary(document: Mapping[str, Any]) -> str:
    value = document.get("boundary")
    if value not in (CHIP, WALL):
        raise ValueError(f"boundary must be {CHIP} or {WALL}, not {value!r}")
    return str(value)


def _points(document: Mapping[str, Any]) -> list[tuple[float, float]]:
    rows = document.get("points")
    if not isinstance(rows, list) or len(rows) < 2:
        raise ValueError("points must be a list of at least two pairs of load and watts")
    points = [_point(row, number) for number, row in enumerate(rows)]
    for number, (before, after) in enumerate(pairwise(points), start=1):
        if before[0] >= after[0]:
            raise ValueError(f"points[{number}] must be at a higher load than the point before")
    return points


def _point(row: Any, number: int) -> tuple[float, float]:
    name = f"points[{number}]"
    if not isinstance(row, list) or len(row) != 2:
        raise ValueError(f"{name} must be a pair of load and watts, not {row!r}")
    load = _number(row[0], f"{name} load", highest=1)
    watts = _number(row[1], f"{name} watts", highest=_MOST_WATTS)
    if watts == 0:
        raise ValueError(f"{name} watts must be above 0")
    return load, watts
