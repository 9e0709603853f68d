"""SECURITY.md names a test for each defence: every one of them exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)+)`", PAGE)))


def functions(path: Path) -> set[str]:
    """`Class::function` and `function` of every test of a file."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                names |= {
                    f"{name}::{inner.name}"
                    for inner in body
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
                }
    return names


@pytest.mark.parametrize("test", NAMED)
def test_a_test_that_is_named_exists(test: str):
    """Whoever renames or removes it must say what shows the defence instead."""
    file, _, name = test.partition("::")

    assert name in functions(ROOT / file)


def test_each_threat_has_a_test():
    """A defence that nothing shows is a wish."""
    table = PAGE.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]

    assert rows
    assert [] == [row for row in rows if not re.search(r"\| `tests/[^|]+ \|$", row)]
