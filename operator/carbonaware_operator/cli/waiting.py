"""`wait` and `release --wait`: follow a job until it is as far as asked, or never will be."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum

from carbonaware_operator.api.reasons import State
from carbonaware_operator.cli.errors import CommandError
from carbonaware_operator.cli.lookup import no_such_job, progress_in
from carbonaware_operator.cli.states import Standing, standing
from carbonaware_operator.cli.watching import states
from carbonaware_operator.cluster.kube import CARBON_AWARE_JOBS, KubeClient
from carbonaware_operator.planning.progress import Progress
from carbonaware_operator.quantities.spans import span


class Goal(StrEnum):
    """How far a job is to come."""

    STARTED = "started"
    COMPLETE = "complete"
    FAILED = "failed"
    ENDED = "ended"


async def wait_for(
    kube: KubeClient,
    namespace: str,
    name: str,
    goal: Goal,
    patience: timedelta | None,
    report: Callable[[str], None],
) -> None:
    """Wait until a job has reached the goal; `report` is told each state on the way.

    patience: None waits for ever. Raises CommandError: it ended otherwise, was deleted, or is not
    there yet in time; ApiError.
    """
    said = ""
    title = f"job {namespace}/{name}"
    try:
        async with asyncio.timeout(patience.total_seconds() if patience is not None else None):
            async for body, deleted in states(kube, CARBON_AWARE_JOBS, namespace, name):
                progress = progress_in(body)
                now_standing = standing(progress)
                if _reached(goal, progress, now_standing):
                    return
                _check_still_possible(title, goal, progress, now_standing)
                if deleted:
                    raise CommandError(f"{title} was deleted before it was {goal}")
                last, said = said, _worded(now_standing)
                if said != last:
                    report(f"{title}: {said}")
            raise no_such_job(namespace, name)
    except TimeoutError as error:
        raise CommandError(
            f"{title} is still {said or 'unknown'} after {span(patience or timedelta())};"
            " `kubectl carbonaware explain` says why"
        ) from error


def _reached(goal: Goal, progress: Progress, now: Standing) -> bool:
    match goal:
        case Goal.STARTED:
            return progress.released is not None
        case Goal.COMPLETE:
            return now.state is State.COMPLETE
        case Goal.FAILED:
            return now.state is State.FAILED
        case Goal.ENDED:
            return progress.ended


def _check_still_possible(title: str, goal: Goal, progress: Progress, now: Standing) -> None:
    if progress.ended:
        raise CommandError(f"{title} is {now.state}, not {goal}: {now.reason}, {now.message}")


def _worded(now: Standing) -> str:
    return f"{now.state} ({now.reason})" if now.reason else now.state.value
