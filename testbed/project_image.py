"""The image of operator and agent: Debian's Python, our pinned dependencies, our wheel.

Three layers, each kept in the cache folder under the hash of what it is made from, so that a change
of our own code rebuilds the last one alone.
"""

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from testbed.binaries import Report
from testbed.errors import BuildFailedError, PrerequisiteMissingError
from testbed.images import Image, Settings, write_archive
from testbed.locations import cache_folder
from testbed.lock import exclusive

NAME = "docker.io/local/carbonaware:dev"

_ROOT = Path(__file__).parent.parent
_PARTS = ("operator", "agent", "cli")
_PYTHON = "3.11"
_BOOTSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--variant=essential",
    "--include=python3",
    *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")),
    "bookworm",  # its python3 is the 3.11 that we support
)
_SETTINGS = Settings(
    command=["python3"],
    environment={"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
    user="65532",
)


def project_image(report: Report = print) -> Image:
    """Build, or take from the cache, the image of the working tree.

    Needs root and mmdebstrap; 40 s the first time, then as long as a wheel takes.
    Raises PrerequisiteMissingError: mmdebstrap is not installed.
    Raises BuildFailedError: Debian, a dependency or our wheel cannot be had.
    """
    pins = runtime_pins((_ROOT / "constraints.txt").read_text(), runtime_packages(_PARTS))
    folder = cache_folder() / "image"
    with exclusive(folder / "lock"), tempfile.TemporaryDirectory() as scratch:
        wheel = _built_wheel(Path(scratch))
        layers = [
            _layer("base", repr(_BOOTSTRAP).encode(), _bootstrapped, report),
            _layer("dependencies", pins.encode(), lambda: _dependencies(pins), report),
            _layer("project", wheel.read_bytes(), lambda: _installed(str(wheel)), report),
        ]
        return write_archive(folder / "carbonaware.tar", NAME, layers, _SETTINGS)


def runtime_packages(parts: tuple[str, ...]) -> set[str]:
    """The packages that the given extras of ours need, theirs included.

    Raises PackageNotFoundError: one is not installed here, so its own needs are unknown.
    """
    found: set[str] = set()
    open_needs = [Requirement(f"carbonaware[{','.join(parts)}]")]
    while open_needs:
        need = open_needs.pop()
        for line in metadata.requires(need.name) or []:
            inner = Requirement(line)
            name = canonicalize_name(inner.name)
            if name not in found and _applies(inner, need.extras):
                found.add(name)
                open_needs.append(inner)
    return found


def runtime_pins(constraints: str, packages: set[str]) -> str:
    """The blocks of a hashed requirements file that pin the given packages."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", constraints.strip())
    return "\n".join(b for b in blocks if canonicalize_name(b.partition("==")[0]) in packages)


def _applies(need: Requirement, extras: set[str]) -> bool:
    if need.marker is None:
        return True
    return any(need.marker.evaluate({"extra": extra}) for extra in (*extras, ""))


def _layer(title: str, content: bytes, make: Callable[[], bytes], report: Report) -> bytes:
    folder = cache_folder() / "image"
    kept = folder / f"{title}-{hashlib.sha256(content).hexdigest()[:16]}.tar"
    if not kept.exists():
        report(f"making the image's {title} layer (only when it changes)")
        for former in folder.glob(f"{title}-*.tar"):
            former.unlink()
        unfinished = kept.with_suffix(".unfinished")
        unfinished.write_bytes(make())
        unfinished.replace(kept)
    return kept.read_bytes()


def _bootstrapped() -> bytes:
    try:
        done = subprocess.run([*_BOOTSTRAP, "-"], capture_output=True, check=False)
    except FileNotFoundError as missing:
        raise PrerequisiteMissingError(
            "mmdebstrap is not installed; run `python -m testbed deps` as root"
        ) from missing
    if done.returncode:
        raise BuildFailedError(f"mmdebstrap failed: {done.stderr.decode(errors='replace')[-1000:]}")
    return done.stdout


def _dependencies(pins: str) -> bytes:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write(pins)
        listed.flush()
        return _installed("--require-hashes", "-r", listed.name)


def _installed(*what: str) -> bytes:
    """A layer with what pip installs, where Debian's Python looks for it."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = ["--no-deps", "--no-compile", "--only-binary=:all:", "--python-version", _PYTHON]
        _pip("install", *fixed, "--target", folder, *what)
        return _packed(Path(folder))


def _packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            script = inner.parts[0] == "bin"
            place = "usr/local" if script else f"usr/local/lib/python{_PYTHON}/dist-packages"
            if path.is_file():
                _add(layer, f"{place}/{inner}", path, script=script)
    return buffer.getvalue()


def _add(layer: tarfile.TarFile, name: str, path: Path, *, script: bool) -> None:
    data = path.read_bytes()
    if script:  # pip wrote the path of the Python that ran it
        data = re.sub(rb"\A#!.*python.*", b"#!/usr/bin/python3", data)
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o755 if script else 0o644
    layer.addfile(entry, io.BytesIO(data))


def _built_wheel(folder: Path) -> Path:
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(_ROOT))
    return next(folder.glob("*.whl"))


def _pip(*arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailedError(f"pip {arguments[0]} failed: {done.stderr.strip()[-1000:]}")
