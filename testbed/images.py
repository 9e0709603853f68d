"""Container images without a registry: archives that containerd imports.

An archive is a tar of `manifest.json`, one config and one tar per layer, the format of
`docker save`. Everything in it has a fixed time and owner, so equal content gives an equal archive.
"""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from testbed.errors import PrerequisiteMissingError

BUSYBOX = "docker.io/local/busybox:1"
"""Image with a shell, sleep, timeout, nc and the other busybox programs."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image that can be loaded into a cluster; pods need `imagePullPolicy: Never`."""

    name: str
    archive: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """How a container of an image runs unless its pod says otherwise."""

    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""


def write_archive(target: Path, name: str, layers: Iterable[bytes], settings: Settings) -> Image:
    """Write an image of uncompressed layer tars to a file and return it.

    name: registry/path:tag, such as docker.io/local/busybox:1.
    """
    content = list(layers)
    config = _config(content, settings)
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    files = {f"layer{number}.tar": layer for number, layer in enumerate(content)}
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": list(files)}]
    unfinished = target.with_name(f".{target.name}.unfinished")
    with tarfile.open(unfinished, "w") as archive:
        for path, data in {
            "manifest.json": json.dumps(manifest).encode(),
            config_name: config,
            **files,
        }.items():
            _add_file(archive, path, data, mode=0o644)
    unfinished.replace(target)
    return Image(name, target)


def busybox(folder: Path) -> Image:
    """The image of load pods and of the pause container, made from Debian's static busybox.

    folder: where to write the archive.
    Raises PrerequisiteMissingError: busybox-static is not installed.
    """
    program = shutil.which("busybox")
    if program is None:
        raise PrerequisiteMissingError(
            "busybox-static is not installed; run `python -m testbed deps` as root"
        )
    listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    layer = busybox_layer(Path(program).read_bytes(), listed.stdout.split())
    # What a pause container does: hold the pod's namespaces until it is killed.
    forever = Settings(command=["sleep", str(2**31 - 1)])
    return write_archive(folder / "busybox.tar", BUSYBOX, [layer], forever)


def busybox_layer(program: bytes, applets: Iterable[str]) -> bytes:
    """A root file system of one program, its names, and an unprivileged user 65532."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            _add_folder(layer, folder, mode)
        _add_file(layer, "bin/busybox", program, mode=0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            _add_link(layer, f"bin/{applet}", "busybox")
        users = b"root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/bin/sh\n"
        _add_file(layer, "etc/passwd", users, mode=0o644)
    return buffer.getvalue()


def _config(layers: list[bytes], settings: Settings) -> bytes:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **settings.environment}
    described = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Cmd": settings.command,
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "User": settings.user,
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
        },
    }
    return json.dumps(described, sort_keys=True).encode()


def _add_file(archive: tarfile.TarFile, path: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(data)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(data))


def _add_folder(archive: tarfile.TarFile, path: str, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.type = tarfile.DIRTYPE
    entry.mode = mode
    archive.addfile(entry)


def _add_link(archive: tarfile.TarFile, path: str, target: str) -> None:
    entry = tarfile.TarInfo(path)
    entry.type = tarfile.SYMTYPE
    entry.linkname = target
    archive.addfile(entry)
