"""Calibrated curves: their shape, their files, and which one stands for a machine."""

import json
import logging

import pytest

from agent_builders import GUEST_CPUINFO, METAL_CPUINFO, HostTree
from carbonaware_agent.host import Host, Processor, parse_cpuinfo
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.curve_choice import calibrated_model, choose
from carbonaware_agent.sources.curve_file import Calibration, read_calibrations
from carbonaware_agent.sources.model import ModelledPackage
from carbonaware_agent.sources.selection import sensors
from carbonaware_agent.sources.sensor import Energy, Interval, Stream

POINTS = ((0.0, 50.0), (0.1, 90.0), (0.5, 150.0), (1.0, 250.0))
METAL = Processor(vcpus=64, guest=False, name="CPU X", sockets=2)
GUEST = Processor(vcpus=16, guest=True, name="CPU X")


def a_calibration(**changes) -> Calibration:
    """Of a machine with two sockets, 64 threads and 256 GiB."""
    fields = {
        "processor": "CPU X",
        "sockets": 2,
        "threads": 64,
        "memory_gib": 256,
        "measured_by": "rapl",
        "boundary": "chip",
        "error_ratio": 0.02,
        "curve": PowerCurve(POINTS),
    }
    return Calibration(**fields | changes)


def written(folder, calibration: Calibration, **changes) -> None:
    """Write a calibration's file, perhaps with other fields."""
    document = calibration.document() | changes
    (folder / calibration.file_name).write_text(json.dumps(document))


class TestPowerCurve:
    @pytest.mark.parametrize(
        ("load", "watts"), [(0, 50), (0.05, 70), (0.1, 90), (0.3, 120), (0.75, 200), (1, 250)]
    )
    def test_power_lies_on_straight_lines_between_the_points(self, load, watts):
        """And on the points themselves."""
        assert watts == pytest.approx(PowerCurve(POINTS).watts(load))

    def test_the_outer_lines_go_on_to_no_load_and_full_load(self):
        """A machine is never measured at exactly 0 or 1."""
        curve = PowerCurve([(0.02, 58.0), (0.1, 90.0), (0.98, 200.0)])

        assert (50.0, 202.5) == pytest.approx((curve.watts(-1), curve.watts(7)))

    def test_power_is_never_negative(self):
        """However steep the first line is."""
        assert 0 == PowerCurve([(0.1, 1.0), (0.2, 50.0)]).watts(0)


class TestFiles:
    def test_a_file_gives_back_the_calibration(self, tmp_path):
        """Nothing is lost on the way."""
        written(tmp_path, a_calibration())

        (found,) = read_calibrations(tmp_path)

        assert a_calibration().document() == found.document()

    def test_the_name_is_a_valid_key_of_a_config_map(self):
        """Letters, digits, dots and dashes."""
        calibration = a_calibration(processor="Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz")

        expected = "intel-r-xeon-r-cpu-e5-2620-v3-2-40ghz.2-sockets.256-gib.json"
        assert expected == calibration.file_name

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("processor", ""),
            ("sockets", 1.5),
            ("threads", 0),
            ("memoryGiB", None),
            ("boundary", "rack"),
            ("errorRatio", "2 %"),
            ("points", [[0, 5]]),
            ("points[1]", [[0, 5], [1]]),
            ("points[1] load", [[0, 5], [50, 9]]),
            ("points[0] watts", [[0, float("nan")], [1, 9]]),
            ("points[1] watts", [[0, 5], [1, 0]]),
            ("points[1]", [[0.5, 5], [0.1, 9]]),
        ],
    )
    def test_a_wrong_field_is_named(self, tmp_path, field, value):
        """With its file, so that whoever wrote it finds it."""
        written(tmp_path, a_calibration(), **{field.partition("[")[0]: value})

        (error,) = read_calibrations(tmp_path)

        assert str(error).startswith(f"{a_calibration().file_name}: {field} must be")

    def test_a_file_that_is_no_json_is_named(self, tmp_path):
        """It does not hide the others."""
        (tmp_path / "a.json").write_text("{")
        written(tmp_path, a_calibration())

        error, calibration = read_calibrations(tmp_path)

        assert str(error).startswith("a.json: ")
        assert 64 == calibration.threads


class TestChoice:
    @pytest.mark.parametrize(
        "changes",
        [{"processor": "CPU Y"}, {"sockets": 1}, {"threads": 32}],
        ids=["another processor", "another number of sockets", "without hyperthreads"],
    )
    def test_another_kind_of_machine_does_not_stand_for_this_one(self, changes):
        """Its power at a load is another."""
        assert choose([a_calibration(**changes)], METAL, 256) is None

    def test_the_nearest_memory_is_taken(self):
        """Of a chip, whose power hardly depends on it."""
        near, far = a_calibration(memory_gib=512, error_ratio=0.03), a_calibration(memory_gib=64)

        assert 0.11 == choose([far, near], METAL, 384).error_ratio

    @pytest.mark.parametrize(("memory_gib", "found"), [(256, True), (270, True), (384, False)])
    def test_at_the_wall_memory_must_be_the_same(self, memory_gib, found):
        """It draws power there; a tenth is as much as firmware may keep to itself."""
        model = choose([a_calibration(boundary="wall")], METAL, memory_gib)

        assert found == (model is not None)

    def test_the_error_allows_for_another_unit(self):
        """The curve's own error, and how much processors of one model differ."""
        assert 0.02 + 0.08 == pytest.approx(choose([a_calibration()], METAL, 256).error_ratio)

    def test_a_guest_has_its_share_of_the_host(self):
        """By vCPUs and threads; whatever sockets and memory the guest sees."""
        model = choose([a_calibration()], GUEST, 8)

        assert (12.5, 62.5) == (model.watts(0), model.watts(1))

    def test_a_guest_states_what_it_cannot_know(self):
        """How loaded its host is, which matters as far as the curve bends.

        On an idle host the guest causes power at 400 W per load, on a full one at 200 W.
        """
        straight = a_calibration(curve=PowerCurve([(0.0, 50.0), (1.0, 250.0)]))

        assert pytest.approx(0.02 + 0.08) == choose([straight], GUEST, 8).error_ratio
        assert pytest.approx(0.02 + 0.08 + 0.13, abs=0.01) == (
            choose([a_calibration()], GUEST, 8).error_ratio
        )

    def test_no_guest_is_larger_than_its_host(self):
        """Then the calibration is of another machine."""
        assert choose([a_calibration(threads=8)], GUEST, 8) is None


class TestAgent:
    def found(self, tree: HostTree, folder) -> list[Stream]:
        """The streams of the package's sensors."""
        found = sensors(Host(tree.root), 0, maximum_watts=300, curves=folder).in_force
        return [
            domain.stream for sensor in found for domain in found[sensor] if sensor.name != "nvml"
        ]

    @pytest.fixture
    def folder(self, tmp_path):
        """An empty folder."""
        folder = tmp_path / "curves"
        folder.mkdir()
        return folder

    def test_a_curve_goes_before_the_shape(self, tmp_path, folder):
        """It was measured on a machine of the same kind."""
        written(folder, a_calibration(processor="AMD EPYC", sockets=1, threads=2))

        assert [("package", "curve", "chip")] == self.found(HostTree(tmp_path), folder)

    def test_counters_go_before_a_curve(self, tmp_path, folder):
        """Nothing is modelled where it can be measured."""
        written(folder, a_calibration(processor="AMD EPYC", sockets=1, threads=2))
        tree = HostTree(tmp_path)
        tree.rapl(1)

        assert [("package", "rapl", "chip")] == self.found(tree, folder)

    def test_a_bad_file_is_told_and_the_next_source_is_taken(self, tmp_path, folder, caplog):
        """A typing error in a ConfigMap must not stop the measuring of a node."""
        written(folder, a_calibration(processor="AMD EPYC", sockets=1, threads=2), points=[])

        with caplog.at_level(logging.ERROR):
            assert [("package", "shape", "wall")] == self.found(HostTree(tmp_path), folder)
        assert "points must be" in str([record.__dict__ for record in caplog.records])

    def test_a_folder_that_is_not_there_is_told(self, tmp_path, caplog):
        """Its ConfigMap may be optional."""
        assert calibrated_model(Host(HostTree(tmp_path).root), tmp_path / "none") is None
        assert "cannot be read" in caplog.text

    def test_energy_follows_the_curve(self, tmp_path, folder):
        """Idle power is what the curve says at no load."""
        written(folder, a_calibration(processor="AMD EPYC", sockets=1, threads=2))
        host = Host(HostTree(tmp_path).root)
        package = ModelledPackage(calibrated_model(host, folder), CpuTime(host.proc), 2)

        # Half of two CPUs for ten seconds.
        result = package.energy(package.domains[0], 0, 10_000_000, Interval(10_000_000))

        assert Energy(1_500_000_000) == result
        assert (50, 250) == (package.domains[0].idle_watts, package.domains[0].maximum_watts)


class TestHost:
    def test_sockets_are_counted_by_their_numbers(self):
        """One where the kernel gives none, as on ARM."""
        four = "\n\n".join(f"processor\t: {n}\nphysical id\t: {n % 2}" for n in range(4))

        assert (2, 1) == (parse_cpuinfo(four).sockets, parse_cpuinfo(METAL_CPUINFO).sockets)

    def test_memory_is_rounded_to_gibibytes(self, tmp_path):
        """0 where the kernel does not say."""
        tree = HostTree(tmp_path, cpuinfo=GUEST_CPUINFO)
        unknown = Host(tree.root).memory_gib()
        tree.write("proc/meminfo", "MemTotal:       527889340 kB\nMemFree: 5 kB")

        assert (0, 503) == (unknown, Host(tree.root).memory_gib())
