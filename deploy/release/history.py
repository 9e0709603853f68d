"""The release before this one, as the repository's history has it.

It is the last tag `v*` that is not this commit; before the first tag, the commit that brought the
chart, so that there is something to upgrade from and to be compatible with.
"""

import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy import pins

CHART = "helm/carbonaware"


class NoHistoryError(Exception):
    """The history does not reach back to the previous release; the message says what to do."""


@cache
def previous() -> str:
    """The commit of the release before this one. Raises NoHistoryError."""
    if _git("rev-parse", "--is-shallow-repository").strip() == "true":
        raise NoHistoryError("the clone is shallow: fetch it whole, with `git fetch --unshallow`")
    if tag := _last_tag():
        return tag
    added = _git("log", "--format=%H", "--diff-filter=A", "--", f"{CHART}/Chart.yaml").split()
    if not added:
        raise NoHistoryError("no commit of this history has the chart")
    return added[-1]


def documents(folder: str) -> dict[str, dict[str, Any]]:
    """The CustomResourceDefinitions in the files of a folder then, by name. NoHistoryError."""
    found = {}
    with files(folder) as unpacked:
        for file in sorted(unpacked.glob("*.yaml")):
            for body in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                if body and body["kind"] == "CustomResourceDefinition":
                    found[body["metadata"]["name"]] = body
    return found


@contextmanager
def files(folder: str) -> Iterator[Path]:
    """A folder as it was then, as long as the block lasts. Raises NoHistoryError."""
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / "packed.tar"
        _git("archive", f"--output={packed}", previous(), folder)
        with tarfile.open(packed) as archive:
            archive.extractall(scratch, filter="data")
        yield Path(scratch) / folder


def _last_tag() -> str | None:
    here = set(_git("tag", "--points-at", "HEAD").split())
    tags = _git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").split()
    return next((tag for tag in tags if tag not in here), None)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(pins.ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise NoHistoryError("git is not installed") from missing
    if done.returncode:
        raise NoHistoryError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
