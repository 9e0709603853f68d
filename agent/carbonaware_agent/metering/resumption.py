"""What a new agent makes of the last one's snapshot: the same boot goes on, another begins anew."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace

from carbonaware_agent.attribution.periods import period_of
from carbonaware_agent.metering.owners import OwnerSeries
from carbonaware_agent.saved.journal import Journal
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.sources.sensor import PLATFORM

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine now. domains: name and source of each domain that will be read."""

    boot_id: str
    processor: str
    boottime_us: int
    wall_us: int
    period_us: int
    domains: Collection[tuple[str, str]]


def resume(saved: Snapshot | None, journal: Journal, machine: Machine) -> tuple[Snapshot, bool]:
    """The snapshot to go on with, and whether raw counters go on as well.

    After another boot raw counters and cgroups mean nothing: owner series are closed, and only
    the totals of the node go on.
    """
    if saved is None:
        return _empty(machine), False
    snapshot = replace(saved)
    goes_on = saved.boot_id == machine.boot_id and saved.boottime_us <= machine.boottime_us
    if not goes_on:
        _log.info("the machine was started anew; owner series are closed")
        OwnerSeries(snapshot, journal).close_all(machine.wall_us)
        snapshot.pods, snapshot.slices, snapshot.holdings = {}, {}, {}
        snapshot.boot_id = machine.boot_id
    _retire(snapshot, machine, goes_on=goes_on)
    for idle in snapshot.idle.values():
        # The settings may state another value than the last agent's.
        idle.origin = "unknown"
    if saved.processor != machine.processor:
        snapshot.idle, snapshot.processor = {}, machine.processor
    if saved.period_us != machine.period_us:
        snapshot.period_us = machine.period_us
        snapshot.open_us = period_of(max(machine.wall_us, saved.wall_us), machine.period_us)
    elif not goes_on:
        snapshot.open_us = max(saved.open_us, period_of(machine.wall_us, machine.period_us))
    return snapshot, goes_on


def _retire(snapshot: Snapshot, machine: Machine, *, goes_on: bool) -> None:
    """Forget raw values that mean nothing any more.

    A domain that another sensor stood in for must not be counted twice when it comes back.
    """
    for key, domain in snapshot.domains.items():
        if not goes_on or key not in machine.domains:
            if goes_on and domain.raw is not None:
                gap = (key[0], "lost")
                snapshot.gaps[gap] = snapshot.gaps.get(gap, 0) + 1
            domain.raw = domain.missed = None
            domain.power_uw = 0
    for source, platform in snapshot.platforms.items():
        if not goes_on or (PLATFORM, source) not in machine.domains:
            platform.raw = None


def _empty(machine: Machine) -> Snapshot:
    return Snapshot(
        boot_id=machine.boot_id,
        boottime_us=machine.boottime_us,
        wall_us=machine.wall_us,
        period_us=machine.period_us,
        open_us=period_of(machine.wall_us, machine.period_us),
        processor=machine.processor,
    )
