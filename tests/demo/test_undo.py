"""Nothing is left behind, however the demo ends."""

import os
import subprocess
import sys

import pytest

from testbed.demo.undo import Undo

PROGRAM = """
import os, signal
from testbed.demo.undo import interrupt_once
interrupt_once()
try:
    os.kill(os.getpid(), signal.{first})
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    print("went on")
"""


class TestUndo:
    def test_runs_the_newest_step_first(self):
        """What was built last stands on what was built before."""
        done, undo = [], Undo()
        for step in ("cluster", "programs"):
            undo.note(step, lambda step=step: done.append(step))

        assert undo.run(print)
        assert ["programs", "cluster"] == done

    def test_reports_a_step_that_fails_and_goes_on(self):
        """One leftover must not make more."""
        done, said, undo = [], [], Undo()
        undo.note("end the cluster", lambda: done.append("cluster"))
        undo.note("divide", lambda: 1 / 0)

        assert not undo.run(said.append)
        assert ["cluster"] == done
        assert ["cannot divide: division by zero"] == said

    def test_goes_on_with_the_step_that_was_interrupted(self):
        """Steps are idempotent, so repeating one is right and skipping one is not."""
        done, undo = [], Undo()
        interruptions = [KeyboardInterrupt]

        def interrupted():
            if interruptions:
                raise interruptions.pop()
            done.append("second")

        undo.note("first", lambda: done.append("first"))
        undo.note("second", interrupted)
        with pytest.raises(KeyboardInterrupt):
            undo.run(print)

        undo.run(print)

        assert ["second", "first"] == done


class TestInterruptOnce:
    @pytest.mark.parametrize("first", ["SIGINT", "SIGTERM", "SIGHUP"])
    def test_only_the_first_signal_interrupts(self, first):
        """An impatient second Ctrl-C must not cut the tidying short."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(first=first)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

        assert ("went on\n", 0) == (done.stdout, done.returncode), done.stderr
