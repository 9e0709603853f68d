"""Modelled power: the shape, maximum power, and when there is none."""

import pytest

from agent_builders import GUEST_CPUINFO, METAL_CPUINFO, HostTree
from carbonaware_agent.host import Host, Processor, parse_cpuinfo
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.model import (
    SHAPE,
    ModelledPackage,
    PowerModel,
    power_model,
    share_of_maximum,
    watts_per_vcpu,
)
from carbonaware_agent.sources.selection import sensors
from carbonaware_agent.sources.sensor import Energy, Interval

GUEST = Processor(vcpus=4, guest=True)
METAL = Processor(vcpus=4, guest=False)
SECOND_US = 1_000_000


@pytest.fixture
def tree(tmp_path):
    return HostTree(tmp_path)


class TestPowerModel:
    def test_a_guest_has_its_vcpus_share_of_a_server(self):
        """2.6 W per vCPU of an unknown family, off by up to 60 %."""
        expected = PowerModel(4 * 2.6, "shape", "wall", 0.60)

        assert expected == power_model(GUEST, maximum_watts=None, design_watts=None)

    def test_a_guest_is_not_billed_for_the_whole_host(self):
        """The design power that a guest may see is the host's."""
        model = power_model(GUEST, maximum_watts=None, design_watts=270.0)

        assert model == power_model(GUEST, maximum_watts=None, design_watts=None)

    @pytest.mark.parametrize("processor", [GUEST, METAL])
    def test_a_stated_maximum_goes_first(self, processor):
        """Whoever measured the machine knows best."""
        expected = PowerModel(200.0, "shape", "wall", 0.15)

        assert expected == power_model(processor, maximum_watts=200.0, design_watts=95.0)

    def test_bare_metal_falls_back_to_design_power(self):
        """Of the chip, not of the wall, and off by up to 45 %."""
        expected = PowerModel(95.0, "tdp", "chip", 0.45)

        assert expected == power_model(METAL, maximum_watts=None, design_watts=95.0)

    def test_nothing_is_invented(self):
        """Bare metal whose power nobody states has no power."""
        assert power_model(METAL, maximum_watts=None, design_watts=None) is None

    @pytest.mark.parametrize(
        ("processor", "watts"),
        [
            (Processor(1, True, "GenuineIntel", 6, 85, 7), 3.97),
            (Processor(1, True, "GenuineIntel", 6, 85, 4), 4.19),
            (Processor(1, True, "AuthenticAMD", 23, 49), 1.69),
            (Processor(1, True, "AuthenticAMD", 25, 1), 2.02),
            (Processor(1, True, "AuthenticAMD", 25, 17), 2.6),
            (Processor(1, True), 2.6),
        ],
    )
    def test_power_per_vcpu_is_by_family(self, processor, watts):
        """A family that is not in the table has the middle of its range."""
        assert watts == watts_per_vcpu(processor)


class TestShape:
    @pytest.mark.parametrize(
        ("load", "share"), [(0, 0.22), (0.1, 0.35), (0.05, 0.285), (0.95, 0.945), (1, 1), (1.5, 1)]
    )
    def test_power_rises_steeply_at_first(self, load, share):
        """Linear between the points; load beyond all processors is full load."""
        assert share_of_maximum(load) == pytest.approx(share)

    def test_it_never_falls(self):
        """More work never takes less power."""
        assert sorted(SHAPE) == list(SHAPE)


class TestModelledPackage:
    def test_energy_is_power_at_the_mean_load_times_time(self, tree):
        """Also over a gap, as its raw value is busy time."""
        sensor = ModelledPackage(
            PowerModel(100.0, "shape", "wall", 0.6), CpuTime(tree.root / "proc"), 2
        )
        tree.busy(500)
        before = sensor.read()["package"]
        tree.busy(1500)
        after = sensor.read()["package"]

        result = sensor.energy(sensor.domains[0], before, after, Interval(10 * SECOND_US))

        assert Energy(round(56e6 * 10)) == result

    def test_its_idle_power_is_exact(self, tree):
        """What the model says at no load is what it takes for idle."""
        sensor = ModelledPackage(
            PowerModel(100.0, "shape", "wall", 0.6), CpuTime(tree.root / "proc"), 2
        )

        idle = sensor.energy(sensor.domains[0], 0, 0, Interval(SECOND_US))

        assert Energy(22_000_000) == idle
        assert 22 == sensor.domains[0].idle_watts

    def test_an_unreadable_stat_is_a_failed_read(self, tree):
        """Not busy time 0."""
        sensor = ModelledPackage(
            PowerModel(100.0, "shape", "wall", 0.6), CpuTime(tree.root / "proc"), 2
        )
        tree.write("proc/stat", "intr 5".ljust(60))

        assert {} == sensor.read()


class TestCpuTime:
    def test_waiting_and_stolen_time_is_not_busy(self, tree):
        """In stolen time another guest used the processor."""
        tree.write("proc/stat", "cpu  1 20 300 9 9 4000 50000 9 9 9")

        assert 54_321 * 10_000 == CpuTime(tree.root / "proc").busy_us()


class TestSelection:
    def found(self, tree: HostTree, maximum_watts: float | None = None) -> list[str]:
        """Streams of the sensors found, whether or not this machine has GPUs."""
        found = sensors(Host(tree.root), 0, maximum_watts=maximum_watts)
        return [
            "/".join(domain.stream)
            for sensor, domains in found.in_force.items()
            for domain in domains
            if sensor.name != "nvml"
        ]

    def test_counters_go_before_the_model(self, tree):
        """Nothing is modelled where it can be measured."""
        tree.rapl(1)

        assert ["package/rapl/chip"] == self.found(tree, 100)

    def test_memory_alone_is_not_a_package(self, tree):
        """The package is then modelled beside the measured memory."""
        tree.rapl(1, name="package-0")
        tree.rapl(1, domain="intel-rapl:0:0", name="dram")
        (tree.root / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()

        assert ["dram/rapl/chip", "package/shape/wall"] == self.found(tree, 100)

    def test_design_power_is_what_a_user_without_rights_gets(self, tree):
        """A 0400 counter is unreadable, the design power beside it is not."""
        tree.rapl(1)
        (tree.root / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
        tree.write("sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw", "85000000")

        assert ["package/tdp/chip"] == self.found(tree)

    def test_bare_metal_without_any_figure_has_no_package(self, tree):
        """The log then says which flag helps."""
        assert [] == self.found(tree)

    def test_a_guest_is_modelled(self, tmp_path):
        """Without any flag."""
        assert ["package/shape/wall"] == self.found(HostTree(tmp_path / "g", cpuinfo=GUEST_CPUINFO))


class TestHost:
    def test_cpuinfo_says_what_the_machine_is(self):
        """The first processor stands for all."""
        expected = Processor(2, True, "AuthenticAMD", 25, 17, 1, "AMD EPYC")

        assert expected == parse_cpuinfo(GUEST_CPUINFO)
        assert not parse_cpuinfo(METAL_CPUINFO).guest

    def test_a_tree_without_proc_uses_the_containers_own(self, tmp_path):
        """It shows the host's counters there."""
        assert "/proc" == str(Host(tmp_path).proc)
