"""The command line installs from a copy of the sources, by the command that the pages show."""

import subprocess
import sys
from pathlib import Path

import pytest

from documents import ROOT, commands


@pytest.mark.slow
def test_the_plugin_installs_into_an_environment_of_its_own(tmp_path: Path):
    """As pipx does: with what the extra `cli` names and nothing else, unpinned as for users."""
    (arguments,) = {tuple(c.words[1:]) for c in commands("package") if "[cli]" in c.text}
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)

    subprocess.run([tmp_path / "bin" / "pip", *arguments], cwd=ROOT, check=True)

    plugin = [tmp_path / "bin" / "kubectl-carbonaware", "--version"]
    said = subprocess.run(plugin, capture_output=True, text=True, check=True)
    assert said.stdout.strip()
