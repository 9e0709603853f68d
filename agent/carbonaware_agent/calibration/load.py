"""`carbonaware-agent load`: a steady load of some percent on some processors."""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.context import ForkProcess

# Short enough that a second's mean is steady, long enough that a burst may end 0.1 ms late,
# which is how finely work is cut.
PERIOD_SECONDS = 0.05
_BLOCK = bytes(range(256)) * 256


@dataclass(frozen=True, slots=True)
class Made:
    """The load that was made: CPU time of all workers over the time they ran."""

    percent: float
    cores: int
    seconds: float
    cpu_seconds: float


class Load:
    """A load of `percent` on each of the given CPUs, for the length of a `with` block.

    One process for each CPU, pinned to it. `made` is known when the block has ended.
    """

    def __init__(self, percent: float, cpus: Sequence[int]) -> None:
        self._percent = percent
        self._cpus = cpus
        self._workers: list[ForkProcess] = []
        self.made = Made(0.0, len(cpus), 0.0, 0.0)

    def __enter__(self) -> "Load":
        self._before_seconds = _children_seconds()
        self._begin = time.monotonic()
        # Forked, as a worker needs nothing but this module; the commands have no threads.
        context = multiprocessing.get_context("fork")
        for number, cpu in enumerate(self._cpus):
            # Bursts of independent work do not coincide; if these did, whole packages would
            # sleep together between them, which a server in use hardly does.
            delay = PERIOD_SECONDS * number / len(self._cpus)
            worker = context.Process(
                target=_work, args=(cpu, self._percent / 100, delay, os.getpid())
            )
            worker.start()
            self._workers.append(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            # Not SIGTERM, which is lost on a worker that has not yet shed our handler.
            worker.kill()
        for worker in self._workers:
            worker.join()
        seconds = time.monotonic() - self._begin
        cpu_seconds = _children_seconds() - self._before_seconds
        percent = 100 * cpu_seconds / (seconds * len(self._cpus))
        self.made = Made(round(percent, 2), len(self._cpus), seconds, cpu_seconds)


def keep_to_share(
    share: float,
    *,
    used: Callable[[], float],
    elapsed: Callable[[], float],
    burn: Callable[[], object],
    sleep: Callable[[float], object],
    wanted: Callable[[], bool],
) -> None:
    """Burn CPU time in every period until `share` of all time since the beginning is used.

    used, elapsed: own CPU time and time since the beginning, in seconds. What one period could
    not use, because others took the CPU, is made up for in the next ones.
    """
    period = 0
    while wanted():
        period += 1
        end = period * PERIOD_SECONDS
        while used() < share * end:
            burn()
        rest = end - elapsed()
        if rest > 0:
            sleep(rest)


def main(arguments: Sequence[str]) -> None:
    """Make a load until the time is over or a signal comes, then tell what it was."""
    available = sorted(os.sched_getaffinity(0))
    chosen = _parse(arguments, len(available))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Load(chosen.percent, available[: chosen.cores]) as load:
        stop.wait(chosen.seconds)
    print(json.dumps(asdict(load.made)))


def _parse(arguments: Sequence[str], available: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carbonaware-agent load", description=__doc__)
    parser.add_argument("--percent", type=percentage, required=True, metavar="N")
    parser.add_argument(
        "--cores",
        type=int,
        choices=range(1, available + 1),
        default=available,
        metavar="M",
        help=f"CPUs to load, 1 to {available}, which is the default",
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="how long; else until a signal")
    return parser.parse_args(arguments)


def percentage(text: str) -> float:
    """A load given on the command line. Raises argparse.ArgumentTypeError: not 0 to 100."""
    value = float(text)
    if not 0 <= value <= 100 or math.isnan(value):
        raise argparse.ArgumentTypeError(f"{text!r} must be 0 to 100")
    return value


def _work(cpu: int, share: float, delay: float, parent: int) -> None:
    """The life of one worker; it ends by a signal, or when its parent is gone."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The terminal sends it to all; the parent ends the workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setaffinity(0, {cpu})
    time.sleep(delay)
    begin = time.monotonic() - delay
    keep_to_share(
        share,
        used=time.process_time,
        elapsed=lambda: time.monotonic() - begin,
        burn=_burn,
        sleep=time.sleep,
        wanted=lambda: os.getppid() == parent,
    )


def _burn() -> None:
    """Some 0.1 ms of interpreted code, and of code that streams through memory."""
    hashlib.blake2b(_BLOCK).digest()
    sum(number * number for number in range(1000))


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
