"""Where the testbed keeps what it builds and what it runs."""

import os
from pathlib import Path

TOOLS = Path(__file__).parent / "tools"


def cache_folder() -> Path:
    """The folder that survives between clusters: binaries, wheels, images."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "carbonaware" / "testbed"


def clusters_folder() -> Path:
    """The folder that holds one folder per cluster, named after it."""
    return cache_folder() / "run"
