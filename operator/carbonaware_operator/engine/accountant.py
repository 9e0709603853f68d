"""The accountant: one task that reads the agents and keeps every job's account.

Each round asks all agents, joins the owners of pods to jobs, posts and prices each ledger, and
writes those that changed. It remembers nothing that the ledgers do not hold, but for two things
that cost only effort when forgotten: which agents have been heard until when, and which jobs were
there. Both begin anew when this replica starts to lead.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from carbonaware_operator.accounting.counted import Counted
from carbonaware_operator.accounting.ledger import (
    OPEN_FOR,
    LedgerFullError,
    post,
    settle,
    unposted_since,
)
from carbonaware_operator.accounting.pricing import IntensityOf, Shift, price
from carbonaware_operator.accounting.rollcall import RollCall
from carbonaware_operator.accounting.samples import SeriesSample
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.cluster.agents import AgentScraper, Scrape
from carbonaware_operator.cluster.kube import ApiError, Object
from carbonaware_operator.cluster.ledgers import JobGoneError, LedgerHolder, LedgerWriter
from carbonaware_operator.engine.clock import Clock
from carbonaware_operator.grid.archive import PeriodIntensity
from carbonaware_operator.quantities.emissions import PUE_MILLI_NONE
from carbonaware_operator.quantities.instants import Instant
from carbonaware_operator.store.zones import ZoneStore

log = logging.getLogger(__name__)

WRITES_IN_FLIGHT = 16
LAST_WORD = timedelta(seconds=3)
"""A reading so much later than a job's end holds all of it: two ticks of an agent, and the second
that Kubernetes cuts off its times."""

SamplesByJob = Mapping[str, Sequence[SeriesSample]]


class AccountableJob(LedgerHolder, Protocol):
    """What the accountant needs of a job."""

    @property
    def zone_name(self) -> str | None:
        """The CarbonZone that prices it."""
        ...

    @property
    def owner_uids(self) -> frozenset[str]:
        """The owners under which agents report what it uses."""
        ...

    @property
    def shifts(self) -> tuple[Shift, ...]:
        """From when on the run is how many seconds later than run-at-once."""
        ...

    @property
    def finished(self) -> Instant | None:
        """When the job ended."""
        ...


class JobBook(Protocol):
    """Where jobs are looked up."""

    def unsettled(self) -> Iterable[AccountableJob]:
        """Jobs that have or had a child Job and whose ledger is not `final()` yet."""
        ...

    def apply(self, body: Object) -> object:
        """Take in an object that a write or a read returned."""
        ...


class PeriodMeans(Protocol):
    """The history of a zone."""

    def mean(self, period_start: Instant) -> PeriodIntensity | None:
        """The mean average intensity of a period; None when nothing is known of it."""
        ...


class AccountingMetrics(Protocol):
    """Where counts go."""

    def add(
        self,
        namespace: str,
        zone: str,
        energy_microjoules: int,
        emissions_micrograms: int,
        baseline_micrograms: int,
    ) -> None:
        """Count what ledgers gained; see `Counted` for prices that were revised downwards."""
        ...

    def scraped(self, result: str, count: int) -> None:
        """Count scrapes of agents that ended with the same result."""
        ...


@dataclass(slots=True)
class _Tenure:
    """What is remembered while this replica leads.

    known: uids of the jobs of the last round. repeat_from: from when on the last round asked, if
    the account of any job could not be kept in it.
    """

    calls: RollCall
    counted: Counted = field(default_factory=Counted)
    known: frozenset[str] = frozenset()
    repeat_from: Instant | None = None


class Accountant:
    """Keeps the accounts."""

    def __init__(
        self,
        *,
        jobs: JobBook,
        zones: ZoneStore,
        agents: AgentScraper,
        ledgers: LedgerWriter,
        archive_of: Callable[[str], PeriodMeans | None],
        metrics: AccountingMetrics,
        clock: Clock,
        period_seconds: int,
        interval_seconds: float,
    ) -> None:
        self._jobs, self._zones, self._archive_of = jobs, zones, archive_of
        self._agents, self._ledgers, self._metrics = agents, ledgers, metrics
        self._clock = clock
        self._period_seconds, self._interval_seconds = period_seconds, interval_seconds
        self._tenure: _Tenure | None = None

    async def run(self) -> None:
        """Account until cancelled: what the scope of the lease holds."""
        self._tenure = None
        while True:
            await self.account_once()
            await self._clock.sleep(self._interval_seconds)

    async def account_once(self) -> None:
        """One round: ask all agents, then bring every account up to date."""
        tenure = self._tenure or _Tenure(RollCall(began=self._clock.monotonic()))
        self._tenure = tenure
        jobs = {job.uid: job for job in self._jobs.unsettled()}
        owners = {owner: job for job in jobs.values() for owner in job.owner_uids}
        tenure.counted.begin({uid: job.ledger for uid, job in jobs.items()})
        asked_from = await self._asked_from(tenure, list(jobs.values()))
        scrapes = await self._ask(tenure, asked_from, owners.keys())
        samples = _by_job(scrapes, owners)
        waiting = iter(jobs.values())
        kept = await asyncio.gather(
            *(self._keep(tenure, waiting, samples) for _ in range(WRITES_IN_FLIGHT))
        )
        tenure.known = frozenset(jobs)
        tenure.repeat_from = None if all(kept) else min(asked_from.values(), default=None)

    async def _asked_from(
        self, tenure: _Tenure, jobs: Sequence[AccountableJob]
    ) -> dict[str, Instant]:
        """From when on each agent has to tell, by its base URL."""
        urls, now = await self._agents.find(), self._clock.now()
        tenure.calls.expect(set(urls), self._clock.monotonic())
        starts = {job.uid: _open_since(job, now) for job in jobs}
        new = [start for uid, start in starts.items() if uid not in tenure.known]
        behind = min([*new, tenure.repeat_from or now])
        oldest = min(starts.values(), default=now)
        return {url: tenure.calls.ask(url, oldest=oldest, behind=behind) for url in urls}

    async def _ask(
        self, tenure: _Tenure, asked_from: Mapping[str, Instant], owners: AbstractSet[str]
    ) -> list[Scrape]:
        # One period more, so that the first mark is not above what is posted already.
        period = timedelta(seconds=self._period_seconds)
        scrapes = await self._agents.scrape(
            {url: start - period for url, start in asked_from.items()},
            owners=owners,
            period_seconds=self._period_seconds,
        )
        for scrape in scrapes:
            if scrape.reading:
                node, time = scrape.reading.node, scrape.reading.time
                tenure.calls.answered(scrape.url, node, time, self._clock.monotonic())
        for result, count in Counter(scrape.result for scrape in scrapes).items():
            self._metrics.scraped(result.value, count)
        return scrapes

    async def _keep(
        self, tenure: _Tenure, waiting: Iterator[AccountableJob], samples: SamplesByJob
    ) -> bool:
        """Keep accounts one after the other, from an iterator shared with other workers.

        False when one of them could not be kept.
        """
        all_kept = True
        for job in waiting:
            all_kept &= await self._kept(tenure, job, samples.get(job.uid, ()))
            await self._clock.sleep(0)
        return all_kept

    async def _kept(
        self, tenure: _Tenure, job: AccountableJob, samples: Sequence[SeriesSample]
    ) -> bool:
        """Bring one account up to date; false when that failed, which concerns this job alone."""
        try:
            revised = await self._ledgers.revise(job, self._change(tenure, job, samples))
        except JobGoneError:
            return True
        except (ApiError, LedgerFullError) as error:
            log.warning(
                "account not kept, will be tried again",
                extra={"namespace": job.namespace, "job_name": job.name, "error": str(error)},
            )
            return False
        if revised.body is not None:
            self._jobs.apply(revised.body)
        gained = tenure.counted.gained(job.uid, revised.ledger)
        if any((gained.energy, gained.emissions, gained.baseline)):
            zone = job.zone_name or ""
            self._metrics.add(job.namespace, zone, gained.energy, gained.emissions, gained.baseline)
        return True

    def _change(
        self, tenure: _Tenure, job: AccountableJob, samples: Sequence[SeriesSample]
    ) -> Callable[[Ledger], Ledger]:
        """What this round makes of the job's ledger."""
        now, ticks = self._clock.now(), self._clock.monotonic()
        intensity, pue_milli = self._prices(job.zone_name)

        def change(ledger: Ledger) -> Ledger:
            posted = post(ledger, samples, period_seconds=self._period_seconds)
            priced = price(
                posted, intensity=intensity, shifts=job.shifts, pue_milli=pue_milli, now=now
            )
            # Pods of a deleted child Job outlive it: while energy comes in, the account is open.
            told = posted is ledger and _all_told(tenure.calls, job, ledger, ticks)
            return settle(priced) if told else priced

        return change

    def _prices(self, zone_name: str | None) -> tuple[IntensityOf, int]:
        archive = self._archive_of(zone_name) if zone_name else None
        record = self._zones.records.get(zone_name or "")
        pue_milli = (record.spec.pue_milli if record else None) or PUE_MILLI_NONE
        return (archive.mean if archive else _unknown), pue_milli


def _by_job(
    scrapes: Iterable[Scrape], owners: Mapping[str, AccountableJob]
) -> dict[str, list[SeriesSample]]:
    """Samples by the uid of their job; a pod of another namespace cannot bear its owner."""
    samples: dict[str, list[SeriesSample]] = defaultdict(list)
    for scrape in scrapes:
        for series in scrape.reading.series if scrape.reading else ():
            job = owners.get(series.owner_uid)
            if job and job.namespace == series.namespace:
                samples[job.uid].append(series)
    return samples


def _all_told(calls: RollCall, job: AccountableJob, ledger: Ledger, ticks: float) -> bool:
    """Whether the job has ended and no agent can have more to tell of it."""
    nodes = {cursor.node for cursor in ledger.sources}
    return job.finished is not None and calls.complete(job.finished + LAST_WORD, nodes, ticks)


def _open_since(job: AccountableJob, now: Instant) -> Instant:
    """Since when energy of a job may not be posted: its cursors, else its start, else a day."""
    start = job.shifts[0][0] if job.shifts else now - OPEN_FOR
    return unposted_since(job.ledger) or start


def _unknown(_: Instant) -> PeriodIntensity | None:
    return None
