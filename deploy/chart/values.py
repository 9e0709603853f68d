"""Reads the annotated values.yaml: what each value is called, means, and may be.

A block of comments directly above a key describes it: `# --` begins the text, `# @schema` adds a
JSON schema in YAML's flow style, `# @required NAME` stands for a key that has no default.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

_KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):")
_COMMENT = re.compile(r"^( *)# ?(.*)$")
INDENT = 2


class AnnotationError(ValueError):
    """A value is not described, or its description cannot be read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of values.yaml.

    path: keys from the top. text: what it means. schema: what `@schema` says.
    default: its value; None as well where it is required.
    """

    path: tuple[str, ...]
    text: str
    schema: Mapping[str, Any]
    default: Any
    required: bool = False

    @property
    def is_group(self) -> bool:
        """Whether it only holds other values: a mapping that says nothing else of its content."""
        return isinstance(self.default, dict) and not self.schema


@dataclass(frozen=True, slots=True)
class _Comment:
    """A block of comments: its text, `@schema` and `@required`."""

    text: str
    schema: Mapping[str, Any]
    required: str


def entries(text: str) -> list[Entry]:
    """All described keys, in the order of the file.

    Raises AnnotationError: a key has no description.
    """
    defaults = yaml.safe_load(text)
    found: list[Entry] = []
    path: list[str] = []
    closed: tuple[str, ...] | None = None  # what lies below is part of a default, not a key
    for indent, key, block in _keys(text.splitlines()):
        depth = indent // INDENT
        del path[depth:]
        path.append(key)
        here = tuple(path)
        if closed and here[: len(closed)] == closed:
            continue
        comment = _comment(block, here)
        required = bool(comment.required)
        default = None if required else _at(defaults, here)
        entry = Entry(here, comment.text, comment.schema, default, required)
        found.append(entry)
        closed = None if entry.is_group else here
    return found


def _keys(lines: Sequence[str]) -> Iterator[tuple[int, str, list[str]]]:
    """(indentation, key, comments directly above) of each key, required ones included."""
    block: list[str] = []
    for line in lines:
        if comment := _COMMENT.match(line):
            block.append(comment[2])
            if comment[2].startswith("@required "):
                yield len(comment[1]), comment[2].split()[1], block
                block = []
            continue
        if key := _KEY.match(line):
            yield len(key[1]), key[2], block
        block = []


def _comment(block: Sequence[str], path: tuple[str, ...]) -> _Comment:
    schema: dict[str, Any] = {}
    required, text = "", []
    for line in block:
        if line.startswith("@schema "):
            schema |= yaml.safe_load(line.removeprefix("@schema "))
        elif line.startswith("@required "):
            required = line.removeprefix("@required ").strip()
        else:
            text.append(line.removeprefix("-- "))
    if not block or not block[0].startswith("-- "):
        raise AnnotationError(f"{'.'.join(path)} must have a comment that begins with `# --`")
    return _Comment(" ".join(text), schema, required)


def _at(defaults: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        defaults = defaults[key]
    return defaults
