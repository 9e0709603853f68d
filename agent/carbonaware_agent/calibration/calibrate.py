"""`carbonaware-agent calibrate`: measure this machine's power at some loads, print its curve."""

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from carbonaware_agent.calibration import config_map
from carbonaware_agent.calibration.bench import Bench
from carbonaware_agent.calibration.errors import CalibrationError
from carbonaware_agent.calibration.load import Load, percentage
from carbonaware_agent.calibration.procedure import Outcome, Plan, carry_out
from carbonaware_agent.clock import SystemClock
from carbonaware_agent.host import Host, Processor
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.curve_file import Calibration
from carbonaware_agent.sources.selection import sensors

# On 67 servers such a curve is 1.0 % off in the mean, and 2.4 % without the load of 80 %, above
# which clock rates rise (`python -m benchmarks power_models`).
_STEPS = "0,10,50,80,100"
_VALIDATION = "30,90"


def main(arguments: Sequence[str]) -> None:
    """Calibrate this machine; ends the process with 1 and the reason when it cannot be done."""
    chosen = _parse(arguments)
    # The first process of a container would not end by this signal without a handler.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    host = Host(chosen.host_root)
    plan = Plan(chosen.steps, chosen.validate, chosen.settle_seconds, chosen.seconds_per_step)
    try:
        processor = host.processor()
        if not processor.name:
            raise CalibrationError(
                "/proc/cpuinfo does not name the processor, so no machine is alike"
            )
        bench = _bench(host, processor)
        outcome = carry_out(bench, plan, _tell)
    except (CalibrationError, OSError) as error:
        sys.exit(f"cannot calibrate: {error}")
    calibration = _calibration(host, processor, bench, outcome)
    print(config_map.render(chosen.name, calibration, outcome, chosen.output), end="")


def _bench(host: Host, processor: Processor) -> Bench:
    cpus = sorted(os.sched_getaffinity(0))

    def load(percent: float) -> AbstractContextManager[object]:
        # At 0 % not even workers that do nothing: they would wake each CPU 20 times a second.
        return Load(percent, cpus) if percent else nullcontext()

    clock = SystemClock()
    return Bench(
        clock,
        CpuTime(host.proc),
        sensors(host, clock.boottime_us(), maximum_watts=None).in_force,
        processor.vcpus,
        load=load,
        sleep=time.sleep,
    )


def _calibration(host: Host, processor: Processor, bench: Bench, outcome: Outcome) -> Calibration:
    return Calibration(
        processor=processor.name,
        sockets=processor.sockets,
        threads=processor.vcpus,
        memory_gib=max(1, host.memory_gib()),
        measured_by=bench.source,
        boundary=bench.boundary,
        error_ratio=round(outcome.error_ratio, 4),
        curve=outcome.curve,
    )


def _tell(line: str) -> None:
    # As a comment: the log of a pod is both streams, and shall be a manifest all the same.
    print(f"# {line}", file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carbonaware-agent calibrate", description=__doc__)
    add = parser.add_argument
    add("--steps", type=_levels, default=_STEPS, help=f"loads of the curve in percent ({_STEPS})")
    add(
        "--validate",
        type=_levels,
        default=_VALIDATION,
        metavar="STEPS",
        help=f"loads to judge the curve by ({_VALIDATION}); empty: by leaving its own out",
    )
    add("--seconds-per-step", type=_seconds, default="60", metavar="S")
    add("--settle-seconds", type=_seconds, default="15", metavar="S", help="before each step")
    add("--host-root", type=Path, default="/", metavar="DIR", help="holds the host's proc and sys")
    add("--name", default="carbonaware-curves", help="of the ConfigMap that is printed")
    add("--output", "-o", choices=("yaml", "json"), default="yaml")
    chosen = parser.parse_args(arguments)
    if 0 not in chosen.steps or len(chosen.steps) < 3:
        parser.error("argument --steps: must be 0 and at least two other loads")
    return chosen


def _levels(text: str) -> tuple[float, ...]:
    return tuple(sorted({percentage(part) for part in text.split(",") if part}))


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be above 0")
    return value
