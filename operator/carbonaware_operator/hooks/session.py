"""How a hook runs: as the account of its pod, within a time, with a result for its exit code."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from carbonaware_operator.cluster.kube import ApiError, KubeClient, connect
from carbonaware_operator.engine.clock import Clock, SystemClock

POLL_SECONDS = 1.0
_UNGRANTED = (
    "; the chart grants this right unless rbac.create is off: then docs/operate.md says which"
    " rights are yours to grant"
)
Task = Callable[[KubeClient, Clock], Awaitable[str]]


class HookError(Exception):
    """A hook could not do what it is for; the message says what to do."""


def run(task: Task, *, seconds: float) -> None:
    """Run a hook's task and end the process: 0 and its last word, or 1 and what is wrong."""
    try:
        print(asyncio.run(_connected(task, seconds)))
    except TimeoutError:
        sys.exit(f"not done within {seconds:g} s")
    except ApiError as error:
        sys.exit(f"{error}{_UNGRANTED if error.status == 403 else ''}")
    except HookError as error:
        sys.exit(str(error))


async def _connected(task: Task, seconds: float) -> str:
    api = await connect(None)
    try:
        async with asyncio.timeout(seconds):
            return await task(KubeClient(api), SystemClock())
    finally:
        await api.close()
