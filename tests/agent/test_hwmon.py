"""hwmon: which files are a domain, which contain others, counters and power."""

from pathlib import Path

import pytest

from agent_builders import HostTree
from carbonaware_agent.sources.hwmon import Hwmon
from carbonaware_agent.sources.integration import POWER_ERROR_RATIO
from carbonaware_agent.sources.rapl import Rapl
from carbonaware_agent.sources.sensor import PLATFORM, Energy, Interval, Rebaseline

SECOND = Interval(1_000_000)


@pytest.fixture
def tree(tmp_path):
    return HostTree(tmp_path)


def opened(tree: HostTree) -> Hwmon:
    return Hwmon(tree.root / "sys/class/hwmon")


def streams(tree: HostTree) -> list[str]:
    return [f"{domain.name} {'/'.join(domain.stream)}" for domain in opened(tree).domains]


class TestCounters:
    def test_sockets_of_amd_energy_are_packages(self, tree):
        """Its cores lie inside them."""
        tree.hwmon(
            0,
            "amd_energy",
            energy1_label="Ecore000",
            energy1_input=5,
            energy2_label="Esocket0",
            energy2_input=70,
            energy3_label="Esocket1",
            energy3_input=80,
        )

        assert ["package-0 package/hwmon/chip", "package-1 package/hwmon/chip"] == streams(tree)
        assert {"package-0": 70, "package-1": 80} == opened(tree).read()

    @pytest.mark.parametrize(
        ("driver", "inputs", "read"),
        [
            pytest.param("i915", {"energy1_input": 7}, 7, id="the card"),
            pytest.param("xe", {"energy1_input": 7, "energy2_input": 5}, 7, id="card and package"),
            pytest.param("xe", {"energy2_input": 5}, 5, id="a chip that counts only its package"),
        ],
    )
    def test_an_intel_gpu_is_named_by_its_address(self, tree, driver, inputs, read):
        """A card's counter contains its package's."""
        folder = tree.hwmon(3, driver, **inputs)
        device = tree.root / "sys/devices/pci0000:00/0000:03:00.0"
        device.mkdir(parents=True)
        (folder / "device").symlink_to("../../../devices/pci0000:00/0000:03:00.0")

        assert {"gpu/0000:03:00.0": read} == opened(tree).read()

    def test_tiles_of_a_gpu_and_other_chips_are_not_counted(self, tree):
        """A tile lies inside its card; what an unknown chip measures is not known."""
        tree.hwmon(0, "i915_gt0", energy1_input=5)
        tree.hwmon(1, "ina226", power1_input=5, energy1_input=5)

        assert [] == streams(tree)

    def test_a_fall_is_a_driver_loaded_anew(self, tree):
        """64 bits of microjoules do not wrap in the life of a machine."""
        tree.hwmon(0, "amd_energy", energy1_label="Esocket0", energy1_input=5)
        hwmon = opened(tree)

        energies = [hwmon.energy(hwmon.domains[0], *pair, SECOND) for pair in ((5, 25), (25, 5))]
        assert [Energy(20), Rebaseline("reset")] == energies


class TestPower:
    def test_an_acpi_meter_sees_the_whole_node(self, tree):
        """At the wall; the mean over an interval goes before the instant."""
        tree.hwmon(0, "power_meter", power1_input=90_000_000, power1_average=100_000_000)

        assert ["platform platform/hwmon/wall"] == streams(tree)
        assert {"platform": 100_000_000} == opened(tree).read()

    def test_older_kernels_put_the_files_beside_the_device(self, tree):
        """The driver's name as well."""
        for name, content in (("name", "power_meter"), ("power1_average", "100000000")):
            tree.write(f"sys/class/hwmon/hwmon0/device/{name}", content)

        assert {"platform": 100_000_000} == opened(tree).read()

    def test_rails_of_grace_are_its_package(self, tree):
        """The figures of the superchip and the module contain the rails, memory and GPU."""
        for number, rail in enumerate(("Module", "Grace", "CPU", "SysIO")):
            tree.hwmon(
                number,
                "power_meter",
                power1_average=10_000_000 * (4 - number),
                power1_oem_info=f"{rail} Power Socket 1",
            )

        assert {"package-1": 20_000_000, "sysio-1": 10_000_000} == opened(tree).read()
        assert {"package/hwmon/chip"} == {
            "/".join(domain.stream) for domain in opened(tree).domains
        }

    @pytest.mark.parametrize(
        "second",
        [
            pytest.param({"power1_average": 1, "power1_is_battery": 1}, id="a battery"),
            pytest.param({"power1_average": 0}, id="a meter that shows nothing"),
            pytest.param({"power1_average": 4294967295000}, id="a meter that cannot tell"),
            pytest.param({}, id="a meter without a figure"),
        ],
    )
    def test_what_is_no_measurement_is_no_meter(self, tree, second):
        """A running node draws more than 0, and ACPI's unknown is 2^32 - 1 mW."""
        tree.hwmon(0, "power_meter", **second)

        assert [] == streams(tree)

    @pytest.mark.parametrize(("second", "found"), [(50_000_000, []), (0, [PLATFORM])])
    def test_of_two_meters_none_is_the_nodes(self, tree, second, found):
        """Nobody says whether one contains the other; one that shows nothing is none."""
        tree.hwmon(0, "power_meter", power1_average=100_000_000)
        tree.hwmon(1, "power_meter", power1_average=second)

        assert found == [domain.name for domain in opened(tree).domains]

    @pytest.mark.parametrize(
        ("accuracy", "error"), [("", 0.0), ("100.0%", 0.0), ("97.500%", 0.025), ("97.50%", 0.0295)]
    )
    def test_a_meters_own_error_is_added_to_that_of_sampling(self, tree, accuracy, error):
        """The driver prints thousandths without leading zeros: 97.50 is 97.050."""
        tree.hwmon(0, "power_meter", power1_average=100_000_000, power1_accuracy=accuracy)

        (domain,) = opened(tree).domains
        assert pytest.approx(POWER_ERROR_RATIO + error) == domain.error_ratio

    def test_power_is_the_mean_of_both_ends_over_a_short_interval(self, tree):
        """Over a gap it was not measured."""
        tree.hwmon(0, "power_meter", power1_average=100_000_000)
        hwmon = opened(tree)
        (domain,) = hwmon.domains

        tick = hwmon.energy(domain, 100_000_000, 200_000_000, Interval(2_000_000))
        gap = hwmon.energy(domain, 100_000_000, 200_000_000, Interval(60_000_000))
        assert (Energy(300_000_000), Rebaseline("unmeasured")) == (tick, gap)


def test_a_failed_read_is_left_out(tree):
    """The others are read on; a meter that shows 0 for a moment did not measure."""
    tree.hwmon(0, "power_meter", power1_average=100_000_000)
    tree.hwmon(1, "amd_energy", energy1_label="Esocket0", energy1_input=5)
    hwmon = opened(tree)

    tree.hwmon(0, "power_meter", power1_average=0)
    assert {"package-0": 5} == hwmon.read()


def test_nothing_stays_open(tree):
    """A sensor that is replaced gives its descriptors back."""
    tree.hwmon(0, "amd_energy", energy1_label="Esocket0", energy1_input=5)
    tree.rapl(1)
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    opened(tree).close()
    Rapl(tree.root / "sys/class/powercap").close()

    assert before == len(list(descriptors.iterdir()))
