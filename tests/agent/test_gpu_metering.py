"""Ticks on a machine with GPUs: whose the energy is, over hand-overs, gaps and restarts."""

import random
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_builders import AgentUnderTest, FakeSensor, SimulatedMachine, a_pod_manifest, micro
from carbonaware_agent.attribution.devices import Claim, Holding, Method
from carbonaware_agent.gpus.holdings import CardFacts, GpuPicture
from carbonaware_agent.sources.sensor import CHIP, Domain, Stream

WATT = 1_000_000


class GpuNode(AgentUnderTest):
    """An agent on a machine of which only the GPUs are measured; they are `gpu/0`, `gpu/1`..."""

    def __init__(self, folder, *, machine=None, count=1, limit_watts=None, **options):
        machine = machine or SimulatedMachine()
        machine.sensors = [
            FakeSensor(
                Domain(
                    f"gpu/{n}",
                    Stream(f"gpu/{n}", "nvml_counter", CHIP),
                    maximum_watts=limit_watts,
                )
            )
            for n in range(count)
        ]
        super().__init__(machine, folder, **options)

    def pod(self, number, **changes):
        """A pod that runs and is known."""
        self.know(a_pod_manifest(number, **changes))
        return self.machine.start(number)

    def held(self, *claims, gpu="gpu/0", method=Method.EXCLUSIVE, **fields):
        """Let kubelet's word on a card be this."""
        holdings = dict(self.gpus.holdings) if self.gpus else {}
        holdings[gpu] = Holding(method, tuple(claims), **fields) if claims else Holding()
        facts = {domain: CardFacts(domain[4:], "H100", 0.5) for domain in holdings}
        self.gpus = GpuPicture(holdings, facts)

    def by_turns(self, *pods):
        """Let pods share the first card."""
        self.held(*(Claim(pod, 1) for pod in pods), method=Method.EQUAL, whole=len(pods))

    def draw(self, energy_uj, *, seconds=1, gpu=0):
        """Let a card draw energy, and tick."""
        self.machine.draw(energy_uj, seconds=seconds, sensor=gpu)
        self.tick()

    def energy(self, pod, gpu="gpu/0"):
        """All of a pod's energy of a card."""
        energy = self.snapshot.pods[pod].energy
        return sum(sum(parts) for stream, parts in energy.items() if stream.domain == gpu)

    def idle_by_namespace(self):
        """The query of the documentation, on the page's text."""
        found = Counter()
        for series, value in self.metrics().items():
            labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
            if (
                series.startswith("carbonaware_pod_energy_joules_total{")
                and re.fullmatch("gpu/.*", labels["domain"])
                and labels["component"] == "idle"
            ):
                found[labels["namespace"]] += micro(value)
        return dict(found)


@pytest.fixture
def node(tmp_path):
    return GpuNode(tmp_path)


class TestHolders:
    def test_a_gpu_is_its_holders_whatever_runs_on_the_processors(self, node):
        """CPU time says nothing about a GPU."""
        holder, other = node.pod(1), node.pod(2)
        node.held(Claim(holder, 1))
        node.machine.use(other, 900_000)
        node.draw(1000)

        assert {"job-1": 1000} == node.owner_energy("gpu/0")

    def test_each_gpu_has_its_own_holders(self, tmp_path):
        """One card is divided, the other is free."""
        node = GpuNode(tmp_path, count=2)
        one, two = node.pod(1), node.pod(2)
        node.held(gpu="gpu/0")
        node.held(Claim(one, 1), Claim(two, 1), gpu="gpu/1", method=Method.EQUAL, whole=2)
        node.machine.draw(1000, seconds=0, sensor=0)
        node.draw(600, gpu=1)

        assert {"job-1": 300, "job-2": 300} == node.owner_energy("gpu/1")
        assert 1000 == node.attributed("gpu/0").system_uj

    def test_before_anything_is_known_a_gpu_is_nobodys(self, node):
        """The first seconds of the first agent on a node."""
        node.pod(1)
        node.draw(1000)

        assert {} == node.owner_energy("gpu/0")


class TestChangingHands:
    def test_the_last_moments_of_a_pod_are_its_own(self, node):
        """Kubelet may say that the GPU is free before the tick that finds the pod gone."""
        pod = node.pod(1)
        node.held(Claim(pod, 1))
        node.draw(1000)
        node.machine.end(pod)
        node.held()
        node.draw(500)
        node.draw(70)

        assert 1500 == node.energy(pod)

    def test_who_stays_does_not_pay_for_who_left(self, node):
        """In the tick in which one of two sharers ended, both shared."""
        leaving, staying = node.pod(1), node.pod(2)
        node.by_turns(leaving, staying)
        node.draw(1000)
        node.machine.end(leaving)
        node.held(Claim(staying, 1))
        node.draw(900)

        assert (500 + 300, 500 + 600) == (node.energy(leaving), node.energy(staying))

    def test_a_hand_over_within_a_tick_is_halved(self, node):
        """One ended and another began; when is not known."""
        first = node.pod(1)
        node.held(Claim(first, 1))
        node.draw(0)
        node.machine.end(first)
        second = node.pod(2)
        node.held(Claim(second, 1))
        node.draw(1000)

        assert (500, 500) == (node.energy(first), node.energy(second))

    def test_a_pod_of_the_same_name_does_not_inherit(self, node):
        """Deleted by force and made anew, while the first still runs and holds the GPU."""
        first = node.pod(1, name="worker-0")
        node.held(Claim(first, 1))
        node.draw(1000)
        second = node.pod(2, name="worker-0")
        node.held(Claim(second, 1))
        node.draw(1000)
        node.draw(1000)

        assert (3000, 0) == (node.energy(first), node.energy(second))

    def test_pods_without_a_name_are_not_taken_for_one(self, node):
        """One that the API server never named shares its card with another such pod."""
        first, second = node.machine.start(1), node.machine.start(2)
        node.by_turns(first)
        node.draw(1000)
        node.by_turns(first, second)
        node.draw(1000)

        assert (1500, 500) == (node.energy(first), node.energy(second))

    def test_a_pod_without_a_cgroup_does_not_pay(self, node):
        """Kubelet hands the GPU out before the pod begins."""
        node.know(a_pod_manifest(1))
        node.held(Claim("not-begun", 1))
        node.draw(1000)

        assert 1000 == node.attributed("gpu/0").system_uj


class TestGaps:
    def test_while_a_card_cannot_be_read_its_holders_are_remembered(self, node):
        """Each pays for the time in which it held the card."""
        first, second = node.pod(1), node.pod(2)
        node.held(Claim(first, 1))
        node.draw(0)
        sensor = node.machine.sensors[0]
        sensor.value = None
        node.machine.clock.advance(3)
        node.tick()
        sensor.value = 4000
        node.held(Claim(second, 1))
        node.machine.end(first)
        node.machine.clock.advance(1)
        node.tick()

        # Three seconds and half of the last one, of which the other half is the second's.
        assert 4000 == node.energy(first) + node.energy(second)
        assert node.energy(first) > 3 * node.energy(second) > 0

    def test_what_a_card_drew_while_no_agent_ran_is_its_holders(self, tmp_path, node):
        """The new agent has asked nobody yet when it counts the gap."""
        pod = node.pod(1)
        node.held(Claim(pod, 1))
        node.draw(1000)
        machine, value = node.machine, node.machine.sensors[0].value
        node.kill()
        node = GpuNode(tmp_path, machine=machine)
        machine.sensors[0].value = value
        node.draw(5000, seconds=60)

        assert 6000 == node.energy(pod)

    def test_after_another_boot_holdings_mean_nothing(self, tmp_path, node):
        """Devices are handed out anew."""
        pod = node.pod(1)
        node.held(Claim(pod, 1))
        node.draw(1000)
        node.kill()
        machine = SimulatedMachine()
        machine.boot_id = "another"

        assert {} == GpuNode(tmp_path, machine=machine).snapshot.holdings


class TestIdlePower:
    def minutes(self, node, watts, count):
        """Let the card draw the same power for some minutes."""
        for _ in range(3 * count):
            node.draw(watts * 20 * WATT, seconds=20)

    def in_force(self, node):
        """Idle power and its origin after the accounting period in which it was learned."""
        node.draw(650 * 3600 * WATT, seconds=3600)
        idle = node.snapshot.idle[Stream("gpu/0", "nvml_counter", CHIP)]
        return idle.in_force_uw, idle.origin

    def test_is_the_lowest_power_while_nobody_held_the_card(self, tmp_path):
        """Neither work, nor the rest of a holder, nor a mean of both is idle power."""
        node = GpuNode(tmp_path, limit_watts=700)
        pod = node.pod(1)
        node.held()
        self.minutes(node, 80, 2)
        self.minutes(node, 70, 2)
        node.held(Claim(pod, 1))
        self.minutes(node, 60, 1)
        self.minutes(node, 650, 2)

        assert (70 * WATT, "learned") == self.in_force(node)

    def test_of_a_card_that_is_always_held_is_the_lowest_it_showed(self, tmp_path):
        """The origin says that it may include a holder's rest."""
        node = GpuNode(tmp_path, limit_watts=700)
        node.held(Claim(node.pod(1), 1))
        self.minutes(node, 650, 1)
        self.minutes(node, 110, 1)
        self.minutes(node, 650, 1)

        assert (110 * WATT, "lowest") == self.in_force(node)

    def test_a_card_that_always_works_does_not_count_as_idle(self, tmp_path):
        """Else a busy GPU would be shown as wasted; 0.22 of its limit is the most."""
        node = GpuNode(tmp_path, limit_watts=700)
        node.held(Claim(node.pod(1), 1))
        self.minutes(node, 650, 2)

        assert (154 * WATT, "estimated") == self.in_force(node)


class TestPage:
    def test_idle_energy_of_reserved_gpus_is_visible_by_namespace(self, tmp_path):
        """Two cards of 700 W limit rest at 70 W: one reserved, one free."""
        node = GpuNode(tmp_path, count=2, limit_watts=700)
        node.held(gpu="gpu/1")
        node.held(Claim(node.pod(1), 1))
        node.draw(0)
        for _ in range(10):
            node.machine.draw(70 * WATT, seconds=0, sensor=1)
            node.draw(70 * WATT)

        assert {"ml": 700 * WATT} == node.idle_by_namespace()
        assert 700 * WATT == node.attributed("gpu/1").unallocated_uj

    def test_a_card_is_shown_with_its_model_and_how_it_is_divided(self, node):
        """An auditor sees by which rule each second was divided."""
        node.by_turns(node.pod(1), node.pod(2))
        node.draw(250 * WATT)

        shown = {name: value for name, value in node.metrics().items() if "_gpu_" in name}

        assert {
            'carbonaware_gpu_energy_joules_total{gpu_uuid="0",model="H100"}': "250.000000",
            'carbonaware_gpu_power_watts{gpu_uuid="0",model="H100"}': "250.000000",
            'carbonaware_gpu_utilization_ratio{gpu_uuid="0",model="H100"}': "0.5",
            'carbonaware_gpu_division_info{gpu_uuid="0",method="equal"}': "1",
            "carbonaware_agent_unresolved_gpu_devices": "0",
        } == shown


@settings(max_examples=5)
@given(chance=st.randoms(use_true_random=True))
def test_pods_system_and_unallocated_are_the_device(chance: random.Random, tmp_path_factory):
    """While pods come and go, share, pass cards on, and readings fail, no microjoule is lost."""
    node = GpuNode(tmp_path_factory.mktemp("life"), count=2, limit_watts=700)
    drawn_uj = [0, 0]
    for number in range(80):
        node.pod(number)
        for pod in list(node.machine.pods):
            if chance.random() < 0.1:
                node.machine.end(pod)
        for gpu in (0, 1):
            pods = chance.sample(sorted(node.machine.pods), min(2, len(node.machine.pods)))
            claims = [Claim(p, chance.randrange(1, 4), chance.randrange(90)) for p in pods]
            node.held(*claims, gpu=f"gpu/{gpu}", method=chance.choice(list(Method)), whole=7)
            energy_uj = chance.randrange(10**9)
            drawn_uj[gpu] += energy_uj
            node.machine.draw(energy_uj, seconds=chance.uniform(0.1, 3), sensor=gpu)
        if chance.random() < 0.2:
            node.gpus = replace(node.gpus, holdings={})
        values = [sensor.value for sensor in node.machine.sensors]
        if chance.random() < 0.2:
            node.machine.sensors[chance.randrange(2)].value = None
        node.meter.tick(node.machine.readings())
        for sensor, value in zip(node.machine.sensors, values, strict=True):
            sensor.value = value
    node.draw(0)

    for gpu in (0, 1):
        record = node.attributed(f"gpu/{gpu}")
        of_pods = sum(node.energy(pod, f"gpu/{gpu}") for pod in node.snapshot.pods)
        rest = record.system_uj + record.unallocated_uj
        assert drawn_uj[gpu] == of_pods + rest
