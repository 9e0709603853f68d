"""The steady load: its duty cycle, and the processes that make it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent_builders import eventually
from carbonaware_agent.calibration.load import PERIOD_SECONDS, keep_to_share

COMMAND = (sys.executable, "-m", "carbonaware_agent", "load")


class PlayedTime:
    """Wall and CPU time of a worker that gets the CPU for a part of the time it wants it."""

    def __init__(self, granted: float = 1.0) -> None:
        self.wall = self.cpu = 0.0
        self.granted = granted
        self.longest_burst = self._burst = 0.0

    def burn(self) -> None:
        """A piece of work of 0.1 ms."""
        self.cpu += 0.0001
        self.wall += 0.0001 / self.granted
        self._burst += 0.0001
        self.longest_burst = max(self.longest_burst, self._burst)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += seconds
        self._burst = 0.0

    def keep(self, share: float, seconds: float = 5) -> float:
        """Run the duty cycle; returns the share of the CPU that was used."""
        keep_to_share(
            share,
            used=lambda: self.cpu,
            elapsed=lambda: self.wall,
            burn=self.burn,
            sleep=self.sleep,
            wanted=lambda: self.wall < seconds,
        )
        return self.cpu / self.wall


class TestDutyCycle:
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
    def test_the_share_is_exact_and_even(self, share):
        """In every period, not only in the long run."""
        worker = PlayedTime()

        assert share == pytest.approx(worker.keep(share), abs=0.001)
        assert worker.longest_burst <= share * PERIOD_SECONDS + 0.00021

    def test_a_full_load_never_rests(self):
        """All of the CPU."""
        assert pytest.approx(1) == PlayedTime().keep(1.0)

    def test_time_that_others_took_is_made_up_for(self):
        """A CPU that is to be had for 70 % of the time still carries a load of 50 %."""
        assert pytest.approx(0.5, abs=0.005) == PlayedTime(granted=0.7).keep(0.5)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
class TestProcesses:
    @pytest.mark.parametrize("percent", [5, 10])
    def test_the_load_is_what_was_asked_for(self, percent):
        """By the CPU time that the kernel counted for its workers."""
        command = (*COMMAND, f"--percent={percent}", "--cores=1", "--seconds=2")
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

        assert pytest.approx(percent, abs=2) == json.loads(run.stdout)["percent"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
    def test_nothing_is_left_behind(self, number):
        """A worker ends with its parent, however that ends."""
        with subprocess.Popen((*COMMAND, "--percent=5"), stdout=subprocess.PIPE) as running:
            count = len(os.sched_getaffinity(0))
            assert eventually(lambda: len(children(running.pid)) == count, seconds=20)
            workers = children(running.pid)
            running.send_signal(number)
            running.wait(timeout=20)

            assert eventually(lambda: all(gone(worker) for worker in workers), seconds=20)

    def test_a_worker_that_begins_after_its_parents_end_ends_too(self):
        """It must not take whoever adopted it for its parent."""
        script = (
            "import os\n"
            "from carbonaware_agent.calibration.load import _work\n"
            f"_work({min(os.sched_getaffinity(0))}, 0.01, 0.0, parent=os.getppid() + 1)"
        )

        assert (
            0 == subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode
        )

    def test_each_worker_keeps_to_a_cpu_of_its_own(self):
        """Else two may share one while another sleeps."""
        cpus = sorted(os.sched_getaffinity(0))
        with subprocess.Popen((*COMMAND, "--percent=0"), stdout=subprocess.PIPE) as running:
            assert eventually(lambda: len(children(running.pid)) == len(cpus), seconds=20)
            workers = children(running.pid)
            pinned = [[cpu] for cpu in cpus]

            found = eventually(
                lambda: pinned == [sorted(os.sched_getaffinity(pid)) for pid in workers]
            )
            running.terminate()

        assert found


@pytest.mark.parametrize("flag", ["--percent=101", "--percent=nan", "--cores=0"])
def test_a_wrong_value_is_told(flag):
    """With the flag's name, and before anything is loaded."""
    run = subprocess.run((*COMMAND, flag), capture_output=True, text=True, check=False, timeout=60)

    assert 2 == run.returncode
    assert flag.partition("=")[0] in run.stderr
