"""The agent's answer at `/metrics/accounting`, read exactly: no energy ever passes through a float.

Prometheus text format with three metrics: when the sample was taken, how long the agent's
accounting periods are, and for each owner of pods the energy so far with marks, its values at the
ends of closed periods. `# EOF` ends a complete answer.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/, text format 0.0.4.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

from carbonaware_operator.quantities.energy import Microjoules
from carbonaware_operator.quantities.instants import Instant, from_unix

TIME_METRIC = "carbonaware_agent_sample_timestamp_seconds"
PERIOD_METRIC = "carbonaware_agent_accounting_period_seconds"
ENERGY_METRIC = "carbonaware_owner_energy_joules_total"
MARK_METRIC = "carbonaware_owner_energy_mark_joules"
PERIOD_FLAG = "--accounting-period-seconds"

# Runs of plain characters first: an alternative for each single character is much slower.
_QUOTED = r'[^"\\]*(?:\\.[^"\\]*)*'
_LABEL = rf'[a-zA-Z_][a-zA-Z0-9_]*="{_QUOTED}"'
_LINE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(?:\{{({_LABEL}(?:,{_LABEL})*,?)?\}})?[ \t]+(\S+)"
)
_PAIR = re.compile(rf'([a-zA-Z_][a-zA-Z0-9_]*)="({_QUOTED})"')
_ESCAPE = re.compile(r"\\(.)")
_UNESCAPED = {"n": "\n", "\\": "\\", '"': '"'}
# Twelve digits of joules are 278 MWh for one owner, and far inside the ledger's int64.
_DECIMAL = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?")
_LEDGER_NAME_LENGTH = 253  # what the CRD accepts in a cursor

Labels = dict[str, str]
Mark = tuple[Instant, Microjoules]
_SeriesKey = tuple[str, ...]
_KEY_LABELS = (
    "namespace",
    "owner_kind",
    "owner_name",
    "owner_uid",
    "domain",
    "source",
    "boundary",
    "epoch",
)


class SamplesError(ValueError):
    """An agent's answer cannot be used; the message says why, and what to change."""


@dataclass(frozen=True, slots=True)
class SeriesSample:
    """One cumulative series of an agent at one instant.

    microjoules: energy since the series began.
    marks: (start of a closed period, microjoules at its END), in order of time.
    """

    node: str
    namespace: str
    owner_kind: str
    owner_name: str
    owner_uid: str
    domain: str
    source: str
    epoch: str
    microjoules: Microjoules
    time: Instant
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that one agent said at once; `series` may be empty, the node is known anyway."""

    node: str
    time: Instant
    series: tuple[SeriesSample, ...]


@dataclass(slots=True)
class _Body:
    """The lines of an answer, sorted by metric."""

    times: list[tuple[Labels, str]] = field(default_factory=list)
    periods: list[tuple[Labels, str]] = field(default_factory=list)
    energies: list[tuple[Labels, str]] = field(default_factory=list)
    marks: list[tuple[Labels, str]] = field(default_factory=list)


def parse_reading(text: str, *, period_seconds: int) -> Reading:
    """Read an agent's answer.

    period_seconds: the operator's own accounting period; marks of another length are of no use.
    Raises SamplesError: the answer is cut off, is not in the format, contradicts itself, or the
    agent accounts in other periods.
    """
    body = _sorted_lines(text)
    node_labels, time_text = _only(body.times, TIME_METRIC)
    node = _label(node_labels, "node")
    _check_period(node, _only(body.periods, PERIOD_METRIC)[1], period_seconds)
    time = from_unix(0) + timedelta(microseconds=_millionths(time_text))
    marks = _marks_by_series(body.marks, period_seconds)
    series: dict[_SeriesKey, SeriesSample] = {}
    for labels, value in body.energies:
        key = _series_key(labels)
        if key in series:
            raise SamplesError(f"{ENERGY_METRIC} must have one value a series, not two: {labels}")
        sample = _sample(labels, value, time, marks.pop(key, ()))
        if sample.node != node:
            raise SamplesError(f"node must be {node!r} throughout, not {sample.node!r}")
        series[key] = sample
    if marks:
        raise SamplesError(f"{MARK_METRIC} must have a series in {ENERGY_METRIC}: {min(marks)}")
    return Reading(node=node, time=time, series=tuple(series.values()))


def _sorted_lines(text: str) -> _Body:
    if not (text == "# EOF" or text.rstrip("\n").endswith("\n# EOF")):
        raise SamplesError("the answer must end in `# EOF`; it was cut off")
    body = _Body()
    buckets = {
        TIME_METRIC: body.times,
        PERIOD_METRIC: body.periods,
        ENERGY_METRIC: body.energies,
        MARK_METRIC: body.marks,
    }
    for name, labels, value in _lines(text):
        if (bucket := buckets.get(name)) is not None:
            bucket.append((labels, value))
    return body


def _lines(text: str) -> Iterator[tuple[str, Labels, str]]:
    # Not splitlines(): a label value may hold U+2028, form feeds and the like as they are.
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise SamplesError(f"not a line of the Prometheus text format: {line[:200]!r}")
        name, labels, value = found.groups()
        yield name, {key: _unescape(raw) for key, raw in _PAIR.findall(labels or "")}, value


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[0]), raw)


def _only(lines: list[tuple[Labels, str]], metric: str) -> tuple[Labels, str]:
    if len(lines) != 1:
        raise SamplesError(f"the answer must hold {metric} once, not {len(lines)} times")
    return lines[0]


def _check_period(node: str, value: str, expected: int) -> None:
    if _millionths(value) != expected * 1_000_000:
        raise SamplesError(
            f"the agent of node {node!r} accounts in periods of {value} s and this operator in"
            f" periods of {expected} s: start both with the same `{PERIOD_FLAG}`"
        )


def _marks_by_series(
    lines: list[tuple[Labels, str]], period_seconds: int
) -> dict[_SeriesKey, tuple[Mark, ...]]:
    marks: dict[_SeriesKey, list[Mark]] = {}
    for labels, value in lines:
        hour = _label(labels, "hour")
        if not re.fullmatch("[0-9]{1,11}", hour) or int(hour) % period_seconds:
            raise SamplesError(
                f"hour must be the start of a period of {period_seconds} s, not {hour!r}"
            )
        mark = (from_unix(int(hour)), Microjoules(_millionths(value)))
        marks.setdefault(_series_key(labels), []).append(mark)
    return {key: tuple(sorted(found)) for key, found in marks.items()}


def _sample(labels: Labels, value: str, time: Instant, marks: tuple[Mark, ...]) -> SeriesSample:
    microjoules = Microjoules(_millionths(value))
    _check_growth(labels, [*(cumulative for _, cumulative in marks), microjoules])
    return SeriesSample(
        node=_label(labels, "node"),
        namespace=labels.get("namespace", ""),
        owner_kind=labels.get("owner_kind", ""),
        owner_name=labels.get("owner_name", ""),
        # Whoever makes a pod writes its owner's uid, so no length may condemn the whole answer.
        owner_uid=labels.get("owner_uid", ""),
        domain=_label(labels, "domain"),
        source=_label(labels, "source"),
        epoch=_label(labels, "epoch"),
        microjoules=microjoules,
        time=time,
        marks=marks,
    )


def _check_growth(labels: Labels, values: list[Microjoules]) -> None:
    if any(later < earlier for earlier, later in pairwise(values)):
        raise SamplesError(f"marks must rise up to the value of their series: {labels}")


def _label(labels: Labels, name: str) -> str:
    value = labels.get(name, "")
    if not 1 <= len(value) <= _LEDGER_NAME_LENGTH:
        raise SamplesError(f"label {name!r} must have 1 to {_LEDGER_NAME_LENGTH} characters")
    return value


def _series_key(labels: Labels) -> _SeriesKey:
    return tuple(labels.get(name, "") for name in _KEY_LABELS)


def _millionths(text: str) -> int:
    """A plain decimal number in millionths, exactly; it may have six decimals at most."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise SamplesError(
            f"a value must be a plain decimal with at most six decimals, not {text[:40]!r}"
        )
    whole, rest = found.groups()
    return int(whole) * 1_000_000 + int((rest or "").ljust(6, "0"))
