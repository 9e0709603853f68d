"""Only processes that the testbed started are ever ended."""

import os
import shutil
import signal

import pytest

from testbed import process

SH = shutil.which("sh")


@pytest.fixture
def started(tmp_path):
    """Starts shell scripts and ends what is left of them after the test."""
    running = []

    def start(script):
        running.append(process.start([SH, "-c", script], log=tmp_path / "log", marker=tmp_path))
        return running[-1]

    yield start
    for each in running:
        process.kill(each)


class TestStart:
    def test_gives_the_process_a_session_of_its_own(self, started):
        """A signal to the terminal that started it does not reach it."""
        each = started("sleep 100")

        assert os.getsid(each.pid) == each.pid

    def test_appends_output_to_the_log(self, started, tmp_path):
        """Standard error too."""
        each = started("echo out; echo err >&2")
        os.waitpid(each.pid, 0)

        assert (tmp_path / "log").read_text() == "out\nerr\n"


class TestStop:
    def test_ends_a_process(self, started):
        """It is gone when stop returns."""
        each = started("sleep 100")

        process.stop(each)

        assert not process.is_alive(each)

    def test_ends_a_process_that_ignores_the_polite_signal(self, started):
        """After the grace it is killed."""
        each = started("trap '' TERM; while :; do sleep 0.01; done")

        process.stop(each, grace_seconds=0.1)

        assert not process.is_alive(each)

    def test_never_signals_a_recycled_pid(self, started):
        """The same pid with another start time is somebody else's process."""
        each = started("sleep 100")
        recycled = process.ProcessId(each.pid, each.start_ticks - 1)

        process.stop(recycled)
        process.kill(recycled)

        assert process.is_alive(each)

    def test_is_idempotent(self, started):
        """Stopping what has ended is no error."""
        each = started("exit 0")

        process.stop(each)
        process.stop(each)

        assert process.identify(each.pid) is None


class TestMarkedWith:
    def test_finds_what_was_started_for_a_cluster_and_its_children(self, started, tmp_path):
        """A child keeps the mark when its parent dies."""
        parent = started("sleep 100 & wait")
        while len(process.marked_with(tmp_path)) < 2:
            pass
        [child] = set(process.marked_with(tmp_path)) - {parent}
        os.kill(parent.pid, signal.SIGKILL)
        os.waitpid(parent.pid, 0)

        assert process.marked_with(tmp_path) == [child]
        process.kill(child)

    def test_finds_nothing_of_another_cluster(self, started, tmp_path):
        """A folder whose name begins the same is another cluster."""
        started("sleep 100")

        assert process.marked_with(tmp_path.with_name(tmp_path.name[:-1])) == []


class TestIdentify:
    def test_takes_a_zombie_for_dead(self, started):
        """A process that only waits to be reaped runs no more."""
        each = started("exit 0")
        os.waitid(os.P_PID, each.pid, os.WEXITED | os.WNOWAIT)

        assert process.identify(each.pid) is None

    def test_reads_names_with_blanks_and_brackets(self, tmp_path, started):
        """The kernel puts the program's name, whatever it is, before the fields."""
        odd = tmp_path / "a ) b"
        shutil.copy(shutil.which("sleep"), odd)
        each = process.start([str(odd), "100"], log=tmp_path / "log", marker=tmp_path)

        assert process.is_alive(each)
        process.kill(each)
