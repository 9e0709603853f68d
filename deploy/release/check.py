"""What must hold of a release before anybody gets it; each check raises ReleaseError."""

import fnmatch
import re
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.metadata import Metadata

from deploy import pins
from deploy.release import history, sbom
from deploy.release.build import Release, ReleaseError, build, checksums, hatchling, run
from deploy.release.crd_compat import breaks
from deploy.release.history import NoHistoryError
from testbed import wheels

SCRIPTS = ("carbonaware-operator", "carbonaware-agent", "kubectl-carbonaware")
IMAGE = "image.repository=registry.example.com/carbonaware"

_MEANT_BREAKS = Path(__file__).with_name("crd_breaks.yaml")
_SDIST_FILES = ("LICENSE", "NOTICE", "CHANGELOG.md", "README.md", "pyproject.toml")
_SECRETS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}"
)
_REGISTRIES = re.compile(rb"pypi\.org/simple|files\.pythonhosted\.org|--(extra-)?index-url")


def metadata(release: Release) -> None:
    """The wheel's metadata are what an index would accept, and say our version and licence."""
    with zipfile.ZipFile(release.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        found = Metadata.from_email(wheel.read(name), validate=True)
    stated = (found.name, str(found.version), found.license_expression)
    if stated != ("carbonaware", release.version, "Apache-2.0"):
        raise ReleaseError(f"the wheel is {stated}")
    if found.description_content_type != "text/markdown" or not found.description:
        raise ReleaseError("the wheel has no description in Markdown")


def sdist(release: Release, epoch: int) -> None:
    """The sdist holds its terms, and builds the very wheel again."""
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(release.sdist) as archive:
        archive.extractall(scratch, filter="data")
        source = Path(scratch) / f"carbonaware-{release.version}"
        if missing := [name for name in _SDIST_FILES if not (source / name).is_file()]:
            raise ReleaseError(f"the sdist lacks {', '.join(missing)}")
        hatchling("wheel", source, Path(scratch), epoch)
        if (Path(scratch) / release.wheel.name).read_bytes() != release.wheel.read_bytes():
            raise ReleaseError("the wheel of the sdist is another one")


def chart(release: Release) -> None:
    """Helm takes the package as its own, and it renders with nothing set but the image."""
    helm = str(wheels.helm())
    shown = yaml.safe_load(run([helm, "show", "chart", str(release.chart)]))
    if (shown["version"], shown["appVersion"]) != (release.version, release.version):
        raise ReleaseError(f"the chart is {shown['version']} of {shown['appVersion']}")
    rendered = run([helm, "template", "carbonaware", str(release.chart), "--set", IMAGE])
    kinds = {body["kind"] for body in yaml.safe_load_all(rendered) if body}
    if missing := {"Deployment", "DaemonSet", "CustomResourceDefinition"} - kinds:
        raise ReleaseError(f"the chart renders no {', '.join(sorted(missing))}")


def sboms(release: Release) -> None:
    """They are valid CycloneDX."""
    for file in release.sboms.values():
        if fault := sbom.faults(file.read_text(encoding="utf-8")):
            raise ReleaseError(f"{file.name}: {fault}")


def crds(release: Release) -> None:
    """What the previous CRDs accepted is accepted, but for what crd_breaks.yaml gives a reason."""
    try:
        found = crd_breaks(_named(release.crds.read_text(encoding="utf-8")))
    except NoHistoryError as error:
        raise ReleaseError(f"the CRDs cannot be compared: {error}") from error
    if found:
        raise ReleaseError("the CRDs break users; list what must be in crd_breaks.yaml:\n" + found)


def crd_breaks(current: dict[str, Any]) -> str:
    """What breaks against the previous release without a stated reason, a line for each."""
    known = yaml.safe_load(_MEANT_BREAKS.read_text(encoding="utf-8"))
    before = history.documents("crds")
    lines = [str(b) for name, old in before.items() for b in breaks(old, current.get(name))]
    meant = [fnmatch.translate(line.replace("[", "[[]")) for line in known]
    return "\n".join(line for line in lines if not any(re.match(m, line) for m in meant))


def _named(text: str) -> dict[str, Any]:
    return {body["metadata"]["name"]: body for body in yaml.safe_load_all(text)}


def changelog(release: Release) -> None:
    """It has an entry of this version, or of what is unreleased."""
    text = (pins.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## (\[?{re.escape(release.version)}\b|Unreleased)", text, re.MULTILINE):
        raise ReleaseError(f"CHANGELOG.md has no entry for {release.version}, nor Unreleased")


def contents(release: Release) -> None:
    """No file names this machine, a package registry or a secret."""
    here = re.compile(b"|".join(re.escape(str(p).encode()) for p in (pins.ROOT, Path.home())))
    for file in sorted(release.folder.iterdir()):
        for place, content in _members(file):
            for what, pattern in (("path", here), ("registry", _REGISTRIES), ("secret", _SECRETS)):
                if pattern.search(content):
                    raise ReleaseError(f"{place} holds the {what} {pattern.search(content)}")


def repeatable(release: Release, base_url: str, epoch: int) -> None:
    """A second build has the same checksums."""
    with tempfile.TemporaryDirectory() as scratch:
        build(Path(scratch) / "again", base_url, epoch)
        first, second = checksums(release.folder), checksums(Path(scratch) / "again")
    if differing := sorted(set(first.splitlines()) ^ set(second.splitlines())):
        raise ReleaseError("two builds differ:\n" + "\n".join(differing))


def installs(release: Release) -> None:
    """The wheel runs in an empty environment, with what the pins bring and nothing else."""
    with tempfile.TemporaryDirectory() as scratch:
        run([sys.executable, "-m", "venv", scratch])
        bin_ = Path(scratch) / "bin"
        pip = [str(bin_ / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
        listed = [f"-r{pins.FOLDER / f'{part}.txt'}" for part in pins.PARTS]
        run(
            [*pip, "--quiet", "--no-compile", "--only-binary", ":all:", "--require-hashes", *listed]
        )
        run([*pip, "--quiet", "--no-deps", "--no-index", str(release.wheel)])
        for script in SCRIPTS:
            _answers(str(bin_ / script), release.version)


def _answers(script: str, version: str) -> None:
    said = run([script, "--version"])
    if version not in said.split():
        raise ReleaseError(f"{Path(script).name} --version says {said!r}")
    run([script, "--help"])


def _members(file: Path) -> Iterator[tuple[str, bytes]]:
    """Every file inside an archive, or the file itself."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            for name in wheel.namelist():
                yield f"{file.name}: {name}", wheel.read(name)
    elif file.suffix in (".gz", ".tgz"):
        with tarfile.open(file) as archive:
            for member in archive:
                if (inside := archive.extractfile(member)) is not None:
                    yield f"{file.name}: {member.name}", inside.read()
    else:
        yield file.name, file.read_bytes()


def short(release: Release, base_url: str, epoch: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks that need no network, each with what it shows."""
    yield "metadata of the wheel", lambda: metadata(release)
    yield "sdist builds the same wheel", lambda: sdist(release, epoch)
    yield "chart renders", lambda: chart(release)
    yield "CRDs accept what the previous ones did", lambda: crds(release)
    yield "SBOMs are valid", lambda: sboms(release)
    yield "changelog has an entry", lambda: changelog(release)
    yield "no path, registry or secret inside", lambda: contents(release)
    yield "a second build is the same", lambda: repeatable(release, base_url, epoch)


def everything(
    release: Release, base_url: str, epoch: int
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Also those that fetch packages."""
    yield from short(release, base_url, epoch)
    yield "wheel runs in an empty environment", lambda: installs(release)
