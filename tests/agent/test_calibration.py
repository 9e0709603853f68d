"""Calibration: the loads, what is refused, the stated error, and the ConfigMap."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from agent_builders import GUEST_CPUINFO, METAL_CPUINFO, FakeClock, HostTree
from carbonaware_agent.calibration import config_map
from carbonaware_agent.calibration.bench import Bench
from carbonaware_agent.calibration.errors import CalibrationError
from carbonaware_agent.calibration.piecewise import Residual, leave_one_out
from carbonaware_agent.calibration.procedure import Outcome, Plan, carry_out
from carbonaware_agent.host import Host
from carbonaware_agent.sources.cpu_time import CpuTime
from carbonaware_agent.sources.curve import PowerCurve
from carbonaware_agent.sources.curve_choice import choose
from carbonaware_agent.sources.curve_file import Calibration, read_calibrations
from carbonaware_agent.sources.selection import sensors

RANGE_UJ = 400_000_000
FOUR = (0.0, 10.0, 50.0, 100.0)
TRUE_WATTS = PowerCurve([(0.0, 50.0), (0.1, 90.0), (0.3, 110.0), (0.5, 150.0), (1.0, 250.0)])


class LoadedMachine:
    """Two CPUs and a RAPL counter that follow the load; time passes when it sleeps.

    foreign: load that others make. reached: the share of the wanted load that comes about.
    """

    def __init__(self, folder: Path, *, foreign: float = 0.0, reached: float = 1.0) -> None:
        self.tree = HostTree(folder)
        self.clock = FakeClock()
        self.foreign, self.reached = foreign, reached
        self.asked: list[float] = []
        self.broken = False
        self._load = foreign
        self._busy_ticks = self._drawn_uj = 0.0
        self._count()
        self.bench = Bench(
            self.clock,
            CpuTime(folder / "proc"),
            sensors(Host(folder), 0, maximum_watts=None).in_force,
            2,
            load=self._loaded,
            sleep=self._pass,
        )

    @contextlib.contextmanager
    def _loaded(self, percent: float) -> Iterator[None]:
        self.asked.append(percent)
        self._load = min(1.0, self.foreign + self.reached * percent / 100)
        yield
        self._load = self.foreign

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._busy_ticks += 2 * seconds * 100 * self._load
        self._drawn_uj += TRUE_WATTS.watts(self._load) * seconds * 1e6
        self.tree.busy(round(self._busy_ticks))
        if self.broken:
            self.tree.write("sys/class/powercap/intel-rapl:0/energy_uj", "x" * 15)
        else:
            self._count()

    def _count(self) -> None:
        # So small a range that the counter wraps in each measurement.
        self.tree.rapl(round(self._drawn_uj) % RANGE_UJ, range_uj=RANGE_UJ)


def carried_out(machine: LoadedMachine, *, validation=(), lines=None) -> Outcome:
    """Calibrate a machine at the usual loads."""
    plan = Plan(FOUR, validation, settle_seconds=5, seconds=10)
    return carry_out(machine.bench, plan, (lines if lines is not None else []).append)


class TestProcedure:
    def test_the_curve_is_what_was_measured(self, tmp_path):
        """At each load from low to high, over wraps of the counter."""
        machine = LoadedMachine(tmp_path)

        outcome = carried_out(machine)

        expected = [(0.0, 50.0), (0.1, 90.0), (0.5, 150.0), (1.0, 250.0)]
        assert expected == [pytest.approx(point) for point in outcome.curve.points]
        assert list(FOUR) == machine.asked

    def test_foreign_load_counts_as_load(self, tmp_path):
        """The curve is of what the machine did, not of what was asked for."""
        outcome = carried_out(LoadedMachine(tmp_path, foreign=0.03))

        loads = [load for load, _ in outcome.curve.points]
        assert pytest.approx([0.03, 0.13, 0.53, 1.0]) == loads
        assert pytest.approx(50, abs=3) == outcome.curve.watts(0)

    @pytest.mark.parametrize(
        ("state", "reason"),
        [
            ({"foreign": 0.12}, "12.0% busy without our load, and may be 5% at most"),
            ({"reached": 0.5}, "a load of 50 % made the machine only 25.0% busy"),
        ],
    )
    def test_a_load_that_is_not_ours_is_refused(self, tmp_path, state, reason):
        """Idle power would be wrong, or a CPU limit would pass for full load."""
        with pytest.raises(CalibrationError, match=reason):
            carried_out(LoadedMachine(tmp_path, **state))

    def test_a_counter_that_fails_ends_it(self, tmp_path):
        """A gap is not energy 0."""
        machine = LoadedMachine(tmp_path)
        machine.broken = True

        with pytest.raises(CalibrationError, match="package-0 cannot be read"):
            carried_out(machine)

    def test_without_a_counter_it_refuses(self, tmp_path):
        """A model would only be measured by itself."""
        host = Host(HostTree(tmp_path, cpuinfo=GUEST_CPUINFO).root)
        found = sensors(host, 0, maximum_watts=100).in_force

        with pytest.raises(CalibrationError, match="source found: shape"):
            Bench(FakeClock(), None, found, 2, load=None, sleep=None)

    def test_a_wall_meter_serves_where_nothing_measures_the_packages(self, tmp_path):
        """The curve is then of the whole machine, and says so."""
        tree = HostTree(tmp_path)
        tree.write("sys/class/hwmon/hwmon0/name", "power_meter")
        tree.write("sys/class/hwmon/hwmon0/power1_average", "180000000")
        clock = FakeClock()
        found = sensors(Host(tmp_path), 0, maximum_watts=None).in_force
        load = lambda _: contextlib.nullcontext()  # noqa: E731
        bench = Bench(clock, CpuTime(tmp_path / "proc"), found, 2, load=load, sleep=clock.advance)

        measured = bench.measure(0, settle_seconds=1, seconds=5)

        assert ("hwmon", "wall") == (bench.source, bench.boundary)
        assert 180.0 == measured.watts

    def test_it_says_how_far_it_is(self, tmp_path):
        """A line for each load, then how good the curve is."""
        lines = []
        carried_out(LoadedMachine(tmp_path), lines=lines)

        assert "   50 %: load 50.0%, 150.0 W" in lines
        assert lines[-1].startswith("stated error of the curve: ")


class TestStatedError:
    def test_leave_one_out_predicts_each_interior_point_from_its_neighbours(self):
        """The ends are not predicted: nothing lies beyond them."""
        points = [(0.0, 50.0), (0.1, 90.0), (0.5, 150.0), (1.0, 250.0)]

        expected = [
            Residual(0.1, 90.0, pytest.approx(70.0)),
            Residual(0.5, 150.0, pytest.approx(90 + 160 * 4 / 9)),
        ]
        assert expected == leave_one_out(points)

    def test_without_other_loads_it_is_that_of_the_left_out_points(self, tmp_path):
        """An upper bound: 70 W for 90 W, and 161 W for 150 W."""
        outcome = carried_out(LoadedMachine(tmp_path))

        expected = (20 / 90 + (90 + 160 * 4 / 9 - 150) / 150) / 2
        assert pytest.approx(expected) == outcome.error_ratio

    def test_loads_that_the_curve_was_not_made_from_judge_it(self, tmp_path):
        """At 30 % the curve says 120 W where 110 W were measured; at 75 % it is exact."""
        outcome = carried_out(LoadedMachine(tmp_path), validation=(30.0, 75.0))

        assert pytest.approx(10 / 110 / 2) == outcome.error_ratio
        assert 4 == len(outcome.curve.points)

    def test_no_curve_is_better_than_two_percent(self, tmp_path):
        """However well it does at the loads tried."""
        assert 0.02 == carried_out(LoadedMachine(tmp_path), validation=(75.0,)).error_ratio


def a_calibration(name: str, outcome: Outcome) -> Calibration:
    """Of a machine like the one in METAL_CPUINFO."""
    return Calibration(name, 1, 2, 8, "rapl", "chip", outcome.error_ratio, outcome.curve)


class TestConfigMap:
    @pytest.mark.parametrize(("form", "parse"), [("yaml", yaml.safe_load), ("json", json.loads)])
    def test_an_agent_reads_what_is_printed(self, tmp_path, form, parse):
        """Its keys are the files of the folder that an agent mounts."""
        outcome = carried_out(LoadedMachine(tmp_path / "host"), validation=(75.0,))
        calibration = a_calibration("AMD EPYC", outcome)

        printed = parse(config_map.render("curves", calibration, outcome, form))
        for key, content in printed["data"].items():
            (tmp_path / key).write_text(content)

        assert ("ConfigMap", "curves") == (printed["kind"], printed["metadata"]["name"])
        (found,) = read_calibrations(tmp_path)
        assert outcome.curve.points == found.curve.points
        assert choose([found], Host(tmp_path / "host").processor(), 8)

    def test_kinds_of_machine_have_keys_of_their_own(self, tmp_path):
        """So that ConfigMaps of several can be merged."""
        outcome = carried_out(LoadedMachine(tmp_path))
        names = {a_calibration(name, outcome).file_name for name in ("AMD EPYC", "AMD EPYC 7763")}

        assert 2 == len(names)

    def test_the_measurements_stay_with_the_curve(self, tmp_path):
        """Somebody may want to judge it later."""
        outcome = carried_out(LoadedMachine(tmp_path), validation=(75.0,))
        printed = json.loads(
            config_map.render("curves", a_calibration("X", outcome), outcome, "json")
        )

        (document,) = map(json.loads, printed["data"].values())
        expected = {"percent": 75.0, "load": 0.75, "watts": 200.0, "seconds": 10.0}
        assert [expected] == document["validation"]
        assert [0, 10, 50, 100] == [each["percent"] for each in document["measurements"]]


class FollowingCounters:
    """A host tree whose counters follow the CPU time of a real process and its children.

    Power is 40 W and 80 W more for all CPUs.
    """

    def __init__(self, folder: Path, cpus: int) -> None:
        blocks = METAL_CPUINFO.split("\n\n")[:1] * cpus
        self.tree = HostTree(folder, cpuinfo="\n\n".join(blocks))
        self.tree.write("proc/meminfo", "MemTotal:       8388608 kB")
        self.tree.rapl(0)
        self._cpus = cpus
        self._stop = threading.Event()

    def follow(self, pid: int) -> None:
        """Until told to stop; CPU time of ended children is kept."""
        begin, used = time.monotonic(), {}
        while not self._stop.wait(0.01):
            with contextlib.suppress(OSError, IndexError):
                listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                used |= {child: _cpu_ns(child) for child in listed}
            busy = sum(used.values()) / 1e9
            drawn = 40 * (time.monotonic() - begin) + 80 * busy / self._cpus
            self.tree.busy(round(busy * 100))
            self.tree.rapl(round(drawn * 1e6))

    def stop(self) -> None:
        """Let the counters stand still."""
        self._stop.set()


def _cpu_ns(pid: str) -> int:
    """CPU time of a process with one thread, in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


@pytest.mark.slow
def test_it_ends_when_it_is_told_to(tmp_path):
    """At once; the first process of a container ignores signals it does not handle."""
    HostTree(tmp_path).rapl(0)
    command = (sys.executable, "-m", "carbonaware_agent", "calibrate", f"--host-root={tmp_path}")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr.readline().startswith("# reading rapl")
        running.terminate()
        told = running.stderr.read()

    assert (1, "stopped\n") == (running.returncode, told)


@pytest.mark.slow
def test_real_loads_are_measured_by_the_command(tmp_path):
    """End to end: its workers' CPU time is the load, the counters follow it, the line is found."""
    host = FollowingCounters(tmp_path, len(os.sched_getaffinity(0)))
    command = (
        *(sys.executable, "-m", "carbonaware_agent", "calibrate", f"--host-root={tmp_path}"),
        *("--steps=0,5,15", "--validate=10", "--seconds-per-step=2", "--settle-seconds=0.2"),
    )
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        follower = threading.Thread(target=host.follow, args=(running.pid,))
        follower.start()
        printed, progress = running.communicate(timeout=120)
        host.stop()
        follower.join()

    assert 0 == running.returncode, progress
    # As in the log of a pod, which holds both streams.
    (document,) = map(json.loads, yaml.safe_load(progress + printed)["data"].values())
    assert "stated error of the curve" in progress
    assert ("AMD EPYC", 8) == (document["processor"], document["memoryGiB"])
    for load, watts in document["points"]:
        assert pytest.approx(40 + 80 * load, abs=2) == watts
    assert [0, 5, 15] == [each["percent"] for each in document["measurements"]]
