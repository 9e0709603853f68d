"""The simulated host's files follow the pods that the API server lists."""

import os

import pytest
import requests

from testbed.simulated_host import SimulatedHost, pods_of, pods_on
from testbed.simulated_machine import Machine, RunningPod

POD_STAT = "sys/fs/cgroup/kubepods/burstable/poda/cpu.stat"
PACKAGE = "sys/class/powercap/intel-rapl:0/energy_uj"


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        """Seconds, as the test set them."""
        return self.now


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    return Clock()


@pytest.fixture
def pods():
    """The pods that run; a test changes the list."""
    return [RunningPod("a", "Burstable", 1000)]


@pytest.fixture
def host(tmp_path, clock, pods):
    """A host of 2 cores without load of its own, whose files lie below tmp_path."""
    machine = Machine(cores=2, system_millis=0)
    return SimulatedHost(tmp_path, lambda: list(pods), machine=machine, clock=clock)


class TestSimulatedHost:
    def test_a_pods_usage_advances_with_the_clock(self, host, clock, tmp_path):
        """A pod seen at one tick is charged for the time until the next."""
        host.tick()
        clock.now = 3.0
        host.tick()

        usage = (tmp_path / POD_STAT).read_text()

        assert usage == "usage_usec 3000000\nuser_usec 3000000\nsystem_usec 0\n"

    def test_a_pods_group_goes_when_the_pod_ends(self, host, clock, pods, tmp_path):
        """The group is removed, its slice keeps the total."""
        host.tick()
        clock.now = 3.0
        pods.clear()
        host.tick()

        assert not (tmp_path / POD_STAT).parent.exists()
        kept = (tmp_path / "sys/fs/cgroup/kubepods/burstable/cpu.stat").read_text()
        assert kept.startswith("usage_usec 3000000\n")

    def test_an_open_file_shows_later_values(self, host, clock, tmp_path):
        """A reader that keeps its descriptor, as the agent does, sees the counter move."""
        opened = os.open(tmp_path / PACKAGE, os.O_RDONLY)
        clock.now = 1.0
        host.tick()

        assert int(os.pread(opened, 64, 0)) == 40_000_000
        os.close(opened)

    def test_a_wrapped_counter_is_still_a_number(self, host, clock, tmp_path):
        """The shorter value leaves nothing of the longer one behind."""
        clock.now = 6553.0
        host.tick()
        clock.now = 6554.0
        host.tick()

        assert int((tmp_path / PACKAGE).read_text()) == 71_671_150

    def test_proc_stat_counts_every_core(self, host, clock, tmp_path):
        """Busy and idle ticks of two cores add up to two seconds a second."""
        host.tick()
        clock.now = 1.0
        host.tick()

        total, *cores = (tmp_path / "proc/stat").read_text().splitlines()

        assert total == "cpu  100 0 0 100 0 0 0 0 0 0"
        assert cores == ["cpu0 50 0 0 50 0 0 0 0 0 0", "cpu1 50 0 0 50 0 0 0 0 0 0"]

    def test_refuses_a_folder_that_holds_something(self, tmp_path):
        """It never writes over a real machine's files."""
        (tmp_path / "proc").mkdir()

        with pytest.raises(FileExistsError):
            SimulatedHost(tmp_path, list)


class TestPods:
    def test_only_running_pods_have_a_group(self):
        """Pending pods have none yet, ended ones no more."""
        listed = {
            "items": [
                {
                    "metadata": {
                        "uid": phase,
                        "annotations": {"testbed.carbonaware.io/cpu-millis": "250"},
                    },
                    "status": {"phase": phase, "qosClass": "Guaranteed"},
                }
                for phase in ("Pending", "Running", "Succeeded")
            ]
        }

        assert pods_of(listed) == [RunningPod("Running", "Guaranteed", 250)]

    def test_pods_run_on_while_the_server_is_away(self):
        """An outage of the API server ends no pod."""
        running = {"metadata": {"uid": "a"}, "status": {"phase": "Running"}}
        answers = iter([{"items": [running]}, requests.ConnectionError()])

        class Flaky:
            def get(self, path, **query):
                answer = next(answers)
                if isinstance(answer, Exception):
                    raise answer
                return answer

        ask = pods_on(Flaky(), "node")

        assert ask() == ask() == [RunningPod("a", "BestEffort", 0)]
