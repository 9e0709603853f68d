"""Runs a scenario through the agent and the peers' formulas, and keeps what each of them said."""

import functools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from conformance.gpu_devices import GpuDevices, gpu_devices
from conformance.kepler_gpus import KeplerGpus
from conformance.node import Node, Truth
from conformance.node_files import NodeFiles
from conformance.page import ATTRIBUTED, OWNER, POD, Page
from conformance.peers import Ceems, Kepler, Peer, Scaphandre, Scraper
from conformance.replayed_agent import ReplayedAgent, a_clock
from conformance.scenario import Scenario

# Prometheus' most common interval; the node's total is judged at it, as its counter may wrap.
SCRAPE_SECONDS = 30
_MICRO = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Cut:
    """The state at one second. peers: microjoules by peer and pod."""

    truth: Truth
    page: Page
    peers: dict[str, dict[str, float]]


@dataclass(slots=True)
class Outcome:
    """What came of a scenario.

    cuts: the state at the seconds the scenario names, and at the end. pod_totals: the last value
    of every pod series that was ever scraped. kepler_node_uj: what a reader of Kepler's node
    counter makes of it; kepler_gpu_uj: its GPU energy by pod.
    """

    scenario: Scenario
    cuts: list[Cut] = field(default_factory=list)
    pod_totals: dict[str, Decimal] = field(default_factory=dict)
    peer_node_uj: dict[str, float] = field(default_factory=dict)
    kepler_gpu_uj: dict[str, float] = field(default_factory=dict)
    fell: list[str] = field(default_factory=list)

    @property
    def end(self) -> Cut:
        """The state at the end."""
        return self.cuts[-1]

    def domain_kinds(self) -> list[str]:
        """The kinds of domain the node has."""
        return sorted(self.end.truth.nodes)

    def residual(self) -> Decimal:
        """Joules that the page's exact decimals do not account for; the sum of all its faults.

        Domains against components, pods against components, owners against pods.
        """
        page = self.end.page
        faults = [
            page.node(kind) - page.sum(ATTRIBUTED, domain=kind) for kind in page.domain_kinds()
        ]
        pods = sum(self.pod_totals.values(), Decimal(0))
        faults.append(
            pods
            - page.sum(ATTRIBUTED, component="dynamic")
            - page.sum(ATTRIBUTED, component="idle")
        )
        untold = sum(
            (value for series, value in self.pod_totals.items() if 'namespace=""' in series),
            Decimal(0),
        )
        faults.append(pods - untold - page.sum(OWNER))
        return sum(map(abs, faults), Decimal(0))


# What a test does after each tick, at that second.
Visit = Callable[[float, ReplayedAgent, Kepler], None]


class Replay:
    """One run of one scenario in a folder of its own."""

    def __init__(self, scenario: Scenario, folder: Path, devices: GpuDevices | None) -> None:
        self._scenario = scenario
        self._folder = folder
        self._node = Node(scenario)
        self._files = NodeFiles(folder / "host", scenario, devices)
        self._clock = a_clock(scenario)
        self._kepler = Kepler(scenario)
        self._scaphandre, self._ceems = Scaphandre(scenario), Ceems(scenario)
        self._peers: tuple[Peer, ...] = (self._kepler, self._scaphandre, self._ceems)
        self._kepler_pods = Scraper(from_zero=True)
        self._kepler_nodes = Scraper(from_zero=False)
        self._kepler_gpus = KeplerGpus(scenario)
        self._agent: ReplayedAgent | None = None
        self._shown: dict[str, Decimal] = {}
        self._outcome = Outcome(scenario)

    def run(self, visit: Visit | None = None) -> Outcome:
        """All of it."""
        ticks = round(self._scenario.seconds / self._scenario.tick)
        for position in range(ticks + 1):
            second = position * self._scenario.tick
            self._tick(second)
            if visit is not None and self._agent is not None:
                visit(second, self._agent, self._kepler)
        self._outcome.cuts.append(self._cut())
        self._outcome.peer_node_uj = {
            self._kepler.name: sum(self._kepler_nodes.increase.values()),
            self._scaphandre.name: self._scaphandre.node_uj,
            self._ceems.name: self._ceems.node_uj,
        }
        self._outcome.kepler_gpu_uj = dict(self._kepler_gpus.pods())
        if self._agent is not None:
            self._agent.kill()
        return self._outcome

    def _tick(self, second: float) -> None:
        if second:
            self._clock.advance(self._scenario.tick)
        self._node.advance(second)
        reading = self._node.reading()
        self._files.show(reading)
        if any(start <= second < end for start, end in self._scenario.killed):
            self._kill()
            return
        if self._agent is None:
            self._agent = ReplayedAgent(
                self._node, self._files, self._folder / "state", self._clock
            )
        self._agent.tick()
        for peer in self._peers:
            peer.take(reading)
        self._kepler_gpus.take(reading)
        self._kepler_pods.read(self._kepler.pods())
        if second % SCRAPE_SECONDS == 0:
            self._scrape()
        if second in self._scenario.cuts[:-1]:
            self._outcome.cuts.append(self._cut())

    def _kill(self) -> None:
        if self._agent is not None:
            self._agent.kill()
            self._agent = None
            # Every tool is killed at once: it is the node's bad minute, not the agent's.
            for peer in (*self._peers, self._kepler_gpus):
                peer.restart()

    def _scrape(self) -> None:
        self._kepler_nodes.read(self._kepler.node_uj)
        self._remember(self._page())

    def _remember(self, page: Page) -> None:
        counters = page.counters()
        # A pod leaves the page ten minutes after its end; its last value stays known here.
        pods = {series: value for series, value in counters.items() if series.startswith(POD)}
        self._outcome.pod_totals |= pods
        fell = [series for series, value in counters.items() if value < self._shown.get(series, 0)]
        self._outcome.fell += fell
        self._shown = counters

    def _page(self) -> Page:
        assert self._agent is not None, f"{self._scenario.name}: no agent to look at"
        return self._agent.page()

    def _cut(self) -> Cut:
        page = self._page()
        self._remember(page)
        peers = {peer.name: dict(peer.pods()) for peer in self._peers}
        peers[self._kepler.name] = dict(self._kepler_pods.increase)
        return Cut(deepcopy(self._node.truth), page, peers)


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder in memory where there is one: the agent has its state synced to disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def replay(scenario: Scenario, visit: Visit | None = None) -> Outcome:
    """Run a scenario."""
    with a_folder() as folder, gpu_devices(scenario, folder) as devices:
        return Replay(scenario, folder, devices).run(visit)


@functools.cache
def outcome_of(scenario: Scenario) -> Outcome:
    """What comes of a scenario, which is always the same; run once in each process."""
    return replay(scenario)
