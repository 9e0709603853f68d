"""Programs are started, watched while something is awaited, and ended, whatever crashed."""

import os
import shutil

import pytest

from programs import eventually
from testbed import process
from testbed.errors import ComponentFailedError
from testbed.launch import halt, launch, wait_until
from testbed.state import ClusterState, Component, load, save
from testbed.teardown import take_down

SH = shutil.which("sh")


@pytest.fixture
def folder(tmp_path):
    """A cluster's folder; whatever was started for it is ended after the test."""
    made = tmp_path / "mine"
    made.mkdir()
    yield made
    process.stop_all(process.marked_with(made), grace_seconds=0)


@pytest.fixture
def state(folder):
    """A cluster of no components yet."""
    made = ClusterState("mine", 0, process.boot_id())
    save(made, folder)
    return made


def started(state, folder, script):
    """A component that runs a shell script."""
    component = Component("part", [SH, "-c", script])
    state.components.append(component)
    launch(component, state, folder)
    return component


class TestLaunch:
    def test_writes_the_process_down(self, state, folder):
        """A later command finds it in the state file."""
        component = started(state, folder, "sleep 100")

        assert load(folder).component("part").process == component.process

    def test_says_which_program_cannot_be_started(self, state, folder):
        """The caller gets an error of the testbed, not of the system."""
        with pytest.raises(ComponentFailedError, match="/absent"):
            launch(Component("part", ["/absent"]), state, folder)

    def test_halt_writes_the_end_down(self, state, folder):
        """What was stopped on purpose is not taken for crashed."""
        component = started(state, folder, "sleep 100")

        halt(component, state, folder)

        assert load(folder).component("part").process is None


class TestWaitUntil:
    def test_shows_the_log_of_a_component_that_dies(self, state, folder):
        """The message carries the reason; nobody has to look for a file."""
        started(state, folder, "echo port is taken; exit 1")

        with pytest.raises(ComponentFailedError, match=r"(?s)part died.*port is taken"):
            wait_until(lambda: False, "serve", state, folder, seconds=60)

    def test_shows_the_log_of_the_last_component_when_time_is_over(self, state, folder):
        """What was started last is what is awaited."""
        started(state, folder, "sleep 100")

        with pytest.raises(ComponentFailedError, match=r"did not serve within 0 s; .*part"):
            wait_until(lambda: False, "serve", state, folder, seconds=0)


class TestTakeDown:
    def test_ends_what_is_recorded_and_removes_the_folder(self, state, folder):
        """Nothing is left of the cluster."""
        component = started(state, folder, "sleep 100")

        take_down(folder)

        assert not process.is_alive(component.process)
        assert not folder.exists()

    def test_ends_what_was_started_but_not_yet_recorded(self, state, folder):
        """The command was killed between starting a program and writing it down."""
        # Not by a shell: while that becomes another program, its environment reads as empty.
        command = [str(shutil.which("sleep")), "100"]
        orphan = process.start(command, log=folder / "log", marker=folder)
        eventually(lambda: process.marked_with(folder), "its environment can be read")

        take_down(folder)

        assert not process.is_alive(orphan)

    def test_leaves_processes_alone_that_another_boot_recorded(self, state, folder):
        """After a reboot a pid and a start time may, by chance, name somebody else's process."""
        state.boot = "another"
        state.components.append(Component("part", [SH], process=process.identify(os.getpid())))
        save(state, folder)

        take_down(folder)

        assert not folder.exists()
