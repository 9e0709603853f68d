"""The agent as a process: its log, its signals and its exit code."""

import contextlib
import logging
import resource
import signal
import sys
import threading
from collections.abc import Sequence

from carbonaware_agent import logs, settings
from carbonaware_agent.saved.store import StateFolderInUseError
from carbonaware_agent.wiring import run
from carbonaware_agent.workloads.api import ApiUnconfiguredError

_log = logging.getLogger("carbonaware_agent")


def main(arguments: Sequence[str]) -> None:
    """Run the agent until SIGTERM or SIGINT; ends the process with 1 if it cannot begin."""
    chosen = settings.parse(arguments)
    logs.log_to_stderr(chosen.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _raise_descriptor_limit()
    try:
        run(chosen, stop)
    except (OSError, StateFolderInUseError, ApiUnconfiguredError) as error:
        _log.error("cannot run", extra={"reason": str(error)})
        sys.exit(1)


def _raise_descriptor_limit() -> None:
    """One descriptor is kept for each pod."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
