"""Who pays for memory: idle energy by what is set aside, dynamic energy by CPU time."""

import pytest

from agent_builders import (
    DRAM,
    AgentUnderTest,
    FakeSensor,
    SimulatedMachine,
    a_pod_manifest,
    a_uid,
)
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.sources.sensor import Domain

GIB = 1 << 20


@pytest.fixture
def machine():
    machine = SimulatedMachine()
    # All its power is idle power, by construction.
    machine.sensors = [FakeSensor(Domain("dram", DRAM, maximum_watts=8.0, idle_watts=1.0))]
    return machine


@pytest.fixture
def agent(machine, tmp_path):
    return an_agent(machine, tmp_path)


def an_agent(machine, folder, policy=IdlePolicy.REQUESTS) -> AgentUnderTest:
    """An agent on a node on which pods can have 8 GiB."""
    agent = AgentUnderTest(machine, folder, policy=policy)
    agent.directory.allocatable_kib = 8 * GIB
    return agent


def energy(agent: AgentUnderTest, component: int) -> dict[int, int]:
    """Dynamic (0) or idle (1) microjoules by pod."""
    found = {uid: pod.energy.get(DRAM, [0, 0]) for uid, pod in agent.snapshot.pods.items()}
    return {int(uid[:8], 16): parts[component] for uid, parts in found.items()}


class TestIdleEnergy:
    def test_follows_memory_requests_and_not_cpu(self, agent, machine):
        """What nobody asked for is unallocated."""
        for number, memory, cpu in ((1, "3Gi", "100m"), (2, "1Gi", "3")):
            machine.start(number)
            agent.know(a_pod_manifest(number, memory=memory, cpu=cpu))
        machine.draw(0)
        agent.tick()
        machine.draw(1_000_000)
        agent.tick()

        assert {1: 375_000, 2: 125_000} == energy(agent, 1)
        assert 500_000 == agent.attributed("dram").unallocated_uj

    def test_is_paid_for_what_is_used_without_a_request(self, agent, machine):
        """A pod that asks for nothing does not ride for free."""
        machine.memory_kib[machine.start(1)] = 2 * GIB
        machine.draw(0)
        agent.tick()
        machine.draw(1_000_000)
        agent.tick()

        assert {1: 250_000} == energy(agent, 1)

    def test_of_a_pod_that_ended_is_paid_for_what_it_had_last(self, agent, machine):
        """Half of the interval in which it ended."""
        machine.memory_kib[machine.start(1)] = 8 * GIB
        machine.draw(0, seconds=10)
        agent.tick()
        machine.end(a_uid(1))
        machine.draw(1_000_000, seconds=10)
        agent.tick()

        assert {1: 500_000} == energy(agent, 1)

    def test_over_a_gap_follows_who_had_memory_when(self, agent, machine):
        """A failed reading is made up for by the next one, for both intervals."""
        sensor = machine.sensors[0]
        machine.start(1)
        agent.know(a_pod_manifest(1, memory="4Gi"))
        machine.draw(0)
        agent.tick()
        machine.draw(1_000_000)
        value, sensor.value = sensor.value, None
        agent.tick()
        sensor.value = value
        agent.know(a_pod_manifest(1, memory="8Gi"))
        machine.draw(1_000_000)
        agent.tick()

        assert {1: 1_500_000} == energy(agent, 1)

    def test_is_divided_alike_after_a_restart_without_the_api_server(self, machine, tmp_path):
        """Requests are saved."""
        agent = an_agent(machine, tmp_path)
        machine.start(1)
        agent.know(a_pod_manifest(1, memory="2Gi"))
        machine.draw(0)
        agent.tick()
        agent.kill()
        again = an_agent(machine, tmp_path)
        machine.draw(1_000_000)
        again.tick()

        assert {1: 250_000} == energy(again, 1)


class TestDynamicEnergy:
    def test_follows_cpu_time(self, agent, machine):
        """Who reads and writes memory most is not known; who runs is."""
        for number in (1, 2):
            machine.memory_kib[machine.start(number)] = number * GIB
        machine.draw(0)
        agent.tick()
        machine.use(a_uid(1), 300_000)
        machine.use(a_uid(2), 100_000)
        machine.draw(5_000_000)
        agent.tick()

        assert {1: 3_000_000, 2: 1_000_000} == energy(agent, 0)


class TestLooking:
    def test_memory_is_looked_at_every_twenty_seconds(self, agent, machine):
        """It changes slowly, and looking costs as much as a tick's reading."""
        for _ in range(41):
            machine.draw(0)
            agent.tick()

        assert 3 == machine.looks_at_memory

    def test_a_node_without_dram_domain_does_not_look(self, tmp_path):
        """It would decide nothing."""
        machine = SimulatedMachine()
        agent = AgentUnderTest(machine, tmp_path)
        machine.draw(0)
        agent.tick()

        assert 0 == machine.looks_at_memory
