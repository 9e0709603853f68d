"""Ticks on a simulated machine: conservation, tails, gaps, owners, restarts."""

import random
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_builders import (
    DRAM,
    HOUR,
    PACKAGE,
    AgentUnderTest,
    FakeSensor,
    SimulatedMachine,
    a_mirror_manifest,
    a_pod_manifest,
    a_uid,
)
from carbonaware_agent.attribution.apportion import apportion
from carbonaware_agent.attribution.shares import IdlePolicy
from carbonaware_agent.sources.sensor import Domain, Energy, Rebaseline, Stream
from carbonaware_agent.workloads.pods import parse_pod


@pytest.fixture
def machine():
    return SimulatedMachine()


@pytest.fixture
def agent(machine, tmp_path):
    return AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)


def pod_energy(agent: AgentUnderTest, pod: str) -> int:
    return sum(sum(parts) for parts in agent.snapshot.pods[pod].energy.values())


def residual(agent: AgentUnderTest, domain: str = "package") -> int:
    """Node energy that is in none of the four components."""
    record = agent.attributed(domain)
    counted = record.dynamic_uj + record.idle_uj + record.system_uj + record.unallocated_uj
    total = sum(z.total_uj for z in agent.snapshot.domains.values() if z.stream.domain == domain)
    return total - counted


def dynamic_and_idle(agent: AgentUnderTest) -> tuple[int, int]:
    """Dynamic and idle energy of the packages, whoever they belong to."""
    record = agent.attributed()
    return record.dynamic_uj + record.system_uj, record.idle_uj + record.unallocated_uj


class RandomLife:
    """A node on which anything may happen, and its agent.

    drawn_uj: what the domain drew. forgotten_uj: what pods got that were dropped since.
    """

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self.chance = chance
        self.machine = SimulatedMachine()
        self.machine.sensors.append(FakeSensor(Domain("dram", DRAM)))
        self.options = {
            "policy": chance.choice(list(IdlePolicy)),
            "idle_watts": chance.choice([None, 20.0]),
        }
        self.folder = folder
        self.agent = AgentUnderTest(self.machine, folder, **self.options)
        self.drawn_uj = self.forgotten_uj = self.number = 0

    def pass_time(self) -> None:
        """One tick in which pods come, work and go, and a reading may fail."""
        for pod in list(self.machine.pods):
            self.machine.use(pod, self.chance.randrange(500_000))
            if self.chance.random() < 0.08:
                self.machine.end(pod)
        for _ in range(self.chance.randrange(3)):
            self.begin_pod()
        self.machine.busy_us += self.chance.randrange(300_000)
        for sensor in range(2):
            energy_uj = self.chance.randrange(200_000_000)
            self.drawn_uj += energy_uj
            self.machine.draw(energy_uj, seconds=self.chance.uniform(0.1, 15), sensor=sensor)
        self.count(unreadable=self.chance.choice([0, 1] + [None] * 30))

    def count(self, *, unreadable: int | None = None) -> None:
        """Let the agent make a tick; unreadable: the sensor that fails in it."""
        before = dict(self.agent.snapshot.pods)
        values = [sensor.value for sensor in self.machine.sensors]
        if unreadable is not None:
            self.machine.sensors[unreadable].value = None
        self.agent.meter.tick(self.machine.readings())
        for sensor, value in zip(self.machine.sensors, values, strict=True):
            sensor.value = value
        self.forgotten_uj += sum(
            sum(map(sum, pod.energy.values()))
            for uid, pod in before.items()
            if uid not in self.agent.snapshot.pods
        )

    def begin_pod(self) -> None:
        """A pod of any class, of which the API server may have told or not."""
        self.number += 1
        self.machine.start(self.number, self.chance.choice(["kubepods", "burstable", "besteffort"]))
        if self.chance.random() < 0.7:
            cpu, memory = f"{self.chance.randrange(900)}m", f"{self.chance.randrange(900)}Mi"
            self.agent.know(a_pod_manifest(self.number, cpu=cpu, memory=memory))
        self.machine.memory_kib[a_uid(self.number)] = self.chance.randrange(900_000)

    def restart(self) -> None:
        """Save, be killed, and begin again."""
        self.agent.save()
        self.agent.kill()
        self.agent = AgentUnderTest(self.machine, self.folder, **self.options)


class TestConservation:
    @pytest.mark.slow
    @settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
    @given(chance=st.randoms(use_true_random=True))
    def test_ten_thousand_random_ticks_leave_no_residual(self, chance):
        """While pods come and go, reads fail and agents restart, not one microjoule is lost."""
        with TemporaryDirectory() as folder:
            life = RandomLife(chance, Path(folder))
            for tick in range(500):
                life.pass_time()
                assert [0, 0] == [residual(life.agent, domain) for domain in ("package", "dram")]
                if tick % 100 == 99:
                    life.restart()
            # The last reading may have failed; this one finds what it missed.
            life.machine.draw(0)
            life.count()

            records = [life.agent.attributed(domain) for domain in ("package", "dram")]
            of_pods = sum(pod_energy(life.agent, pod) for pod in life.agent.snapshot.pods)
            domains = life.agent.snapshot.domains.values()
            assert life.drawn_uj == sum(domain.total_uj for domain in domains)
            to_pods = sum(record.dynamic_uj + record.idle_uj for record in records)
            assert to_pods == of_pods + life.forgotten_uj

    def test_owners_sum_to_their_pods(self, agent, machine):
        """All energy of pods with an owner is in the owner's series."""
        for number in range(3):
            machine.start(number)
            agent.know(a_pod_manifest(number, owner=("Job", "one", "uid-one")))
        agent.tick()
        for number in range(3):
            machine.use(a_uid(number), 1000 * (number + 1))
        machine.draw(60_000_001)
        agent.tick()

        assert {"one": 60_000_001} == agent.owner_energy()


class TestPods:
    def test_a_new_pods_first_use_counts(self, agent, machine):
        """A pod that began since the last tick is billed for all it used."""
        pod = machine.start(1)
        machine.use(pod, 400_000)
        machine.draw(1000)
        agent.tick()

        assert 1000 == pod_energy(agent, pod)

    def test_what_was_used_before_the_agent_is_nobodys(self, machine, tmp_path):
        """The first reading of a pod that was there before is only a baseline."""
        pod = machine.start(1)
        machine.use(pod, 400_000)
        agent = AgentUnderTest(machine, tmp_path)
        machine.busy_us += 10
        machine.draw(1000)
        agent.tick()

        assert 0 == pod_energy(agent, pod)
        assert 1000 == agent.attributed().system_uj

    def test_the_last_interval_of_a_pod_is_its_own(self, agent, machine):
        """A pod that ended between ticks is billed for its tail; the survivors do not pay it."""
        ending, staying = machine.start(1), machine.start(2)
        agent.tick()
        machine.draw(0)
        agent.tick()
        machine.use(ending, 300_000)
        machine.use(staying, 100_000)
        machine.end(ending)
        machine.draw(4000)
        agent.tick()

        assert (3000, 1000) == (pod_energy(agent, ending), pod_energy(agent, staying))

    def test_a_guaranteed_pods_tail_is_found_beside_the_qos_slices(self, agent, machine):
        """What the inner slices used is not the tail of a pod that lay next to them."""
        ending, other = machine.start(1, "kubepods"), machine.start(2, "burstable")
        machine.draw(0)
        agent.tick()
        machine.use(ending, 300_000)
        machine.use(other, 100_000)
        machine.end(ending)
        machine.draw(4000)
        agent.tick()

        assert (3000, 1000) == (pod_energy(agent, ending), pod_energy(agent, other))

    def test_a_pod_that_no_tick_saw_is_billed_from_the_apis_word(self, agent, machine):
        """A Job may live for less than a tick."""
        machine.draw(0)
        agent.tick()
        pod = machine.start(1)
        machine.use(pod, 200_000)
        machine.end(pod)
        agent.know(a_pod_manifest(1), a_pod_manifest(1, phase="Succeeded"))
        machine.draw(1000)
        agent.tick()

        assert {"job-1": 1000} == agent.owner_energy()

    def test_a_refused_pod_is_not_billed(self, agent, machine):
        """A pod that kubelet rejected never ran, so no tail is its."""
        refused = a_pod_manifest(2, phase="Failed")
        refused["status"]["containerStatuses"] = []
        ending = machine.start(1)
        machine.draw(0)
        agent.tick()
        machine.use(ending, 200_000)
        machine.end(ending)
        agent.know(refused)
        machine.draw(1000)
        agent.tick()

        assert 1000 == pod_energy(agent, ending)
        assert a_uid(2) not in agent.snapshot.pods

    def test_pods_that_ended_together_share_by_requests(self, agent, machine):
        """Their slice remembers only what they used together."""
        for number, cpu in ((1, "300m"), (2, "100m")):
            machine.start(number)
            agent.know(a_pod_manifest(number, cpu=cpu))
        machine.draw(0)
        agent.tick()
        for number in (1, 2):
            machine.use(a_uid(number), 100_000)
            machine.end(a_uid(number))
        machine.draw(4000)
        agent.tick()

        assert {"job-1": 3000, "job-2": 1000} == agent.owner_energy()

    def test_a_static_pod_that_restarts_begins_again(self, agent, machine):
        """Its new cgroup has the name of the old one, and counts from 0."""
        pod = machine.start(1)
        machine.use(pod, 500_000)
        machine.draw(1000)
        agent.tick()
        machine.end(pod)
        machine.start(1)
        machine.use(pod, 200_000)
        machine.draw(1000)
        agent.tick()

        assert 2000 == pod_energy(agent, pod)

    @pytest.mark.parametrize("later_us", [200_000, 900_000])
    def test_a_cgroup_made_anew_between_two_ticks_keeps_its_pods_tail(
        self, agent, machine, later_us
    ):
        """What the old one used last is its pod's, like all that the new one used."""
        pod, other = machine.start(1), machine.start(2)
        machine.use(pod, 500_000)
        machine.draw(0)
        agent.tick()
        machine.use(pod, 100_000)
        machine.use(other, 300_000 + later_us)
        machine.renew(pod)
        machine.use(pod, later_us)
        machine.draw(4000)
        agent.tick()

        expected = apportion(4000, [100_000 + later_us, 300_000 + later_us])
        assert expected == [pod_energy(agent, pod), pod_energy(agent, other)]

    def test_a_counter_that_is_set_back_is_a_baseline(self, agent, machine):
        """A cgroup that shows more than there was since the last tick is no new one."""
        setback, other = machine.start(1), machine.start(2)
        machine.pods[setback] = (500_000_000, "burstable")
        machine.draw(0)
        agent.tick()
        machine.pods[setback] = (400_000_000, "burstable")
        machine.use(other, 1)
        machine.draw(1000)
        agent.tick()

        assert (0, 1000) == (pod_energy(agent, setback), pod_energy(agent, other))

    def test_a_pod_that_could_not_be_read_at_first_is_a_baseline(self, agent, machine):
        """As when its file could not be opened for want of descriptors."""
        late, other = machine.start(1), machine.start(2)
        machine.pods[late] = (500_000_000, "burstable")
        machine.use(other, 1)
        machine.draw(1000)
        agent.tick()

        assert (0, 1000) == (pod_energy(agent, late), pod_energy(agent, other))

    def test_a_quiet_interval_keeps_totals(self, agent, machine):
        """A pod that did nothing for a tick does not start from 0 again."""
        pod = machine.start(1)
        machine.use(pod, 1)
        machine.draw(1000)
        agent.tick()
        machine.draw(0)
        agent.tick()

        assert 1000 == pod_energy(agent, pod)

    def test_ended_pods_leave_the_metrics_after_ten_minutes(self, agent, machine):
        """By then every scraper has seen their last value; their owner's series goes on."""
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        machine.use(pod, 1)
        machine.draw(1000)
        agent.tick()
        machine.end(pod)
        machine.draw(0)
        agent.tick()
        machine.draw(0, seconds=601)
        agent.tick()

        assert {} == agent.snapshot.pods
        assert {"job-1": 1000} == agent.owner_energy()


class TestNames:
    def test_a_pod_is_shown_when_it_has_its_names(self, agent, machine):
        """A series that changed its labels would be two, with the same energy in both."""
        pod = machine.start(1)
        machine.use(pod, 1)
        machine.draw(1000)
        agent.tick()
        assert [] == shown_pods(agent)

        agent.know(a_pod_manifest(1))
        machine.use(pod, 1)
        machine.draw(1000)
        agent.tick()

        assert [("ml", "pod-1", a_uid(1))] == shown_pods(agent)
        assert {"job-1": 2000} == agent.owner_energy()

    def test_a_pod_that_nobody_names_is_shown_by_its_uid_after_half_a_minute(self, agent, machine):
        """And keeps these labels when its names come; its energy still goes to its owner."""
        pod = machine.start(1)
        for _ in range(2):
            machine.use(pod, 1)
            machine.draw(1000, seconds=30)
            agent.tick()
        assert [("", "", a_uid(1))] == shown_pods(agent)

        agent.know(a_pod_manifest(1))
        machine.draw(0)
        agent.tick()

        assert [("", "", a_uid(1))] == shown_pods(agent)
        assert {"job-1": 2000} == agent.owner_energy()

    def test_a_pod_with_a_forged_mirror_charges_nobody_else(self, agent, machine):
        """While two pods claim a static pod's cgroup, its energy waits and no request counts."""
        static = "f" * 32
        machine.pods[static] = machine.pods.pop(machine.start(7))
        true, forged = (
            a_mirror_manifest(n, static, cpu=f"{n}", owner=("Node", f"n{n}", f"n{n}"))
            for n in (1, 2)
        )
        charged = []
        for known, gone in ([forged, true], []), ([], [forged]), ([forged], [true]):
            agent.know(*known)
            for manifest in gone:
                agent.directory.remove(parse_pod(manifest))
            machine.use(static, 1)
            machine.draw(1000)
            agent.tick()
            charged.append(agent.owner_energy())

        assert [{}, {"n1": 2000}, {"n1": 3000}] == charged
        assert 1000 == agent.snapshot.pods[static].request

    def test_a_pod_with_a_forged_owner_charges_its_own_namespace(self, agent, machine):
        """The owner of that uid in another namespace is another series."""
        for number, namespace in ((1, "ml"), (2, "thief")):
            machine.use(machine.start(number), number)
            manifest = a_pod_manifest(number, owner=("Job", "train", "uid-of-train"))
            manifest["metadata"]["namespace"] = namespace
            agent.know(manifest)
        machine.draw(3000)
        agent.tick()

        by_namespace = {
            owner.namespace: record.total_uj for (owner, _), record in agent.snapshot.series.items()
        }
        assert {"ml": 1000, "thief": 2000} == by_namespace


def shown_pods(agent: AgentUnderTest) -> list[tuple[str, str, str]]:
    """Namespace, name and uid of the pods on /metrics."""
    labels = [
        dict(re.findall(r'(\w+)="([^"]*)"', series))
        for series in agent.metrics()
        if series.startswith("carbonaware_pod_energy_joules_total") and "dynamic" in series
    ]
    return [(found["namespace"], found["pod"], found["pod_uid"]) for found in labels]


class TestOwners:
    def test_energy_waits_with_the_pod_until_its_owner_is_known(self, agent, machine):
        """The API server may answer long after the pod began, or ended."""
        pod = machine.start(1)
        machine.use(pod, 1)
        machine.draw(1000)
        agent.tick()
        machine.end(pod)
        machine.draw(0)
        agent.tick()
        assert {} == agent.owner_energy()

        agent.know(a_pod_manifest(1), a_pod_manifest(1, phase="Succeeded"))
        machine.draw(0)
        agent.tick()
        assert {"job-1": 1000} == agent.owner_energy()

    def test_the_owner_is_pinned_at_first_sight(self, agent, machine):
        """Whoever changes ownerReferences later does not move energy."""
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        for owner in ("job-1", "thief"):
            agent.know(a_pod_manifest(1, owner=("Job", owner, owner)))
            machine.use(pod, 1)
            machine.draw(1000)
            agent.tick()

        assert {"job-1": 2000} == agent.owner_energy()

    def test_a_pod_without_controller_owns_itself(self, agent, machine):
        """Other ownerReferences do not count."""
        machine.use(machine.start(1), 1)
        agent.know(a_pod_manifest(1, owner=(None, "", "")))
        machine.draw(1000)
        agent.tick()

        (owner, _), *_ = agent.snapshot.series
        assert ("ml", "Pod", "pod-1", a_uid(1)) == owner

    def test_a_series_closes_six_hours_after_its_last_pod(self, agent, machine):
        """It leaves /metrics and stays in the accounting; if the owner returns, it is a new one."""
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        machine.use(pod, 1)
        machine.draw(1000)
        agent.tick()
        (series,) = (line for line in agent.accounting() if "owner_energy_joules" in line)
        machine.end(pod)
        for _ in range(8):
            machine.draw(0, seconds=3600)
            agent.tick()

        assert {} == agent.owner_energy()
        assert "0.001000" == agent.accounting()[series]


class TestGaps:
    def test_a_failed_read_is_a_gap_and_not_zero(self, agent, machine):
        """What a domain drew meanwhile is found by the next good reading, for whoever ran then."""
        early, late = machine.start(1), machine.start(2)
        sensor = machine.sensors[0]
        agent.tick()
        machine.use(early, 300_000)
        machine.draw(1000)
        value, sensor.value = sensor.value, None
        agent.tick()
        sensor.value = value
        machine.use(late, 100_000)
        machine.draw(3000)
        agent.tick()

        assert (3000, 1000) == (pod_energy(agent, early), pod_energy(agent, late))
        assert {("package-0", "unreadable"): 1} == agent.snapshot.gaps

    def test_a_counter_set_anew_is_a_counted_baseline(self, agent, machine, monkeypatch):
        """Nothing is known about the interval, so nothing is billed."""
        sensor = machine.sensors[0]
        monkeypatch.setattr(sensor, "energy", lambda *_: Rebaseline("implausible"))
        machine.draw(10**12)
        agent.tick()
        monkeypatch.setattr(sensor, "energy", lambda *_: Energy(5, estimated=True))
        machine.draw(0)
        agent.tick()

        assert 5 == agent.snapshot.domains["package-0", "rapl"].total_uj
        expected = {("package-0", "implausible"): 1, ("package-0", "estimated"): 1}
        assert expected == agent.snapshot.gaps

    def test_sockets_are_summed_by_kind(self, machine, tmp_path):
        """Owner series know packages, the node's series know each of them."""
        machine.sensors.append(FakeSensor(Domain("package-1", PACKAGE)))
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        machine.use(machine.start(1), 1)
        machine.draw(1000, sensor=0, seconds=0.5)
        machine.draw(500, sensor=1, seconds=0.5)
        agent.know(a_pod_manifest(1))
        agent.tick()

        assert {"job-1": 1500} == agent.owner_energy()
        totals = {name: domain.total_uj for (name, _), domain in agent.snapshot.domains.items()}
        assert {"package-0": 1000, "package-1": 500} == totals

    def test_a_long_interval_is_counted_as_an_estimate(self, agent, machine):
        """After a minute without an agent, who used the node when is not known."""
        for seconds in (1, 61):
            machine.draw(1000, seconds=seconds)
            agent.tick()

        assert {("package-0", "estimated"): 1} == agent.snapshot.gaps


class TestRestart:
    def test_the_energy_of_a_gap_is_recovered(self, machine, tmp_path):
        """Counters, pods and time go on from the snapshot, as in one long tick."""
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        pod = machine.start(1)
        machine.use(pod, 1)
        agent.know(a_pod_manifest(1))
        machine.draw(1000)
        agent.tick()
        agent.kill()
        machine.use(pod, 300_000)
        machine.busy_us += 100_000
        machine.draw(4000, seconds=300)
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        agent.tick()

        assert {"job-1": 4000} == agent.owner_energy()
        assert 5000 == agent.snapshot.domains["package-0", "rapl"].total_uj

    def test_a_pod_that_ended_in_the_gap_gets_what_its_slice_remembers(self, machine, tmp_path):
        """Its owner was pinned before, so the owner gets it."""
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        machine.draw(0)
        agent.tick()
        agent.kill()
        machine.use(pod, 300_000)
        machine.end(pod)
        machine.draw(4000, seconds=300)
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        agent.tick()

        assert {"job-1": 4000} == agent.owner_energy()

    def test_unsaved_ticks_are_counted_again_and_not_twice(self, machine, tmp_path):
        """A crash between counting and saving loses nothing and doubles nothing."""
        agent = AgentUnderTest(machine, tmp_path)
        machine.draw(1000)
        agent.meter.tick(machine.readings())
        agent.kill()
        agent = AgentUnderTest(machine, tmp_path)
        machine.draw(500)
        agent.tick()

        assert 1500 == agent.snapshot.domains["package-0", "rapl"].total_uj

    def test_another_boot_closes_series_and_begins_epochs(self, machine, tmp_path):
        """Raw counters and cgroups mean nothing any more; the node's totals go on."""
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        machine.use(machine.start(1), 1)
        agent.know(a_pod_manifest(1))
        machine.draw(1000)
        agent.tick()
        agent.kill()
        machine.boot_id = "another"
        machine.sensors[0].value = 50
        machine.clock.advance(-900, wall_step=1000)
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        machine.use(a_uid(1), 1)
        agent.know(a_pod_manifest(1))
        machine.draw(300)
        agent.tick()

        series = {k: v for k, v in agent.accounting().items() if "owner_energy_joules" in k}
        assert ["0.000300", "0.001000"] == sorted(series.values())
        assert {"job-1": 300} == agent.owner_energy()
        assert 1300 == agent.snapshot.domains["package-0", "rapl"].total_uj

    def test_a_sensor_that_was_stood_in_for_begins_anew(self, machine, tmp_path):
        """What a model counted meanwhile is not counted by the counter again."""
        AgentUnderTest(machine, tmp_path).kill()
        rapl = machine.sensors[0]
        machine.sensors = [FakeSensor(Domain("package", Stream("package", "shape", "wall")))]
        agent = AgentUnderTest(machine, tmp_path)
        agent.tick()
        for _ in range(2):
            machine.draw(100)
            agent.tick()
        rapl.value = 10_000
        agent.kill()
        machine.sensors = [rapl]
        agent = AgentUnderTest(machine, tmp_path)
        machine.draw(0)
        agent.tick()

        totals = {key: domain.total_uj for key, domain in agent.snapshot.domains.items()}
        assert {("package-0", "rapl"): 0, ("package", "shape"): 100} == totals


class TestIdle:
    def test_an_idle_reservation_pays_for_idle_power(self, machine, tmp_path):
        """A pod that reserves half of the node and does nothing pays half of its idle energy."""
        agent = AgentUnderTest(machine, tmp_path, idle_watts=20)
        machine.start(1)
        agent.know(a_pod_manifest(1, cpu="2"))
        machine.draw(20_000_000)
        agent.tick()
        machine.draw(20_000_000)
        agent.tick()

        # In the first tick the pod was there for half of the time, as far as is known.
        assert {"job-1": 15_000_000} == agent.owner_energy()
        assert 25_000_000 == agent.attributed().unallocated_uj

    def test_a_socket_read_alone_has_its_part_of_the_idle_power(self, machine, tmp_path):
        """While the other one fails, the idle power of both must not count against one."""
        machine.sensors.append(FakeSensor(Domain("package-1", PACKAGE)))
        agent = AgentUnderTest(machine, tmp_path, idle_watts=20)
        other = machine.sensors[1]
        machine.draw(30_000_000)
        other.value = None
        agent.tick()
        machine.draw(30_000_000)
        other.value = 60_000_000
        agent.tick()

        assert (80_000_000, 40_000_000) == dynamic_and_idle(agent)

    def test_idle_power_is_learned_from_all_sockets_together(self, machine, tmp_path):
        """Half of a machine would teach half of its idle power."""
        machine.sensors.append(FakeSensor(Domain("package-1", PACKAGE)))
        agent = AgentUnderTest(machine, tmp_path)
        machine.draw(30_000_000)
        machine.sensors[1].value = None
        agent.tick()

        assert 0 == agent.snapshot.idle[PACKAGE].quiet_count

    def test_a_maximum_that_nobody_tells_is_supposed_from_load(self, machine, tmp_path):
        """At half load a server draws 0.56 of its maximum, so this one's is 100 W."""
        agent = AgentUnderTest(machine, tmp_path, vcpus=4)
        machine.busy_us += 120_000_000
        machine.draw(60 * 56_000_000, seconds=60)
        agent.tick()
        machine.draw(56_000_000)
        agent.tick()

        idle = agent.snapshot.idle[PACKAGE]
        assert (22_000_000, "estimated") == (idle.in_force_uw, idle.origin)

    def test_allocatable_cpus_come_from_the_api(self, machine, tmp_path):
        """What the system reserves for itself is not a pod's."""
        agent = AgentUnderTest(machine, tmp_path, idle_watts=20)
        agent.directory.allocatable_millicores = 2000
        machine.start(1)
        agent.know(a_pod_manifest(1, cpu="2"))
        agent.tick()
        machine.draw(20_000_000)
        agent.tick()

        assert 0 <= agent.attributed().unallocated_uj < 20_000_000

    def test_what_was_learned_outlives_a_boot_of_the_same_processor(self, machine, tmp_path):
        """Quiet moments are rare on a busy node."""
        agent = AgentUnderTest(machine, tmp_path)
        machine.draw(40_000_000)
        agent.tick()
        agent.kill()
        machine.boot_id = "another"
        agent = AgentUnderTest(machine, tmp_path)

        assert 1 == agent.snapshot.idle[PACKAGE].quiet_count


class TestMarks:
    def test_a_mark_is_the_value_at_the_end_of_the_period(self, agent, machine):
        """A tick across the boundary is divided by time, to the microjoule."""
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        agent.tick()
        machine.use(pod, 1)
        machine.draw(1000, seconds=3498)
        agent.tick()
        machine.use(pod, 1)
        machine.draw(1001, seconds=4)
        agent.tick()

        assert {("job-1", HOUR): 1501} == agent.marks()
        assert {"job-1": 2001} == agent.owner_energy()

    def test_a_gap_gives_each_period_its_share(self, machine, tmp_path):
        """An agent that was down for hours marks them as if it had not been."""
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        machine.draw(0)
        agent.tick()
        agent.kill()
        machine.use(pod, 1)
        machine.draw(10_000, seconds=10_000)
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        agent.tick()

        first = 3600 - 101
        expected = {("job-1", HOUR): first, ("job-1", HOUR + 3600): first + 3600}
        assert expected == agent.marks()

    def test_a_period_without_growth_has_no_mark(self, agent, machine):
        """Readers carry the last mark forward."""
        machine.use(machine.start(1), 1)
        agent.know(a_pod_manifest(1))
        machine.draw(1000)
        agent.tick()
        for _ in range(3):
            machine.draw(0, seconds=3600)
            agent.tick()

        assert {("job-1", HOUR): 1000} == agent.marks()

    def test_a_period_once_closed_stays_closed(self, agent, machine):
        """When the wall clock is set back, energy counts in the period that is open."""
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        for step in (0, 0, -3600, 3600):
            machine.use(pod, 1)
            machine.clock.advance(0, wall_step=step)
            machine.draw(1000, seconds=1800)
            agent.tick()

        assert HOUR * 1_000_000 + 3600 * 1_000_000 <= agent.snapshot.open_us
        marks = agent.marks()
        assert [("job-1", HOUR)] == [key for key in marks if key[1] == HOUR]
        assert 4000 == agent.owner_energy()["job-1"]
        machine.draw(0, seconds=7200)
        agent.tick()
        assert marks.items() <= agent.marks().items()

    def test_since_leaves_out_periods_that_ended_before(self, agent, machine):
        """A reader asks only for what it has not read."""
        pod = machine.start(1)
        agent.know(a_pod_manifest(1))
        for _ in range(3):
            machine.use(pod, 1)
            machine.draw(1000, seconds=3600)
            agent.tick()

        since_us = (HOUR + 3600) * 1_000_000
        lines = [line for line in agent.accounting(since_us) if "mark_joules" in line]
        assert [f'hour="{HOUR + 3600}"' in line for line in lines].count(True) == 1
        assert not any(f'hour="{HOUR}"' in line for line in lines)

    def test_marks_of_a_closed_series_stay(self, machine, tmp_path):
        """A series that a reboot closed is marked for the period in which it ended."""
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        machine.use(machine.start(1), 1)
        agent.know(a_pod_manifest(1))
        machine.draw(1000)
        agent.tick()
        agent.kill()
        machine.boot_id = "another"
        machine.pods.clear()
        agent = AgentUnderTest(machine, tmp_path, policy=IdlePolicy.NONE)
        assert {} == agent.marks()
        machine.draw(0, seconds=3600)
        agent.tick()

        assert {("job-1", HOUR): 1000} == agent.marks()
