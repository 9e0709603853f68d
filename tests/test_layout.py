"""The layout: source roots that shadow nothing, packages that say what they are for."""

import ast
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE_ROOTS = [ROOT / "operator", ROOT / "agent"]
PACKAGES = sorted(path for root in SOURCE_ROOTS for path in root.rglob("__init__.py"))


@pytest.mark.parametrize("root", SOURCE_ROOTS, ids=lambda path: path.name)
def test_source_roots_are_no_packages(root):
    """A package `operator` at the root would be taken for Python's own module."""
    assert not (root / "__init__.py").exists()


def test_operator_is_pythons_own():
    """Seen from the root of the repository, with nothing imported before."""
    code = "import operator; print(operator.__file__)"

    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert not Path(done.stdout.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize("init", PACKAGES, ids=lambda path: path.parent.name)
def test_packages_say_what_lives_there(init):
    """The docstring of a package says what belongs into it."""
    assert ast.get_docstring(ast.parse(init.read_text()))


def test_tests_are_no_packages():
    """With importlib mode two test files of one name are no trouble; packages would be."""
    assert [] == list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize(
    "script", ["carbonaware-operator", "carbonaware-agent", "kubectl-carbonaware"]
)
def test_console_scripts_are_installed(script):
    """Each program has its command; kubectl finds its plugin by the name."""
    (entry,) = entry_points(group="console_scripts", name=script)

    assert (Path(sys.executable).parent / script).exists()
    assert callable(entry.load())
