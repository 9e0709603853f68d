"""Ledger writes: exact, whoever else writes to the job."""

from collections.abc import Callable

import pytest

from accounting_edges import Book, JobsApi
from accounting_fakes import HOUR, MIDNIGHT, a_sample
from carbonaware_operator.accounting.ledger import empty_ledger, post
from carbonaware_operator.accounting.samples import SeriesSample
from carbonaware_operator.accounting.sums import sums_of
from carbonaware_operator.accounting.totals import status_fields
from carbonaware_operator.api.ledger import Ledger
from carbonaware_operator.cluster.kube import ApiError
from carbonaware_operator.cluster.ledgers import ATTEMPTS, JobGoneError, LedgerWriter


@pytest.fixture
def kube() -> JobsApi:
    """A cluster with one job."""
    api = JobsApi()
    api.add("train", {"finishedTime": "2025-11-24T00:00:00Z"})
    return api


def known(kube: JobsApi) -> Book:
    """The jobs of the cluster as they are now."""
    book = Book()
    for job in kube.jobs.values():
        book.take(job)
    return book


def posting(*samples: SeriesSample) -> Callable[[Ledger], Ledger]:
    """The change that posts samples."""
    return lambda ledger: post(ledger, samples, period_seconds=HOUR)


def stored(kube: JobsApi) -> Ledger:
    """The ledger in the cluster."""
    return Ledger.model_validate(kube.jobs["train"]["status"]["ledger"])


class TestRevise:
    async def test_applies_the_whole_set_as_its_own_manager(self, kube: JobsApi) -> None:
        """Ledger and sums are one write; the planner's fields are left alone."""
        (job,) = known(kube).unsettled()

        revised = await LedgerWriter(kube).revise(job, posting(a_sample(7)))

        assert ["APPLY ml/train/status carbonaware-ledger"] == kube.requests
        assert revised.ledger == stored(kube)
        assert {**status_fields(revised.ledger), "finishedTime": "2025-11-24T00:00:00Z"} == (
            kube.jobs["train"]["status"]
        )
        assert revised.body is not None
        assert kube.jobs["train"]["metadata"] == revised.body["metadata"]

    async def test_writes_nothing_when_nothing_changes(self, kube: JobsApi) -> None:
        """No transition, no write."""
        (job,) = known(kube).unsettled()

        revised = await LedgerWriter(kube).revise(job, posting(a_sample(0)))

        assert ([], None) == (kube.requests, revised.body)

    async def test_after_a_conflict_posts_again_on_the_ledger_as_it_is(self, kube: JobsApi) -> None:
        """Another operator has posted part of it: the rest is added, nothing twice."""
        (job,) = known(kube).unsettled()
        other = post(empty_ledger(), [a_sample(5)], period_seconds=HOUR)
        kube.touch("train", **status_fields(other))

        revised = await LedgerWriter(kube).revise(job, posting(a_sample(7)))

        assert (7, 2) == (sums_of(stored(kube)).energy, stored(kube).revision)
        assert revised.ledger == stored(kube)
        assert ["APPLY", "GET", "APPLY"] == [request.split()[0] for request in kube.requests]

    async def test_returns_what_it_read_when_another_has_done_it_all(self, kube: JobsApi) -> None:
        """The book learns of the newer object without a write."""
        (job,) = known(kube).unsettled()
        other = post(empty_ledger(), [a_sample(7)], period_seconds=HOUR)
        kube.touch("train", **status_fields(other))

        revised = await LedgerWriter(kube).revise(job, posting(a_sample(7)))

        assert revised.body == kube.jobs["train"]
        assert other == revised.ledger

    async def test_whose_answer_is_lost_is_not_made_twice(self, kube: JobsApi) -> None:
        """The write was stored, its answer lost: the next try finds it."""
        book = known(kube)
        (job,) = book.unsettled()

        def lose() -> None:
            kube.after_apply = lambda: None
            raise ApiError(0, "Unreachable", "connection reset")

        kube.after_apply = lose
        with pytest.raises(ApiError):
            await LedgerWriter(kube).revise(job, posting(a_sample(7)))

        await LedgerWriter(kube).revise(job, posting(a_sample(9, MIDNIGHT)))

        assert 9 == sums_of(stored(kube)).energy

    async def test_gives_up_after_some_conflicts(self, kube: JobsApi) -> None:
        """Somebody writes all the time: the next round tries again."""
        (job,) = known(kube).unsettled()
        kube.before_apply = lambda: kube.touch("train")

        with pytest.raises(ApiError, match="modified"):
            await LedgerWriter(kube).revise(job, posting(a_sample(7)))

        assert ATTEMPTS == sum(request.startswith("APPLY") for request in kube.requests)

    async def test_says_when_the_job_is_gone(self, kube: JobsApi) -> None:
        """A deleted job has no account."""
        (job,) = known(kube).unsettled()
        del kube.jobs["train"]

        with pytest.raises(JobGoneError):
            await LedgerWriter(kube).revise(job, posting(a_sample(7)))

    async def test_never_charges_a_namesake(self, kube: JobsApi) -> None:
        """A job created anew under the same name has another uid and its own account."""
        (job,) = known(kube).unsettled()
        kube.add("train", uid="another")

        with pytest.raises(JobGoneError):
            await LedgerWriter(kube).revise(job, posting(a_sample(7)))

        assert {} == kube.jobs["train"]["status"]
