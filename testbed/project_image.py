"""The images of operator and agent, built by the Dockerfile itself, without a Docker engine.

Debian's buildah runs it. No registry is asked for the base: mmdebstrap makes one under the base's
name. The store in the cache folder keeps each step, so a change of our own code takes seconds.
"""

import ast
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from testbed.compiler import Report
from testbed.errors import BuildFailedError, PrerequisiteMissingError
from testbed.images import Image
from testbed.locations import cache_folder
from testbed.lock import exclusive

Target = Literal["operator", "agent"]

REPOSITORY = "docker.io/local/carbonaware"
TAG = "dev"

_ROOT = Path(__file__).parent.parent
_BASE = "docker.io/library/python:3.11-slim-bookworm"
_BOOTSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--variant=essential",
    "--include=ca-certificates,python3,python3-pip,python3-venv",
    *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")),
    "bookworm",  # its python3 is the 3.11 that we support
)
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# What decides where pip fetches from; the rest of a machine's configuration is its own matter.
_PIP_SETTINGS = ("extra-index-url", "index-url", "trusted-host")


def name_of(target: Target) -> str:
    """The name under which pods ask for an image of ours."""
    return f"{REPOSITORY}/{target}:{TAG}"


def project_image(target: Target, report: Report = print) -> Image:
    """Build the image of the working tree.

    Needs root, mmdebstrap and buildah; minutes the first time, then seconds.
    Raises PrerequisiteMissingError: mmdebstrap or buildah is not installed.
    Raises BuildFailedError: Debian, a dependency or our wheel cannot be had.
    """
    folder = cache_folder() / "image"
    store = folder / hashlib.sha256(repr(_BOOTSTRAP).encode()).hexdigest()[:16]
    with exclusive(folder / "lock"):
        if not _buildah(store, "images", "--quiet", "--filter", f"reference={_BASE}"):
            report("making the images' base (only the first time)")
            _make_base(store)
        with _mounts() as mounts:
            fixed = ["--layers", "--pull=never", "--network=host", "--quiet", f"--target={target}"]
            identity = _buildah(store, "build", *fixed, *mounts, f"--tag={name_of(target)}", ".")
        return Image(name_of(target), _archived(store, target, identity, report))


def pip_settings(listed: str) -> str:
    """A pip.conf with the package index that `pip config list` tells of."""
    lines = [line.partition("=") for line in listed.splitlines()]
    found = {name.rpartition(".")[2]: ast.literal_eval(value) for name, _, value in lines}
    index = [f"{name} = {found[name]}" for name in _PIP_SETTINGS if name in found]
    return "\n".join(["[global]", f"cert = {_CERTIFICATES}", *index, ""])


def _make_base(store: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = str(Path(scratch) / "root.tar")
        _run([*_BOOTSTRAP, root], {})
        container = _buildah(store, "from", "scratch")
        _buildah(store, "add", container, root, "/")
        _buildah(store, "config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", container)
        _buildah(store, "commit", "--rm", container, _BASE)


@contextmanager
def _mounts() -> Iterator[list[str]]:
    """Where a build fetches packages, and whom it trusts: as this machine does."""
    listed = _run([sys.executable, "-m", "pip", "config", "list"], {})
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings:
        settings.write(pip_settings(listed))
        settings.flush()
        mounts = [f"--volume={settings.name}:/etc/pip.conf:ro"]
        certificates = os.environ.get("SSL_CERT_FILE", _CERTIFICATES)
        if Path(certificates).exists():
            mounts.append(f"--volume={certificates}:{_CERTIFICATES}:ro")
        yield mounts


def _archived(store: Path, target: Target, identity: str, report: Report) -> Path:
    kept = store / f"{target}-{identity[:16]}.tar"
    if not kept.exists():
        report(f"packing the {target}'s image (only when it changes)")
        for former in store.glob(f"{target}-*.tar"):
            former.unlink()
        unfinished = kept.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        _buildah(store, "push", identity, f"docker-archive:{unfinished}:{name_of(target)}")
        unfinished.rename(kept)
    return kept


def _buildah(store: Path, *arguments: str) -> str:
    """Run buildah on a store of our own, as it can run everywhere: without a runtime."""
    where = [f"--root={store / 'root'}", f"--runroot={store / 'run'}", "--storage-driver=overlay"]
    return _run(["buildah", *where, *arguments], {"BUILDAH_ISOLATION": "chroot"})


def _run(command: list[str], variables: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise PrerequisiteMissingError(
            f"{command[0]} is not installed; run `python -m testbed deps` as root"
        ) from missing
    if done.returncode:
        raise BuildFailedError(f"{command[0]} failed: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout.strip()
