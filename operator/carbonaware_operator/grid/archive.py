"""The history of a zone: its mean average intensity by accounting period.

Pure. Of a period that can still change, the stretches are kept from which its mean is made, so
that points may come in any order, twice, or revised; of a settled period, its mean alone.
"""

import gzip
import json
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import NamedTuple

from carbonaware_operator.api.sources import EmissionFactors
from carbonaware_operator.grid.points import Point, PointKind
from carbonaware_operator.quantities.emissions import MilligramsPerKWh
from carbonaware_operator.quantities.instants import Instant, from_unix
from carbonaware_operator.quantities.periods import HOUR_SECONDS

MAX_PERIODS = 9600
"""400 days of hours. Encoded they are at most 29 kB, so the ConfigMap stays far below 1 MiB."""

_BYTES = 3
_NONE = 0xFFFFFF
_ESTIMATED = 1 << 23  # above every intensity: 5000 g/kWh are less than 2**23 mg/kWh
_MAX_DECODED = MAX_PERIODS * _BYTES + 4096
_SECOND = 1_000_000  # stretches are in microseconds: what `datetime` resolves
_EPOCH = from_unix(0)


class ArchiveError(ValueError):
    """The bytes are not an archive that this version can read."""


@dataclass(frozen=True, slots=True)
class PeriodIntensity:
    """The mean intensity of one accounting period.

    estimated: it rests on estimates, or does not know the whole period.
    """

    milligrams_per_kwh: MilligramsPerKWh
    estimated: bool


class _Stretch(NamedTuple):
    """A part of a period and its intensity; instants in microseconds of Unix time."""

    start: int
    end: int
    intensity: int
    estimated: bool


class Archive:
    """Means of one zone, source and kind of emission factors, with one length of period."""

    def __init__(
        self,
        *,
        source: str,
        factors: EmissionFactors | None,
        period_seconds: int = HOUR_SECONDS,
    ) -> None:
        self.source, self.factors, self.period_seconds = source, factors, period_seconds
        self._length = period_seconds * _SECOND
        # Periods are numbered from the Unix epoch; `_means` holds packed means from `_first` on.
        self._first, self._means = 0, array("I")
        self._open: dict[int, list[_Stretch]] = {}
        self._newest = -1

    def add(self, points: Iterable[Point]) -> None:
        """Take in points; the value that came last holds, but no estimate replaces an actual value.

        Raises ValueError: a point is of another source or of other emission factors.
        """
        for point in points:
            if (point.source, point.factors) != (self.source, self.factors):
                raise ValueError(f"a point of {point.source} must not enter this archive")
            self._add(point)
        self._forget_before(self._newest - MAX_PERIODS + 1)

    def settle(self, before: Instant) -> None:
        """Keep only the mean of every period that ended by then.

        What still comes for such a period counts when it covers it whole.
        """
        limit = _microseconds(before) // self._length
        for number in [n for n in self._open if n < limit]:
            self._set_mean(number, self._packed(number))
            del self._open[number]

    def adopt(self, saved: "Archive") -> None:
        """Take from an older archive what this one does not know, or only estimates.

        Raises ValueError: it is of another kind; see `same_kind`.
        """
        if not self.same_kind(saved):
            raise ValueError("archives of different kinds must not be mixed")
        for start, theirs in saved.known():
            number = _microseconds(start) // self._length
            mine = self._mean(number)
            if mine == _NONE or (mine & _ESTIMATED and not theirs.estimated):
                estimated = _ESTIMATED if theirs.estimated else 0
                self._set_mean(number, theirs.milligrams_per_kwh | estimated)
                self._newest = max(self._newest, number)
        self._forget_before(self._newest - MAX_PERIODS + 1)

    def same_kind(self, other: "Archive") -> bool:
        """True when the values of both mean the same: source, factors and length of period."""
        return (self.source, self.factors, self.period_seconds) == (
            other.source,
            other.factors,
            other.period_seconds,
        )

    def mean(self, period_start: Instant) -> PeriodIntensity | None:
        """The time-weighted mean of a period; None when nothing is known of it.

        A period of which only a part is known, such as the one that is not over yet, answers with
        the mean of that part, as an estimate.
        """
        packed = self._packed(_microseconds(period_start) // self._length)
        if packed == _NONE:
            return None
        return PeriodIntensity(MilligramsPerKWh(packed & ~_ESTIMATED), bool(packed & _ESTIMATED))

    def known(self) -> Iterator[tuple[Instant, PeriodIntensity]]:
        """The start and the mean of every period that has one, in order of time."""
        for number in self._numbers():
            start = from_unix(number * self.period_seconds)
            if (mean := self.mean(start)) is not None:
                yield start, mean

    @property
    def known_until(self) -> Instant | None:
        """Up to where nothing needs to be asked for again; None when the archive is empty."""
        if self._newest < 0:
            return None
        whole = not self._packed(self._newest) & _ESTIMATED
        return from_unix((self._newest + whole) * self.period_seconds)

    def encode(self) -> bytes:
        """The archive as compact bytes: a line of JSON, three bytes a period, compressed.

        A period of which only a part is known becomes an estimate of the whole.
        """
        numbers = self._numbers()
        header = {
            "version": 1,
            "periodSeconds": self.period_seconds,
            "first": numbers.start,
            "factors": self.factors,
            "source": self.source,
        }
        means = b"".join(self._packed(number).to_bytes(_BYTES, "big") for number in numbers)
        return gzip.compress(json.dumps(header).encode() + b"\n" + means, mtime=0)

    @classmethod
    def decode(cls, encoded: bytes) -> "Archive":
        """Read what `encode` wrote; raises ArchiveError."""
        try:
            plain = gzip.GzipFile(fileobj=BytesIO(encoded)).read(_MAX_DECODED + 1)
            line, _, means = plain.partition(b"\n")
            header = json.loads(line)
            archive = cls(
                source=str(header["source"]),
                factors=EmissionFactors(header["factors"]) if header["factors"] else None,
                period_seconds=int(header["periodSeconds"]),
            )
            archive._load(int(header["first"]), means)
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
            raise ArchiveError("the archive must be what this operator wrote") from error
        return archive

    def _load(self, first: int, means: bytes) -> None:
        count, rest = divmod(len(means), _BYTES)
        if rest or count > MAX_PERIODS or first < 0 or self.period_seconds < 1:
            raise ValueError
        packed = [means[i : i + _BYTES] for i in range(0, len(means), _BYTES)]
        self._first = first
        self._means = array("I", (int.from_bytes(value, "big") for value in packed))
        self._newest = first + count - 1 if count else -1

    def _add(self, point: Point) -> None:
        start, end = _microseconds(point.start), _microseconds(point.end)
        last = (end - 1) // self._length
        self._newest = max(self._newest, last)
        oldest = self._newest - MAX_PERIODS + 1
        for number in range(max(start // self._length, oldest), last + 1):
            part = _Stretch(
                max(start, number * self._length),
                min(end, (number + 1) * self._length),
                point.intensity,
                point.kind is PointKind.ESTIMATE,
            )
            _lay(part, self._open.setdefault(number, []))

    def _numbers(self) -> range:
        """All periods of which something may be known."""
        known = [*self._open, *([self._first] if self._means else [])]
        return range(min(known), self._newest + 1) if known else range(0)

    def _packed(self, number: int) -> int:
        """The mean of a period as it stands, from its stretches and its settled mean."""
        settled = self._mean(number)
        stretches = self._open.get(number)
        if not stretches:
            return settled
        known = sum(part.end - part.start for part in stretches)
        total = sum((part.end - part.start) * part.intensity for part in stretches)
        estimated = any(part.estimated for part in stretches)
        if known == self._length and not estimated:
            return _rounded(total, known)
        if not settled & _ESTIMATED:
            return settled
        if known < self._length and settled != _NONE:
            total += (settled & ~_ESTIMATED) * (self._length - known)
            known = self._length
        return _rounded(total, known) | _ESTIMATED

    def _mean(self, number: int) -> int:
        index = number - self._first
        return self._means[index] if 0 <= index < len(self._means) else _NONE

    def _set_mean(self, number: int, packed: int) -> None:
        if not self._means:
            self._first = number
        if number < self._first:
            self._means = array("I", [_NONE] * (self._first - number)) + self._means
            self._first = number
        missing = number - self._first + 1 - len(self._means)
        if missing > 0:
            self._means.extend([_NONE] * missing)
        self._means[number - self._first] = packed

    def _forget_before(self, oldest: int) -> None:
        if self._first < oldest:
            del self._means[: oldest - self._first]
            self._first = oldest
        for number in [n for n in self._open if n < oldest]:
            del self._open[number]


def _lay(new: _Stretch, stretches: list[_Stretch]) -> None:
    """Lay a stretch over the others of its period, an estimate under the actual ones."""
    if not stretches or stretches[-1].end <= new.start:
        stretches.append(new)
        return
    pieces, kept = [new], []
    for old in stretches:
        if new.estimated and not old.estimated:
            pieces = [rest for piece in pieces for rest in _without(piece, old)]
            kept.append(old)
        else:
            kept += _without(old, new)
    stretches[:] = sorted(kept + pieces)


def _without(part: _Stretch, hole: _Stretch) -> list[_Stretch]:
    """What is left of a stretch outside another one."""
    left = part._replace(end=min(part.end, hole.start))
    right = part._replace(start=max(part.start, hole.end))
    return [rest for rest in (left, right) if rest.start < rest.end]


def _rounded(total: int, length: int) -> int:
    """The quotient, rounded half up."""
    return (2 * total + length) // (2 * length)


def _microseconds(instant: Instant) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
