"""A meter of the whole node: what it sees beyond the parts, once and exactly."""

import random
import re
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_builders import AgentUnderTest, FakeSensor, SimulatedMachine, a_pod_manifest
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.sources.psys_trial import PSYS, PsysTrial
from carbonaware_agent.sources.sensor import CHIP, PLATFORM, WALL, Domain, Rebaseline, Stream

OTHER = Domain("other", Stream("other", "hwmon", WALL))
PACKAGE_0 = FakeSensor().domains[0]
GPU = Domain("gpu/0", Stream("gpu/0", "nvml_counter", CHIP))
TICKS = 40
# The rest of tick k is 3^k microjoules: the digits of a total tell what was counted how often.
# The parts draw multiples of this, so that none of it can pass for rest.
PART = 3 ** (TICKS + 1)


class MeteredNode(SimulatedMachine):
    """A package and a GPU behind a meter of the whole node, whose value is cumulative."""

    def __init__(self) -> None:
        super().__init__()
        self.sensors.append(FakeSensor(GPU))
        self.platforms = [FakeSensor(Domain(PLATFORM, Stream(PLATFORM, "hwmon", WALL)))]
        self.rests = [OTHER]

    def all(self) -> list[FakeSensor]:
        """Package, GPU and meter."""
        return [*self.sensors, *self.platforms]

    def draw_all(self, *microjoules: int, seconds: float = 1) -> None:
        """Let time pass while package, GPU and the whole node draw energy."""
        for sensor, energy_uj in zip(self.all(), microjoules, strict=True):
            assert sensor.value is not None
            sensor.value += energy_uj
        self.clock.advance(seconds)


@pytest.fixture
def node():
    return MeteredNode()


@pytest.fixture
def agent(node, tmp_path):
    return AgentUnderTest(node, tmp_path, policy=IdlePolicy.NONE)


def total(agent: AgentUnderTest, domain: Domain = OTHER) -> int:
    return agent.snapshot.domains[domain.key].total_uj


def gaps(agent: AgentUnderTest) -> dict[tuple[str, str], int]:
    return agent.snapshot.gaps


def powers(agent: AgentUnderTest) -> set[str]:
    """Domains whose power is shown: those in force."""
    series = (line for line in agent.metrics() if line.startswith("carbonaware_node_power"))
    return {re.search(r'domain="([^"]*)"', line)[1] for line in series}


class TestRest:
    def test_it_is_the_platform_less_all_measured_parts(self, node, agent):
        """Packages and GPUs are in the meter's figure already; the meter is no domain itself."""
        node.draw_all(100, 200, 450)
        agent.tick()

        assert 150 == total(agent)
        assert {"package-0", "gpu/0", "other"} == {name for name, _ in agent.snapshot.domains}
        platform = "carbonaware_node_platform_energy_joules_total"
        assert "0.000450" == agent.metrics()[f'{platform}{{source="hwmon",boundary="wall"}}']

    def test_pods_share_it_by_processor_time(self, node, agent):
        """In a stream of its own, at the wall."""
        pod = node.start(1)
        agent.know(a_pod_manifest(1))
        node.use(pod, 300_000)
        node.busy_us += 100_000
        node.draw_all(0, 0, 4000)
        agent.tick()

        assert {"job-1": 3000} == agent.owner_energy("other")
        assert 1000 == agent.attributed("other").system_uj

    def test_a_deficit_is_settled_against_what_follows(self, node, agent):
        """The meter lags the counters; energy is never negative and the sum stays exact."""
        for platform_uj, other in ((80, 0), (110, 0), (130, 20)):
            node.draw_all(100, 0, platform_uj)
            agent.tick()
            assert other == total(agent)

    def test_what_is_owed_outlives_the_agent(self, node, agent, tmp_path):
        """It is part of the snapshot."""
        node.draw_all(100, 0, 80)
        agent.tick()
        agent.kill()
        agent = AgentUnderTest(node, tmp_path, policy=IdlePolicy.NONE)
        node.draw_all(100, 0, 150)
        agent.tick()

        assert 30 == total(agent)

    def test_a_part_that_cannot_be_read_makes_the_platform_wait(self, node, agent):
        """What the part draws meanwhile must not pass for rest."""
        early, late = node.start(1), node.start(2)
        agent.know(a_pod_manifest(1), a_pod_manifest(2))
        node.use(early, 300_000)
        node.draw_all(100, 200, 400)
        value, node.sensors[1].value = node.sensors[1].value, None
        agent.tick()
        assert 0 == agent.snapshot.platforms["hwmon"].total_uj

        node.sensors[1].value = value
        node.use(late, 100_000)
        node.draw_all(100, 200, 400)
        agent.tick()
        assert (200, 800) == (total(agent), agent.snapshot.platforms["hwmon"].total_uj)
        assert {"job-1": 150, "job-2": 50} == agent.owner_energy("other")
        assert {("gpu/0", "unreadable"): 1, ("other", "unreadable"): 1} == gaps(agent)

    @pytest.mark.parametrize("failed", [0, 2])
    def test_without_a_part_or_the_meter_no_rest_is_told(self, node, agent, failed):
        """A counter that was set anew, or power over a gap: the interval is a counted gap."""
        node.draw_all(100, 200, 400)
        node.all()[failed].value = -(10**9)
        agent.tick()
        node.draw_all(100, 200, 450)
        agent.tick()

        assert 150 == total(agent)
        assert 1 == gaps(agent)["other", "unmeasured"]

    def test_a_part_that_leaves_takes_its_last_interval_along(self, node, agent):
        """Its sensor was given up: from then on its energy is in the rest, before it is lost."""
        node.draw_all(100, 200, 400)
        node.sensors[1].value = None
        agent.tick()
        del node.sensors[1]
        for _ in range(2):
            node.sensors[0].value += 100
            node.platforms[0].value += 400
            node.clock.advance(1)
            agent.tick()

        assert 300 == total(agent)
        assert (1, 1) == (gaps(agent)["gpu/0", "lost"], gaps(agent)["other", "unmeasured"])

    def test_when_no_package_is_measured_any_more_the_rest_is_the_package(self, node, agent):
        """And again the other way; what was counted as one is not counted as the other."""
        del node.sensors[1]
        counter, package = node.sensors[0], Domain("package", Stream("package", "hwmon", WALL))
        for rests, counted, kept in (
            ([OTHER, package], [counter], [package]),
            ([package], [], [package]),
            ([package, OTHER], [counter], [OTHER]),
            ([OTHER], [counter], [OTHER]),
        ):
            counter.value += 100
            node.platforms[0].value += 400
            node.clock.advance(1)
            node.rests, node.sensors = rests, counted
            node.leaving = {domain.key for domain in rests if domain not in kept}
            agent.tick()
            assert {domain.name for domain in kept} == powers(agent) - {"package-0"}

        # The package's energy of the first tick is in its own domain, of the next two in the rest.
        assert (600, 800, 200) == (total(agent), total(agent, package), total(agent, PACKAGE_0))
        assert {} == gaps(agent)

    def test_another_boot_begins_anew(self, node, agent, tmp_path):
        """Counters were set to 0; what still waited for a part is lost, and totals go on."""
        node.draw_all(100, 0, 400)
        agent.tick()
        node.draw_all(0, 200, 400)
        node.sensors[1].value = None
        agent.tick()
        agent.kill()
        node.boot_id = "another"
        for sensor in node.all():
            sensor.value = 0
        agent = AgentUnderTest(node, tmp_path)
        node.draw_all(100, 0, 150)
        agent.tick()

        assert (350, 550) == (total(agent), agent.snapshot.platforms["hwmon"].total_uj)
        assert {("gpu/0", "unreadable"): 1, ("other", "unreadable"): 1} == gaps(agent)


class RandomMeter:
    """A metered node on which readings fail, counters are set anew and agents restart."""

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self.chance, self.folder, self.lowest_uj = chance, folder, 0
        self.node = MeteredNode()
        self.agent = AgentUnderTest(self.node, folder)

    def pass_time(self, *microjoules: int, failing: float, anew: float = 0) -> None:
        """One tick, after which the agent may be another."""
        self.node.draw_all(*microjoules, seconds=self.chance.uniform(0.1, 30))
        kept = [sensor.value for sensor in self.node.all()]
        for sensor in self.node.all():
            if self.chance.random() < failing:
                sensor.value = None
        self.agent.tick()
        for sensor, value in zip(self.node.all(), kept, strict=True):
            if self.chance.random() < anew:
                # Below anything it showed before, so that it can be seen to have been set anew.
                self.lowest_uj -= 10**9 * PART
                sensor.value = self.lowest_uj
            else:
                sensor.value = value
        if self.chance.random() < 0.1:
            self.agent.kill()
            self.agent = AgentUnderTest(self.node, self.folder)


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(use_true_random=True))
def test_whatever_fails_platform_is_parts_and_rest_less_what_is_owed(chance):
    """To the microjoule, while the meter is ahead of the counters or behind them."""
    with TemporaryDirectory() as folder:
        life = RandomMeter(chance, Path(folder))
        for _ in range(TICKS):
            drawn = [chance.randrange(10**7, 10**8) for _ in range(2)]
            life.pass_time(*drawn, sum(drawn) + chance.randrange(-(10**7), 10**8), failing=0.2)
        life.pass_time(0, 0, 0, failing=0)

        domains = life.agent.snapshot.domains
        platform = life.agent.snapshot.platforms["hwmon"]
        assert life.node.platforms[0].value == platform.total_uj
        counted = sum(domain.total_uj for domain in domains.values())
        assert platform.total_uj == counted - platform.balance.owed_uj
        assert total(life.agent) == sum(astuple(life.agent.attributed("other")))


@pytest.mark.slow
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(chance=st.randoms(use_true_random=True))
def test_no_part_ever_passes_for_rest(chance):
    """Counters are set anew at random: each tick's rest is counted once or not at all."""
    with TemporaryDirectory() as folder:
        life = RandomMeter(chance, Path(folder))
        for tick in range(TICKS):
            drawn = [PART * chance.randrange(10**6) for _ in range(2)]
            life.pass_time(*drawn, sum(drawn) + 3**tick, failing=0.1, anew=0.05)

        rest_uj, digits = total(life.agent), set()
        for _ in range(TICKS):
            rest_uj, digit = divmod(rest_uj, 3)
            digits.add(digit)
        assert (0, True) == (rest_uj, digits <= {0, 1})
        assert 0 == life.agent.snapshot.platforms["hwmon"].balance.owed_uj


class TwoDomains(FakeSensor):
    """RAPL with a package and psys."""

    def __init__(self) -> None:
        super().__init__()
        self.domains = (*self.domains, Domain(PLATFORM, PSYS))


class TestPsys:
    @pytest.mark.parametrize(("psys", "passed"), [(3000, True), (2999, False), (-1, False)])
    def test_it_must_see_what_the_packages_draw(self, psys, passed):
        """For a minute; on many boards it shows a fraction of that, or nothing."""
        trial, sensor = PsysTrial(), TwoDomains()
        trial.observe(sensor, {"package-0": 5, "platform": 7}, 0)
        trial.observe(sensor, {"package-0": 900, "platform": 7}, 59_000_000)
        assert trial.passed is None

        trial.observe(sensor, {"package-0": 3005, "platform": 7 + psys}, 60_000_000)
        assert passed is trial.passed

    def test_a_failed_read_decides_nothing(self):
        """The minute ends with the next good one."""
        trial, sensor = PsysTrial(), TwoDomains()
        trial.observe(sensor, {"package-0": 0, "platform": 0}, 0)
        trial.observe(sensor, {"package-0": 0}, 60_000_000)

        assert trial.passed is None
        assert Rebaseline("reset") == sensor.energy(sensor.domains[0], 1, 0, None)
