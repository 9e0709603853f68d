"""Energy and power from two looks at agents' pages. Pure.

For a look at what goes on now: the account of a job is made by the operator, exactly, from another
page. Here a float will do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from prometheus_client.parser import text_string_to_metric_families

OWNER_ENERGY = "carbonaware_owner_energy_joules_total"
NODE_ENERGY = "carbonaware_node_energy_joules_total"
TIMESTAMP = "carbonaware_agent_sample_timestamp_seconds"

_LABELS = {OWNER_ENERGY: ("namespace", "owner_uid"), NODE_ENERGY: ()}
"""What each series is summed by."""

Series = tuple[tuple[str, str], ...]


class PageError(ValueError):
    """A page is not an agent's."""


@dataclass(frozen=True, slots=True)
class Page:
    """One look at an agent: when its snapshot was taken, and joules by series."""

    seconds: float
    owners: dict[Series, float]
    domains: dict[Series, float]


@dataclass(slots=True)
class Use:
    """What one owner of pods, or one node, has used, and draws now.

    watts: None until there are two different snapshots. nodes, sources: that it is known from.
    """

    labels: dict[str, str]
    joules: float = 0.0
    watts: float | None = None
    nodes: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)


def read_page(text: str) -> Page:
    """An agent's page. Raises PageError."""
    seconds: float | None = None
    found: dict[str, dict[Series, float]] = {OWNER_ENERGY: {}, NODE_ENERGY: {}}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in found:
                    _check(sample.value, sample.labels, _LABELS[sample.name])
                    found[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
                elif sample.name == TIMESTAMP:
                    _check(sample.value)
                    seconds = sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise PageError(f"it shows no metrics: {error}") from error
    if seconds is None:
        raise PageError(f"it does not show {TIMESTAMP}: update carbonaware there")
    return Page(seconds, found[OWNER_ENERGY], found[NODE_ENERGY])


def _check(
    value: float, labels: Mapping[str, str] | None = None, needed: Iterable[str] = ()
) -> None:
    """Raises ValueError: no counter of an agent looks like that."""
    if not 0 <= value < inf:
        raise ValueError(f"{value} is no amount")
    missing = [name for name in needed if name not in (labels or {})]
    if missing:
        raise ValueError(f"a series lacks the label {missing[0]}")


_Part = Callable[[Page], Mapping[Series, float]]


def owners(before: Mapping[str, Page], now: Mapping[str, Page]) -> list[Use]:
    """What each owner of pods uses, on all nodes together; before and now: pages by node."""
    uses: dict[str, Use] = {}
    for node, labels, joules, watts in _grown(before, now, lambda page: page.owners):
        key = labels["owner_uid"]
        use = uses.setdefault(key, Use(labels))
        _add(use, node, labels, joules, watts)
    return list(uses.values())


def nodes(before: Mapping[str, Page], now: Mapping[str, Page]) -> list[Use]:
    """What each node uses, all its domains together."""
    uses: dict[str, Use] = {}
    for node, labels, joules, watts in _grown(before, now, lambda page: page.domains):
        use = uses.setdefault(node, Use({"node": node}))
        _add(use, node, labels, joules, watts)
    return list(uses.values())


def _add(
    use: Use, node: str, labels: Mapping[str, str], joules: float, watts: float | None
) -> None:
    use.joules += joules
    use.watts = _plus(use.watts, watts)
    use.nodes.add(node)
    use.sources.add(labels.get("source", ""))


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _grown(
    before: Mapping[str, Page], now: Mapping[str, Page], part: _Part
) -> Iterator[tuple[str, dict[str, str], float, float | None]]:
    """Node, labels, joules and watts of each series; a series that is new began in between."""
    for node, page in now.items():
        earlier = before.get(node)
        seconds = page.seconds - earlier.seconds if earlier else 0.0
        known = part(earlier) if earlier else {}
        for series, joules in part(page).items():
            grown = max(0.0, joules - known.get(series, 0.0))
            yield node, dict(series), joules, grown / seconds if seconds > 0 else None
