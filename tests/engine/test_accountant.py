"""The accountant: agents, ledgers and prices, round after round."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting_edges import Book, BookedJob, HandClock, JobsApi, PlayedAgent
from accounting_fakes import (
    HOUR,
    KILOWATT_HOUR,
    MIDNIGHT,
    Archive,
    TrueSeries,
    energies,
    grid,
    hours,
)
from carbonaware_operator.accounting.samples import Reading
from carbonaware_operator.accounting.sums import sums_of
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.api.zone import CarbonZoneSpec, CarbonZoneStatus
from carbonaware_operator.cluster.agents import AgentScraper, Scrape, ScrapeResult
from carbonaware_operator.cluster.kube import ApiError
from carbonaware_operator.cluster.ledgers import LedgerWriter
from carbonaware_operator.engine.accountant import Accountant
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.zones import ZoneRecord, ZoneStore

MINUTE = hours(1 / 60)


@dataclass(slots=True)
class Counts:
    """Metrics as plain sums."""

    energy: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    emissions: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    results: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, namespace: str, zone: str, energy: int, emissions: int, baseline: int) -> None:
        """Count what a ledger gained."""
        assert min(energy, emissions, baseline) >= 0
        self.energy[namespace, zone] += energy
        self.emissions[namespace, zone] += emissions

    def scraped(self, result: str, count: int) -> None:
        """Count scrapes."""
        self.results[result] += count


class Scene:
    """One agent, one running job `train` in zone `de`, and an accountant."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.kube, self.book, self.counts = JobsApi(), Book(), Counts()
        self.archive: Archive = grid(*[100] * 48)
        self.agents = [PlayedAgent(self.clock), PlayedAgent(self.clock, node="n2")]
        self.job = self.add("train")
        self.series = self.agents[0].owner("owner-train")
        self.zones = ZoneStore()
        self.accountant = self.an_accountant()

    def add(self, name: str) -> BookedJob:
        """A running job."""
        return self.book.take(self.kube.add(name))

    def an_accountant(self) -> Accountant:
        """An accountant that remembers nothing, as after a crash."""
        return Accountant(
            jobs=self.book,
            zones=self.zones,
            agents=AgentScraper(
                self.kube, namespace="carbon", urls=[agent.url for agent in self.agents]
            ),
            ledgers=LedgerWriter(self.kube),
            archive_of=lambda name: self.archive if name == "de" else None,
            metrics=self.counts,
            clock=self.clock,
            period_seconds=HOUR,
            interval_seconds=60,
        )

    async def round(self, after: float = 1.0, use: int = 0) -> None:
        """Some minutes later, energy used at their end, one round."""
        self.clock.time += MINUTE * after
        if use:
            self.series.use(use, self.clock.time)
        await self.accountant.account_once()

    def stored(self, name: str = "train") -> Ledger:
        """The ledger in the cluster."""
        return Ledger.model_validate(self.kube.jobs[name]["status"]["ledger"])

    def writes(self) -> int:
        """Writes so far."""
        return sum(request.startswith("APPLY") for request in self.kube.requests)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """A scene whose agents listen."""
    played = Scene()
    for agent in played.agents:
        await agent.start()
    played.accountant = played.an_accountant()
    yield played
    for agent in played.agents:
        await agent.stop()


class TestRound:
    async def test_posts_prices_and_writes_a_jobs_energy(self, scene: Scene) -> None:
        """1 kWh at 100 g/kWh is 100 g, compared with itself as the job was not delayed."""
        await scene.round(use=KILOWATT_HOUR)

        status = scene.kube.jobs["train"]["status"]
        assert (3_600_000, 100_000, 0) == (
            status["energyJoules"],
            status["emissionsMilligrams"],
            status["avoidedEmissionsMilligrams"],
        )

    async def test_takes_the_usage_effectiveness_of_the_zone(self, scene: Scene) -> None:
        """A data centre with a PUE of 1.5 emits half as much again."""
        spec = CarbonZoneSpec.model_validate(
            {"source": {"type": "Static", "static": {"gramsPerKWh": 1}}, "pueMilli": 1500}
        )
        scene.zones.apply(ZoneRecord("de", "u", 1, MIDNIGHT, spec, CarbonZoneStatus()))

        await scene.round(use=KILOWATT_HOUR)

        assert 150_000 == scene.kube.jobs["train"]["status"]["emissionsMilligrams"]

    async def test_writes_only_what_changed(self, scene: Scene) -> None:
        """A round that brings nothing new writes nothing."""
        await scene.round(use=5)
        await scene.round()

        assert 1 == scene.writes()

    async def test_counts_energy_of_a_job_without_a_zone(self, scene: Scene) -> None:
        """No grid is known: energy is counted, and stays unpriced."""
        scene.job.zone_name = None

        await scene.round(use=5)

        assert (5, 0) == (sums_of(scene.stored()).energy, sums_of(scene.stored()).priced)

    async def test_ignores_a_pod_of_another_namespace_that_claims_the_owner(
        self, scene: Scene
    ) -> None:
        """Whoever forges an owner from outside the namespace charges nobody."""
        scene.agents[1].owner("owner-train", namespace="intruder").use(1000, scene.clock.time)

        await scene.round(use=5)

        assert 5 == sums_of(scene.stored()).energy

    async def test_of_a_failing_job_harms_no_other(self, scene: Scene) -> None:
        """One job cannot be written; the other is."""
        scene.add("other")
        scene.agents[0].owner("owner-other").use(9, scene.clock.time)
        del scene.kube.jobs["train"]

        await scene.round(use=5)

        assert 9 == sums_of(scene.stored("other")).energy

    async def test_asks_for_marks_since_the_job_began_then_since_the_last_reading(
        self, scene: Scene
    ) -> None:
        """A question is never wider than what may be missing, give or take one period."""
        await scene.round(after=180, use=5)
        await scene.round(use=5)
        await scene.round(use=5)

        asked = [(since - MIDNIGHT) / MINUTE for since in scene.agents[0].asked]
        assert [-60, 120, 121] == asked


class TestExactness:
    async def test_energy_keeps_its_hours_when_the_operator_was_away(self, scene: Scene) -> None:
        """Killed for five hours, the next operator finds every hour's energy."""
        await scene.round(use=5)
        for hour in range(1, 6):
            scene.series.use(hour, MIDNIGHT + hours(hour + 0.5))
        scene.clock.time = MIDNIGHT + hours(6)
        scene.accountant = scene.an_accountant()

        await scene.round(use=7)

        truth = scene.series.by_period(scene.clock.time, HOUR)
        assert truth == energies(scene.stored())

    async def test_energy_keeps_its_hours_when_an_agent_was_silent(self, scene: Scene) -> None:
        """One agent is cut off for hours; the others go on and it is asked for all of them."""
        scene.agents[1].silent = True
        late = scene.agents[1].owner("owner-train")
        for _ in range(4):
            late.use(100, scene.clock.time + MINUTE)
            await scene.round(after=60, use=1)
        scene.agents[1].silent = False

        await scene.round()

        truth = Counter(late.by_period(scene.clock.time, HOUR))
        truth.update(scene.series.by_period(scene.clock.time, HOUR))
        assert dict(truth) == energies(scene.stored())

    async def test_energy_keeps_its_hours_when_writes_failed(self, scene: Scene) -> None:
        """The API server refuses for hours; afterwards the split is the true one."""

        def refuse() -> None:
            raise ApiError(503, "ServiceUnavailable", "away")

        scene.kube.before_apply = refuse
        for _ in range(4):
            await scene.round(after=60, use=3)
        scene.kube.before_apply = lambda: None

        await scene.round(use=1)

        assert scene.series.by_period(scene.clock.time, HOUR) == energies(scene.stored())

    async def test_energy_keeps_its_hours_when_the_first_write_after_a_silence_fails(
        self, scene: Scene
    ) -> None:
        """What an agent told in a round that could not be written, it is asked for once more."""
        await scene.round()
        late = scene.agents[1].owner("owner-train")
        late.use(9, scene.clock.time + MINUTE)
        scene.agents[1].silent = True
        await scene.round(after=180, use=5)
        scene.agents[1].silent = False

        def refuse() -> None:
            raise ApiError(503, "ServiceUnavailable", "away")

        scene.kube.before_apply = refuse
        await scene.round()
        scene.kube.before_apply = lambda: None

        await scene.round()

        assert {"2025-11-24T00:00:00Z": 9, "2025-11-24T03:00:00Z": 5} == energies(scene.stored())

    async def test_two_accountants_at_once_count_once(self, scene: Scene) -> None:
        """Leases overlap when clocks stall; versions of the object keep the account exact."""
        await scene.round(use=5)
        rival_book = Book()
        rival_book.take(scene.kube.jobs["train"], ledger=scene.stored())
        await scene.round(use=6)
        scene.book = rival_book
        scene.accountant = scene.an_accountant()

        await scene.round(use=7)

        assert 18 == sums_of(scene.stored()).energy


@dataclass(slots=True)
class Nodes(AgentScraper):
    """Agents without a network: series by address, and who is silent now."""

    clock: HandClock
    series: dict[str, list[TrueSeries]]
    silent: set[str] = field(default_factory=set)

    async def find(self) -> list[str]:
        """All of them."""
        return list(self.series)

    async def scrape(
        self, since: Mapping[str, Instant], *, owners: AbstractSet[str], period_seconds: int
    ) -> list[Scrape]:
        """What they know, told from where they are asked."""
        now, scrapes = self.clock.now(), []
        for url, start in since.items():
            known = tuple(one.sample(now, period_seconds, start) for one in self.series[url])
            mine = tuple(sample for sample in known if sample.owner_uid in owners)
            scrapes.append(
                Scrape(url, ScrapeResult.UNREACHABLE)
                if url in self.silent
                else Scrape(url, ScrapeResult.OK, Reading(url, now, mine))
            )
        return scrapes


_PERIOD = 60
_NAMES = ("one", "two")
_URLS = ("n1", "n2")
_rounds = st.lists(
    st.tuples(
        st.integers(1, 200),  # seconds since the round before
        st.lists(st.integers(0, 9), min_size=4, max_size=4),  # energy of each series
        st.sets(st.sampled_from(_URLS)),  # silent agents
        st.sampled_from(["written", "refused", "answer lost"]),
        st.sets(st.sampled_from(_NAMES)),  # jobs whose objects others change
    ),
    min_size=1,
    max_size=12,
)


class TestEveryRun:
    @settings(deadline=None)
    @given(rounds=_rounds, second_job_known_from=st.integers(0, 11))
    def test_ends_in_the_true_energy_of_every_period(
        self,
        rounds: list[tuple[int, list[int], set[str], str, set[str]]],
        second_job_known_from: int,
    ) -> None:
        """Whatever was silent, refused, lost or changed by others on the way."""
        asyncio.run(_run(rounds, second_job_known_from))


async def _run(
    rounds: list[tuple[int, list[int], set[str], str, set[str]]], second_job_known_from: int
) -> None:
    clock, kube, book = HandClock(), JobsApi(), Book()
    series = [TrueSeries(node=url, owner=f"owner-{name}") for url in _URLS for name in _NAMES]
    nodes = Nodes(clock, {url: [one for one in series if one.node == url] for url in _URLS})
    accountant = Accountant(
        jobs=book,
        zones=ZoneStore(),
        agents=nodes,
        ledgers=LedgerWriter(kube),
        archive_of=lambda _: None,
        metrics=Counts(),
        clock=clock,
        period_seconds=_PERIOD,
        interval_seconds=1,
    )
    book.take(kube.add("one"))
    second = kube.add("two")
    last = (1, [1] * 4, set[str](), "written", set[str]())
    for number, (seconds, used, silent, fate, touched) in enumerate([*rounds, last]):
        clock.time += timedelta(seconds=seconds)
        for one, energy in zip(series, used, strict=True):
            one.use(energy, clock.time)
        if number == min(second_job_known_from, len(rounds)):
            book.take(second)
        nodes.silent = silent
        kube.before_apply, kube.after_apply = _fate(fate)
        for name in touched:
            kube.touch(name)
        await accountant.account_once()
    for name in _NAMES:
        truth: Counter[str] = Counter()
        for one in series:
            if one.owner == f"owner-{name}":
                truth.update(one.by_period(clock.time, _PERIOD))
        assert dict(truth) == energies(Ledger.model_validate(kube.jobs[name]["status"]["ledger"]))


def _fate(fate: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """What happens before and after a write is stored."""

    def fail() -> None:
        raise ApiError(0, "Unreachable", "connection reset")

    def nothing() -> None:
        pass

    return (fail if fate == "refused" else nothing), (fail if fate == "answer lost" else nothing)


class TestSettling:
    async def test_waits_for_the_last_reading_and_a_quiet_round(self, scene: Scene) -> None:
        """The account closes when the job has ended and no agent has more to tell."""
        await scene.round(use=5)
        scene.job.finished = scene.clock.time
        await scene.round(use=2)
        assert not scene.stored().settled

        await scene.round()

        assert scene.stored().settled
        assert 7 == sums_of(scene.stored()).energy

    async def test_waits_for_a_silent_agent_ten_minutes(self, scene: Scene) -> None:
        """An agent that restarts may still know of pods; one that is gone does not come back."""
        await scene.round(use=5)
        scene.job.finished = scene.clock.time
        scene.agents[1].silent = True
        await scene.round(after=9)
        assert not scene.stored().settled

        await scene.round()

        assert scene.stored().settled

    async def test_of_a_job_that_used_nothing_is_written_too(self, scene: Scene) -> None:
        """Zero is a result, once it is final."""
        scene.job.finished = scene.clock.time

        await scene.round()

        assert 0 == scene.kube.jobs["train"]["status"]["energyJoules"]
        assert scene.stored().settled

    async def test_leaves_prices_open_for_a_day(self, scene: Scene) -> None:
        """A settled account follows revised estimates until its last period is a day old."""
        await scene.round(use=KILOWATT_HOUR)
        scene.job.finished = scene.clock.time
        await scene.round()
        scene.archive = grid(*[200] * 48)

        await scene.round()
        assert 200_000 == scene.kube.jobs["train"]["status"]["emissionsMilligrams"]

        await scene.round(after=25 * 60)
        assert [] == scene.stored().hours
        assert 200_000 == scene.kube.jobs["train"]["status"]["emissionsMilligrams"]


class TestMetrics:
    async def test_count_what_ledgers_gain_by_namespace_and_zone(self, scene: Scene) -> None:
        """Energy and emissions rise with the ledgers, and agents are counted by result."""
        scene.agents[1].silent = True

        await scene.round(use=KILOWATT_HOUR)
        await scene.round(use=KILOWATT_HOUR)

        assert {("ml", "de"): 2 * KILOWATT_HOUR} == scene.counts.energy
        assert {("ml", "de"): 200_000_000} == scene.counts.emissions
        assert {"ok": 2, "unreachable": 2} == scene.counts.results

    async def test_do_not_fall_when_a_price_does(self, scene: Scene) -> None:
        """A revision downwards counts nothing until the sum is above what it was."""
        await scene.round(use=KILOWATT_HOUR)
        scene.archive = grid(*[50] * 48)
        await scene.round()
        assert {("ml", "de"): 100_000_000} == scene.counts.emissions

        await scene.round(use=2 * KILOWATT_HOUR)

        assert {("ml", "de"): 150_000_000} == scene.counts.emissions

    async def test_do_not_count_again_what_an_earlier_operator_posted(self, scene: Scene) -> None:
        """After a restart a counter begins at zero, not at all that is in the ledgers."""
        await scene.round(use=5)
        scene.counts.energy.clear()
        scene.accountant = scene.an_accountant()

        await scene.round(use=2)

        assert {("ml", "de"): 2} == scene.counts.energy


class TestRun:
    async def test_looks_again_after_the_interval(self, scene: Scene) -> None:
        """For as long as this replica leads."""
        scene.series.use(5, MIDNIGHT)
        running = asyncio.create_task(scene.accountant.run())

        await _until(lambda: len(scene.clock.slept) >= 3)
        await _until(scene.writes)
        running.cancel()
        assert {60} == set(scene.clock.slept)


async def _until(happened: Callable[[], object]) -> None:
    for _ in range(5000):
        if happened():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError
