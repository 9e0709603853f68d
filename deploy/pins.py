"""What each part of carbonaware needs, pinned with hashes: `python -m deploy.pins [FOLDER]`.

One requirements file for each extra of pyproject.toml and one for what builds the wheel, cut out of
constraints.txt. Images, SBOMs and `make try` are made of them, so that none brings a tool of the
developers.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "requirements"
PARTS = ("operator", "agent", "cli")
BUILD = "build"

_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_SYSTEMS = ("linux", "darwin")


def documents() -> dict[str, str]:
    """The text of each file, by its name."""
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return {f"{part}.txt": pinned(constraints, packages(part)) for part in (*PARTS, BUILD)}


def packages(part: str) -> set[str]:
    """The packages that a part needs, theirs included, on any supported Python.

    Raises PackageNotFoundError: one is not installed here, so its own needs are unknown.
    """
    found: set[str] = set()
    open_needs = [Requirement(line) for line in _lines(part)]
    while open_needs:
        need = open_needs.pop()
        name = canonicalize_name(need.name)
        if name not in found or need.extras:
            found.add(name)
            open_needs += [inner for inner in needs_of(need) if inner.name not in found]
    return found


def pinned(constraints: str, names: Iterable[str]) -> str:
    """The blocks of a hashed requirements file that pin these packages.

    Raises ValueError: one of them is not pinned.
    """
    blocks = re.split(r"\n(?=[A-Za-z0-9])", constraints.strip())
    by_name: dict[str, str] = {
        canonicalize_name(block.partition("==")[0]): block for block in blocks
    }
    if missing := set(names) - by_name.keys():
        raise ValueError(f"constraints.txt does not pin {', '.join(sorted(missing))}")
    return "".join(f"{by_name[name]}\n" for name in sorted(names))


def _lines(part: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if part == BUILD:
        lines: list[str] = project["build-system"]["requires"]
    else:
        lines = project["project"]["optional-dependencies"][part]
    return lines


def needs_of(need: Requirement) -> Iterator[Requirement]:
    """What a package needs itself, on any supported Python."""
    for line in metadata.requires(need.name) or []:
        inner = Requirement(line)
        if inner.marker is None or any(map(inner.marker.evaluate, _environments(need.extras))):
            yield inner


def _environments(extras: set[str]) -> Iterator[dict[str, str | set[str]]]:
    for python in _PYTHONS:
        for system in _SYSTEMS:
            for extra in (*extras, ""):
                yield {
                    "python_version": python,
                    "python_full_version": f"{python}.0",
                    "sys_platform": system,
                    "extra": extra,
                }


def main(folder: Path = FOLDER) -> None:
    """Write the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
