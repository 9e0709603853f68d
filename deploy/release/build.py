"""Builds the files of a release; two builds of one commit are equal, byte for byte."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import yaml

from carbonaware_operator.api import crds
from deploy import krew, pins
from deploy.release import sbom
from testbed import wheels

CHART = pins.ROOT / "helm" / "carbonaware"
CHECKSUMS = "SHA256SUMS"

_EARLIEST = 315_532_800  # 1980-01-01: a wheel is a zip file, which knows no earlier time


class ReleaseError(Exception):
    """A file of the release cannot be built, or is not as it must be."""


@dataclass(frozen=True, slots=True)
class Release:
    """The files of a release in their folder."""

    version: str
    folder: Path

    @property
    def wheel(self) -> Path:
        """Operator, agent and command line."""
        return self.folder / f"carbonaware-{self.version}-py3-none-any.whl"

    @property
    def sdist(self) -> Path:
        """What the wheel is built from."""
        return self.folder / f"carbonaware-{self.version}.tar.gz"

    @property
    def chart(self) -> Path:
        """The Helm chart."""
        return self.folder / f"carbonaware-{self.version}.tgz"

    @property
    def crds(self) -> Path:
        """Both CRDs, for `kubectl apply --server-side`."""
        return self.folder / "crds.yaml"

    @property
    def sboms(self) -> dict[str, Path]:
        """The SBOM of each image."""
        return {image: self.folder / f"sbom-{image}.cdx.json" for image in sbom.IMAGES}


def version() -> str:
    """The version, from the one place where it stands."""
    project = tomllib.loads((pins.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    stated: str = project["project"]["version"]
    return stated


def build(folder: Path, base_url: str, epoch: int) -> Release:
    """Write every file into an empty folder.

    base_url: where they will be published; epoch: the time in them, in Unix seconds.
    Raises ReleaseError: a tool refuses; testbed.errors.BuildFailedError: helm cannot be fetched.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    release = Release(version(), folder)
    for target in ("wheel", "sdist"):
        hatchling(target, pins.ROOT, folder, epoch)
    release.chart.write_bytes(_chart(epoch))
    documents = crds.documents().values()
    release.crds.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    for image, file in release.sboms.items():
        found = sbom.document(image, release.version)
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    krew.write(release.wheel, base_url, folder)
    (folder / CHECKSUMS).write_text(checksums(folder), encoding="utf-8")
    return release


def commit_time() -> int:
    """SOURCE_DATE_EPOCH, else the time of the last commit, else the earliest that a zip knows."""
    if stated := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(stated)
    log = ["git", "-C", str(pins.ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(log, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else _EARLIEST


def hatchling(target: str, source: Path, folder: Path, epoch: int) -> None:
    """Build the wheel or the sdist of a source tree."""
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        target,
        "-d",
        str(folder.resolve()),
    ]
    run(command, cwd=source, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})


def run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """The output of a program. Raises ReleaseError with what it said."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ReleaseError(f"{Path(command[0]).name} {command[1]}: {said}")
    return done.stdout


def checksums(folder: Path) -> str:
    """The lines that `sha256sum --check` takes, of every file but their own."""
    files = sorted(file for file in folder.iterdir() if file.name != CHECKSUMS)
    return "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files
    )


def _chart(epoch: int) -> bytes:
    """The chart as helm packs it, with the time of every file set: helm writes that of now."""
    with tempfile.TemporaryDirectory() as scratch:
        run([str(wheels.helm()), "package", str(CHART), "--destination", scratch])
        (packed,) = Path(scratch).glob("*.tgz")
        return _repacked(packed.read_bytes(), epoch)


def _repacked(archive: bytes, epoch: int) -> bytes:
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=epoch) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=_chart_first):
            member.mtime = epoch
            new.addfile(member, old.extractfile(member))
    return packed.getvalue()


def _chart_first(member: tarfile.TarInfo) -> tuple[bool, str]:
    """Helm reads Chart.yaml first."""
    return not member.name.endswith("carbonaware/Chart.yaml"), member.name
