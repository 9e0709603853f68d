"""Which sensor a domain is read from, and what is counted while sensors vanish and return."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_builders import (
    GUEST_CPUINFO,
    AgentUnderTest,
    FakeClock,
    FakeSensor,
    HostTree,
    SimulatedMachine,
    samples,
)
from carbonaware_agent.host import Host
from carbonaware_agent.readings import Readings
from carbonaware_agent.settings import parse
from carbonaware_agent.sources.selection import sensors
from carbonaware_agent.sources.sensor import CHIP, PLATFORM, WALL, Domain, Stream
from carbonaware_agent.sources.sensor_set import SensorSet
from carbonaware_agent.wiring import assemble
from carbonaware_agent.workloads.pods import PodDirectory

TICKS = 50
COUNTER = Domain("package-0", Stream("package", "rapl", CHIP), always_moves=True)
SECOND_BEST = Domain("package-0", Stream("package", "hwmon", CHIP))
MODEL = Domain("package", Stream("package", "shape", WALL))
METER = Domain(PLATFORM, Stream(PLATFORM, "hwmon", WALL))
GPU = Domain("gpu/0", Stream("gpu/0", "nvml_counter", CHIP))


def sources(found: SensorSet) -> set[str]:
    """Name, source and boundary of the domains in force, whether or not this machine has GPUs."""
    return {
        f"{domain.name}/{domain.stream.source}"
        for sensor, domains in found.in_force.items()
        for domain in domains
        if sensor.name != "nvml"
    } | {f"{name}/{source}" for name, source in found.keys if name in ("other", "package")}


@pytest.fixture
def tree(tmp_path):
    return HostTree(tmp_path, cpuinfo=GUEST_CPUINFO)


def found(tree: HostTree) -> set[str]:
    return sources(sensors(Host(tree.root), 0, maximum_watts=100))


def amd_energy(tree: HostTree) -> None:
    tree.hwmon(0, "amd_energy", energy1_label="Esocket0", energy1_input=5)


class TestOrder:
    def test_powercap_goes_before_hwmon(self, tree):
        """Both read the same counters."""
        tree.rapl(1)
        amd_energy(tree)

        assert {"package-0/rapl"} == found(tree)

    def test_each_domain_has_its_own_best_sensor(self, tree):
        """A socket that powercap lacks may be known to hwmon; a model is for whole packages."""
        tree.rapl(1, name="package-1")
        amd_energy(tree)

        assert {"package-1/rapl", "package-0/hwmon"} == found(tree)

    def test_a_meter_beside_counters_gives_the_rest(self, tree):
        """It is not added to them."""
        tree.rapl(1)
        tree.hwmon(1, "power_meter", power1_average=100_000_000)

        assert {"package-0/rapl", "platform/hwmon", "other/hwmon"} == found(tree)

    def test_a_meter_goes_before_a_model(self, tree):
        """Without a package counter the package is what the meter shows beyond GPUs."""
        tree.hwmon(1, "power_meter", power1_average=100_000_000)

        assert {"platform/hwmon", "package/hwmon"} == found(tree)

    def test_a_module_that_holds_the_processor_goes_before_its_rails(self, tree):
        """Grace Hopper's GPU figures contain the package; a meter's rest is then no package."""
        module = FakeSensor(replace(GPU, contains_processor=True))
        chosen = SensorSet(
            [lambda: FakeSensor(SECOND_BEST), lambda: module, lambda: FakeSensor(METER)],
            model=lambda: FakeSensor(MODEL),
            now_us=0,
        )

        assert {"gpu/0/nvml_counter", "platform/hwmon", "other/hwmon"} == sources(chosen)

    def test_stated_errors_follow_the_sensors(self, tree):
        """A counter states none; power that is sampled does."""
        tree.rapl(1)
        tree.hwmon(1, "power_meter", power1_average=100_000_000)

        errors = sensors(Host(tree.root), 0, maximum_watts=100).error_ratios
        assert {(PLATFORM, "hwmon"): 0.072} == errors


class NodeOfFiles:
    """A real tree of files, with a RAPL package, whose drivers go and come."""

    def __init__(self, tree: HostTree) -> None:
        self.tree = tree
        self.clock = FakeClock()
        self.tree.rapl(1)
        self.found = sensors(Host(tree.root), self.clock.boottime_us(), maximum_watts=100)

    def tick(self, seconds: float = 1) -> None:
        """Let time pass and the sensors be read."""
        self.clock.advance(seconds)
        values = {sensor: sensor.read() for sensor in self.found.in_force}
        self.found.take(values, self.clock.boottime_us())


@pytest.fixture
def node(tree):
    return NodeOfFiles(tree)


class TestFiles:
    def test_a_module_that_is_reloaded_is_found_in_other_files(self, node):
        """The open files of the old ones stay dead; a minute is waited for them."""
        file = node.tree.rapl(2)
        file.write_bytes(b"gone")
        node.tick(59)
        assert {"package-0/rapl"} == sources(node.found)
        node.tick()
        assert {"package/shape"} == sources(node.found)

        file.unlink()
        node.tree.rapl(5)
        node.tick(59)
        assert {"package/shape"} == sources(node.found)
        node.tick()
        assert {"package-0/rapl"} == sources(node.found)

    def test_a_counter_that_stands_still_is_no_sensor(self, node):
        """For a minute; it is one again when it moves."""
        for _ in range(4):
            node.tick(30)
        assert {"package/shape"} == sources(node.found)

        node.tree.rapl(7)
        node.tick(60)
        assert {"package-0/rapl"} == sources(node.found)

    def test_what_works_is_not_given_up_for_what_is_looked_for(self, node):
        """A domain that cannot be read in the moment of looking keeps the file that works."""
        second = node.tree.rapl(1, domain="intel-rapl:1", name="package-1")
        node = NodeOfFiles(node.tree)
        for value in range(2, 5):
            node.tree.rapl(value, domain="intel-rapl:1", name="package-1")
            if value == 4:
                second.with_name("name").write_text("unreadable")
            node.tick(30)

        assert {"package-1/rapl"} == sources(node.found)

    def test_each_domain_of_a_sensor_is_looked_for(self, node):
        """Though the others of it work on."""
        first = node.tree.rapl(1)
        node.tree.rapl(1, domain="intel-rapl:1", name="package-1")
        node = NodeOfFiles(node.tree)
        first.write_bytes(b"gone")
        for value in range(2, 9):
            node.tree.rapl(value, domain="intel-rapl:1", name="package-1")
            node.tick(30)
        assert {"package-1/rapl"} == sources(node.found)

        for value in range(9, 12):
            node.tree.rapl(value)
            node.tree.rapl(value, domain="intel-rapl:1", name="package-1")
            node.tick(30)
        assert {"package-0/rapl", "package-1/rapl"} == sources(node.found)

    def test_while_one_is_looked_for_another_can_be_given_up(self, node):
        """Looking opens the files of both anew, and must not make a dead counter look alive."""
        node.tree.rapl(1, domain="intel-rapl:0:0", name="dram")
        node = NodeOfFiles(node.tree)
        for value in range(2, 9):
            node.tree.rapl(value)
            node.tick(20)
        assert {"package-0/rapl"} == sources(node.found)

        for _ in range(7):
            node.tick(20)
        assert {"package/shape"} == sources(node.found)

    def test_a_driver_that_is_loaded_late_is_found(self, node):
        """As on nodes whose agent starts before the modules."""
        node.tree.hwmon(1, "power_meter", power1_average=100_000_000)
        node.tree.rapl(2)
        node.tick(60)

        assert {"package-0/rapl", "platform/hwmon", "other/hwmon"} == sources(node.found)

    @pytest.mark.parametrize(("factor", "more"), [(2, {"platform/rapl", "other/rapl"}), (0.5, {})])
    def test_psys_is_a_platform_after_a_minute_of_plausible_figures(self, tree, factor, more):
        """At first, and else, only the packages count."""
        tree.rapl(1, domain="intel-rapl:1", name="psys")
        node = NodeOfFiles(tree)
        for value in (10**6, 2 * 10**6):
            assert {"package-0/rapl"} == sources(node.found)
            node.tree.rapl(value)
            node.tree.rapl(round(value * factor), domain="intel-rapl:1", name="psys")
            node.tick(60)

        assert {"package-0/rapl", *more} == sources(node.found)

        node.tree.hwmon(1, "power_meter", power1_average=100_000_000)
        node.tree.rapl(3 * 10**6)
        node.tree.rapl(round(3 * 10**6 * factor), domain="intel-rapl:1", name="psys")
        node.tick(60)
        # The machine's own meter is the better one.
        assert {"package-0/rapl", "platform/hwmon", "other/hwmon"} == sources(node.found)


class Removable(FakeSensor):
    """A sensor of a device that can be taken away."""

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain)
        self.there = self.readable = True

    def look(self) -> "Removable | None":
        """What its source finds."""
        return self if self.there and self.readable else None

    def read(self) -> dict[str, int]:
        """Its value, if it is there."""
        return super().read() if self.there and self.readable else {}


class ChangingMachine(SimulatedMachine):
    """A node whose package three sensors know, each better than the next. All see all energy."""

    def __init__(self) -> None:
        super().__init__()
        self.removable = [Removable(COUNTER), Removable(SECOND_BEST), Removable(MODEL)]
        self.sensor_set = self.opened()

    def opened(self) -> SensorSet:
        """The sensors as a new agent finds them."""
        *measuring, model = (sensor.look for sensor in self.removable)
        return SensorSet(measuring, model, self.clock.boottime_us())

    @property
    def keys(self) -> set[tuple[str, str]]:
        """The domains in force."""
        return self.sensor_set.keys

    def readings(self) -> Readings:
        """What an agent's reader would read."""
        values = {sensor: sensor.read() for sensor in self.sensor_set.in_force}
        seen = self.sensor_set.take(values, self.clock.boottime_us())
        return replace(super().readings(), seen=seen)

    def draw(self, microjoules: int, *, seconds: float = 1, sensor: int = 0) -> None:
        """Let time pass; a driver counts on while nobody can read it."""
        for removable in self.removable[sensor:]:
            assert removable.value is not None
            removable.value += microjoules
        self.clock.advance(seconds)


@pytest.fixture
def machine():
    return ChangingMachine()


@pytest.fixture
def agent(machine, tmp_path):
    return AgentUnderTest(machine, tmp_path)


@pytest.fixture
def run(agent, machine) -> Callable[[int], None]:
    """Lets seconds pass in which the package draws 1000 microjoules each."""

    def run(seconds: int) -> None:
        for _ in range(seconds):
            machine.draw(1000)
            agent.tick()

    return run


def counted(agent: AgentUnderTest) -> dict[str, int]:
    return {source: domain.total_uj for (_, source), domain in agent.snapshot.domains.items()}


class TestHandover:
    def test_what_a_lost_sensor_saw_last_is_a_counted_gap(self, agent, machine, run):
        """The stand-in begins when the sensor is given up."""
        run(10)
        machine.removable[0].there = False
        run(70)

        assert {"rapl": 10_000, "hwmon": 10_000} == counted(agent)
        assert {("package-0", "unreadable"): 1, ("package-0", "lost"): 1} == agent.snapshot.gaps

    def test_a_sensor_that_returns_takes_over_without_a_gap(self, agent, machine, run):
        """It does not count again what the stand-in counted."""
        machine.removable[0].there = False
        run(70)
        before = sum(counted(agent).values())
        gaps = dict(agent.snapshot.gaps)
        machine.removable[0].there = True
        run(100)

        assert before + 100_000 == sum(counted(agent).values())
        assert (gaps, {("package-0", "rapl")}) == (agent.snapshot.gaps, machine.keys)

    def test_a_sensor_that_returns_within_the_minute_loses_nothing(self, agent, machine, run):
        """Its counter went on meanwhile."""
        machine.removable[0].there = False
        run(59)
        machine.removable[0].there = True
        run(1)

        assert {"rapl": 60_000} == counted(agent)

    def test_only_the_next_best_stands_in(self, agent, machine, run):
        """The model is for when nothing measures."""
        machine.removable[0].there = machine.removable[1].there = False
        run(130)

        assert {("package", "shape")} == machine.keys
        assert agent.snapshot.domains["package", "shape"].total_uj > 0

    def test_a_stand_in_that_a_restart_replaces_is_a_counted_gap(
        self, agent, machine, run, tmp_path
    ):
        """What it would have seen until the new agent's first reading is lost."""
        machine.removable[0].there = False
        run(70)
        agent.kill()
        machine.removable[0].there = True
        machine.draw(1000)
        machine.sensor_set = machine.opened()
        agent = AgentUnderTest(machine, tmp_path)
        agent.tick()

        assert 2 == agent.snapshot.gaps["package-0", "lost"]


class ChangingMeteredMachine(ChangingMachine):
    """The same with a GPU, and a meter of all that and of what else draws power."""

    def __init__(self) -> None:
        super().__init__()
        self.removable[2:2] = [Removable(GPU), Removable(METER)]
        self.sensor_set = self.opened()

    def draw_all(self, package_uj: int, gpu_uj: int, other_uj: int, *, seconds: float) -> None:
        """Let time pass in which each part draws energy."""
        drawn = {GPU: gpu_uj, METER: package_uj + gpu_uj + other_uj}
        for sensor in self.removable:
            assert sensor.value is not None
            sensor.value += drawn.get(sensor.domains[0], package_uj)
        self.clock.advance(seconds)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(use_true_random=True))
def test_no_joule_is_counted_twice_and_none_lost_without_a_gap(chance):
    """Sensors vanish and return, reads fail and agents restart.

    Each part of each tick draws a power of 3 of its own, so that the digits of the sum over all
    domains tell how often it was counted.
    """
    with TemporaryDirectory() as folder:
        machine = ChangingMeteredMachine()
        agent = AgentUnderTest(machine, Path(folder))
        for tick in range(TICKS):
            for sensor in machine.removable:
                if chance.random() < 0.15:
                    sensor.there = not sensor.there
                sensor.readable = chance.random() > 0.1
            drawn = (3 ** (part * TICKS + tick) for part in range(3))
            machine.draw_all(*drawn, seconds=chance.choice([1, 20, 59, 61]))
            agent.tick()
            if chance.random() < 0.1:
                agent.kill()
                machine.sensor_set = machine.opened()
                agent = AgentUnderTest(machine, Path(folder))

        left, digits = sum(domain.total_uj for domain in agent.snapshot.domains.values()), []
        for _ in range(3 * TICKS):
            left, digit = divmod(left, 3)
            digits.append(digit)
        assert (0, True) == (left, set(digits) <= {0, 1})
        assert not any(meter.balance.owed_uj for meter in agent.snapshot.platforms.values())
        of_package = digits[:TICKS]
        lost = sum(of_package[tick : tick + 2] == [1, 0] for tick in range(TICKS))
        assert lost <= sum(agent.snapshot.gaps.values())


class WholeAgent:
    """An agent on a tree of files: a package of 100 W and a meter that shows 150 W."""

    def __init__(self, tree: HostTree, state: Path) -> None:
        self.tree, self.clock, self.drawn_uj = tree, FakeClock(), 10**9
        tree.cgroup("kubepods", 0)
        tree.hwmon(0, "power_meter", power1_average=150_000_000)
        self.file = tree.rapl(self.drawn_uj)
        flags = [f"--host-root={tree.root}", f"--state-dir={state}"]
        self.parts = assemble(parse(flags, {}), self.clock, PodDirectory(), None)
        self.parts.agent.tick()

    def run(self, seconds: int, *, readable: bool = True) -> dict[str, str]:
        """Let time pass in ticks of a second; returns the page after it."""
        for _ in range(seconds):
            self.drawn_uj += 100_000_000
            self.clock.advance(1)
            text = f"{self.drawn_uj:015d}" if readable else "not a number"
            self.tree.write(str(self.file.relative_to(self.tree.root)), text)
            self.parts.agent.tick()
        return samples((self.parts.board.metrics() or b"").decode())


def test_the_agent_goes_on_while_a_driver_goes_and_comes(tree, tmp_path):
    """The package is what the meter shows meanwhile, and each second is in one domain only."""
    agent = WholeAgent(tree, tmp_path / "state")
    agent.run(10)
    without = agent.run(70, readable=False)
    page = agent.run(70)

    success = 'carbonaware_agent_collector_success{collector="rapl"}'
    assert ("0", "1") == (without[success], page[success])
    # A minute is lost before the meter stands in, which it does until the next look a minute later.
    stood_in = 60
    expected = {
        ("package-0", "rapl", "chip"): (10 + 80 - stood_in) * 100,
        ("other", "hwmon", "wall"): (10 + 80 - stood_in) * 50,
        ("package", "hwmon", "wall"): stood_in * 150,
    }
    energy = "carbonaware_node_energy_joules_total"
    assert expected == {
        domain: float(
            page[f'{energy}{{domain="{domain[0]}",source="{domain[1]}",boundary="{domain[2]}"}}']
        )
        for domain in expected
    }
    platform = 'carbonaware_node_platform_energy_joules_total{source="hwmon",boundary="wall"}'
    assert sum(expected.values()) == float(page[platform])
