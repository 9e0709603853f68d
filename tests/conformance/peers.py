"""Other agents' attribution, written from their published formulas and sources.

Each is fed the same readings at the same instants as the agent. Where a source leaves a choice,
the one that favours the peer is taken: every peer reads once a second though their defaults are 5
to 30 s, Kepler's utilisation is that of the interval itself rather than of the one before, and no
watts are rounded. `shown` is what a scrape would show; gauges of power are integrated without a
missing sample.
"""

from collections.abc import Mapping
from typing import Protocol

from conformance.node import Reading
from conformance.scenario import Scenario


class Peer(Protocol):
    """A formula at work. name: as in the report."""

    name: str

    def take(self, now: Reading) -> None:
        """Take the next reading."""
        ...

    def restart(self) -> None:
        """Lose what is only in memory."""
        ...

    def pods(self) -> Mapping[str, float]:
        """Microjoules by pod, as counters that a scraper reads at this instant."""
        ...


def busy_share(before: Reading, now: Reading, vcpus: int) -> float:
    """Utilisation of all processors between two readings, by /proc/stat."""
    return (now.busy_us - before.busy_us) / (vcpus * (now.second - before.second) * 1e6)


class Kepler:
    """Kepler 0.10 and later.

    Active energy of a zone is its energy times utilisation; a running pod gets the share of its
    CPU time in that of all running processes. Source: sustainable-computing-io/kepler,
    internal/monitor/{node,pod,process,monitor,terminated_resource_tracker}.go,
    internal/device/energy_zone.go, internal/resource/informer.go; defaults of config/config.go.
    """

    name = "Kepler"
    # Below this energy in the primary zone a pod that ended is not kept (config/config.go).
    KEPT_FROM_UJ = 10_000_000

    def __init__(self, scenario: Scenario) -> None:
        self._vcpus = scenario.machine.vcpus
        self._range_uj = scenario.machine.range_uj
        self.restart()

    def restart(self) -> None:
        """All totals are in memory, so they begin again at 0."""
        self._before: Reading | None = None
        self._running: dict[str, dict[str, float]] = {}
        self._ended: dict[str, dict[str, float]] = {}
        self._exported = False
        self._accumulated: dict[str, int] = {}
        self._raw: dict[str, int] = {}
        self.node_uj: dict[str, int] = {}

    def take(self, now: Reading) -> None:
        """One refresh; when a zone cannot be read the whole refresh is given up."""
        nodes = self._node_counters(now)
        if nodes is None:
            # The last snapshot stays, so the next good reading covers this interval too.
            return
        before, self._before = self._before, now
        if before is None:
            self._running = {pod: dict.fromkeys(nodes, 0.0) for pod in now.pods}
            self.node_uj = nodes
            return
        deltas = {zone: self._delta(self.node_uj[zone], nodes[zone], zone) for zone in nodes}
        self.node_uj = nodes
        load = busy_share(before, now, self._vcpus)
        active = {zone: delta * load for zone, delta in deltas.items()}
        self._bury(now)
        self._share_out(before, now, active)

    def scrape(self) -> Mapping[str, float]:
        """Read the page, as Prometheus or a liveness probe does: what ended is cleared after it."""
        self._exported = True
        return self.pods()

    def pods(self) -> Mapping[str, float]:
        """Running pods, and those that ended and were not cleared yet."""
        return {pod: sum(zones.values()) for pod, zones in (self._ended | self._running).items()}

    def _node_counters(self, now: Reading) -> dict[str, int] | None:
        """Each zone kind's counter: the raw one, or of several sockets their sum without wraps.

        A socket that cannot be read is left out of the sum while another can be.
        """
        counters = {}
        for kind in dict.fromkeys(zone.partition("-")[0] for zone in now.counters):
            zones = [zone for zone in now.counters if zone.startswith(kind)]
            readable = [zone for zone in zones if now.counters[zone] is not None]
            if not readable:
                return None
            if len(zones) == 1:
                counters[kind] = now.counters[zones[0]] or 0
            else:
                # AggregatedZone.Energy() goes on with the other zones when one of them fails.
                total_uj = sum(self._accumulate(zone, now.counters[zone] or 0) for zone in readable)
                counters[kind] = total_uj % (self._range_uj * len(zones))
        self._sockets = {
            kind: sum(zone.startswith(kind) for zone in now.counters) for kind in counters
        }
        return counters

    def _accumulate(self, zone: str, raw: int) -> int:
        before = self._raw.get(zone, 0)
        grown = raw - before if raw >= before else self._range_uj - before + raw
        self._raw[zone] = raw
        self._accumulated[zone] = self._accumulated.get(zone, 0) + grown
        return self._accumulated[zone]

    def _delta(self, before_uj: int, now_uj: int, zone: str) -> int:
        if now_uj >= before_uj:
            return now_uj - before_uj
        return self._range_uj * self._sockets[zone] - before_uj + now_uj

    def _bury(self, now: Reading) -> None:
        if self._exported:
            # Whoever read the page, so a probe takes what the next scraper came for.
            self._ended = {}
            self._exported = False
        for pod in self._running.keys() - now.pods.keys():
            zones = self._running[pod]
            if zones.get("package", 0.0) >= self.KEPT_FROM_UJ:
                self._ended[pod] = zones

    def _share_out(self, before: Reading, now: Reading, active: Mapping[str, float]) -> None:
        # Of a new process all CPU time is new; of one that ended the last part is nobody's.
        used = {pod: used_us - before.pods.get(pod, 0) for pod, used_us in now.pods.items()}
        whole_us = sum(used.values()) + now.daemons_us - before.daemons_us
        running = {}
        for pod, used_us in used.items():
            # A zone without active energy keeps the 0 a new record begins with.
            running[pod] = dict.fromkeys(active, 0.0)
            for zone, energy_uj in active.items():
                if energy_uj and whole_us:
                    earlier_uj = self._running.get(pod, {}).get(zone, 0.0)
                    running[pod][zone] = earlier_uj + energy_uj * used_us / whole_us
        self._running = running


class Scaphandre:
    """Scaphandre: the host's power times a process's share of all processors.

    Host power is the difference of the summed raw counters of sockets and memory, over time; no
    value where the sum fell. Source: hubblo-org/scaphandre, src/sensors/mod.rs,
    src/sensors/powercap_rapl.rs, docs_src/explanations.
    """

    name = "Scaphandre"

    def __init__(self, scenario: Scenario) -> None:
        self._vcpus = scenario.machine.vcpus
        self._pods: dict[str, float] = {}
        self.node_uj = 0.0
        self.restart()

    def restart(self) -> None:
        """Two records are needed again."""
        self._before: Reading | None = None

    def take(self, now: Reading) -> None:
        """Integrate the gauges over the time to the reading before."""
        before, self._before = self._before, now
        if before is None:
            return
        energy_uj = self._host(now) - self._host(before)
        if energy_uj < 0:
            # A wrap, or a counter that cannot be read: the interval has no value.
            return
        self.node_uj += energy_uj
        capacity_us = self._vcpus * (now.second - before.second) * 1e6
        for pod in now.pods.keys() & before.pods.keys():
            share = (now.pods[pod] - before.pods[pod]) / capacity_us
            self._pods[pod] = self._pods.get(pod, 0.0) + energy_uj * share

    def pods(self) -> Mapping[str, float]:
        """The integral of each pod's power gauge."""
        return self._pods

    def _host(self, reading: Reading) -> int:
        """What can be read of the counters, summed; the rest is left out without notice."""
        return sum(value or 0 for value in reading.counters.values())


class Ceems:
    """CEEMS with RAPL: package power times the share of a unit's CPU time in all busy time.

    `irate` over the raw counters, so a counter that wrapped counts from 0. Memory power goes by
    memory use, which the scenarios do not simulate; it is left out. Source: ceems-dev/ceems,
    cmd/ceems_tool/rules/cpu-rapl.rules.
    """

    name = "CEEMS"

    def __init__(self, scenario: Scenario) -> None:
        self._tick = scenario.tick
        self._before: dict[str, tuple[float, int]] = {}
        self._watts: dict[str, float] = {}
        self._last: Reading | None = None
        self._pods: dict[str, float] = {}
        self.node_uj = 0.0

    def restart(self) -> None:
        """Nothing is in its memory; Prometheus has the samples from before."""

    def take(self, now: Reading) -> None:
        """Evaluate the rule once and let its value stand until the next reading."""
        for zone, raw in now.counters.items():
            if zone.startswith("package") and raw is not None:
                self._irate(zone, now.second, raw)
        last, self._last = self._last, now
        if last is None:
            return
        package_watts = sum(self._watts.values())
        self.node_uj += package_watts * self._tick * 1e6
        if now.busy_us == last.busy_us:
            return
        for pod in now.pods.keys() & last.pods.keys():
            share = (now.pods[pod] - last.pods[pod]) / (now.busy_us - last.busy_us)
            energy_uj = package_watts * share * self._tick * 1e6
            self._pods[pod] = self._pods.get(pod, 0.0) + energy_uj

    def pods(self) -> Mapping[str, float]:
        """The integral of each unit's power."""
        return self._pods

    def _irate(self, zone: str, second: float, raw: int) -> None:
        if zone in self._before:
            earlier, value = self._before[zone]
            # A fall is a reset to irate(), which then counts from 0.
            grown = raw - value if raw >= value else raw
            self._watts[zone] = grown / (second - earlier) / 1e6
        self._before[zone] = (second, raw)


class Scraper:
    """Prometheus: reads counters, and takes a fall for a counter that began again at 0.

    from_zero: whether a series that appears began at 0; else its first value is a baseline.
    """

    def __init__(self, *, from_zero: bool) -> None:
        self._from_zero = from_zero
        self._last: dict[str, float] = {}
        self.increase: dict[str, float] = {}

    def read(self, shown: Mapping[str, float]) -> None:
        """Take one scrape."""
        for series, value in shown.items():
            before = self._last.get(series, 0.0 if self._from_zero else value)
            grown = value if value < before else value - before
            self.increase[series] = self.increase.get(series, 0.0) + grown
            self._last[series] = value


def procfs_zone(name: str) -> str:
    """The zone that the shared procfs library makes of a powercap name.

    Only `<kind>-<number>` loses its number. Source: prometheus/procfs, sysfs/class_powercap.go.
    """
    kind, _, number = name.partition("-")
    return kind if number.isdigit() else name
