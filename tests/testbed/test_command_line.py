"""What the testbed's command line says to its user."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from testbed.__main__ import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to run commands in, with no cluster on the machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestDown:
    def test_names_the_counters_that_an_agent_left(self, folder):
        """They are the user's to remove: the testbed did not start that agent."""
        (folder / ".demo" / "agent").mkdir(parents=True)

        said = CliRunner().invoke(main, ["down"])

        assert f"rm -r {Path('.demo') / 'agent'}" in said.output
        assert (folder / ".demo" / "agent").exists()

    def test_says_nothing_of_them_where_there_are_none(self, folder):
        """Most users never start an agent by hand."""
        assert CliRunner().invoke(main, ["down"]).output == "there is no cluster named testbed\n"
