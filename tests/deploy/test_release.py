"""What is released: the short form of `make release-check`, and what would have to stop it."""

import io
import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import carbonaware_agent
from carbonaware_agent import settings as agent_settings
from carbonaware_operator import settings as operator_settings
from carbonaware_operator.cli.main import cli
from deploy import pins
from deploy.release import build, check, sbom
from deploy.release.build import Release, ReleaseError

EPOCH = 1_800_000_000
BASE_URL = "https://example.com/carbonaware"
VERSION = tomllib.loads((pins.ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """All files of a release, built once."""
    return build.build(tmp_path_factory.mktemp("release") / "dist", BASE_URL, EPOCH)


@pytest.mark.slow
class TestRelease:
    def test_holds_every_file(self, release: Release):
        """And the checksums of all, as sha256sum checks them."""
        done = subprocess.run(
            ["sha256sum", "--check", "--strict", build.CHECKSUMS],
            cwd=release.folder, capture_output=True, text=True, check=True,
        )  # fmt: skip

        assert {
            f"carbonaware-{VERSION}-py3-none-any.whl",
            f"carbonaware-{VERSION}.tar.gz",
            f"carbonaware-{VERSION}.tgz",
            f"kubectl-carbonaware-{VERSION}.tar.gz",
            "carbonaware.yaml",
            "crds.yaml",
            "sbom-agent.cdx.json",
            "sbom-operator.cdx.json",
        } == {line.partition(":")[0] for line in done.stdout.splitlines()}

    def test_passes_every_check_that_needs_no_network(self, release: Release):
        """Metadata, sdist, chart, SBOMs, changelog, contents, and a second build."""
        for _, checked in check.short(release, BASE_URL, EPOCH):
            checked()

    def test_has_the_crds_of_the_repository_in_one_file(self, release: Release):
        """For `kubectl apply --server-side`."""
        files = ("carbonawarejobs", "carbonzones")

        assert [yaml.safe_load((pins.ROOT / "crds" / f"{f}.yaml").read_text()) for f in files] == [
            *yaml.safe_load_all(release.crds.read_text())
        ]


def a_wheel(folder: Path, **files: str) -> Release:
    """A release that consists of a wheel with these files."""
    release = Release(VERSION, folder)
    with zipfile.ZipFile(release.wheel, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return release


class TestContents:
    @pytest.mark.parametrize(
        ("what", "text"),
        {
            "path": f"# {pins.ROOT}/operator",
            "registry": "pip install --index-url https://registry.example.com/simple",
            "secret": "-----BEGIN RSA PRIVATE KEY-----",
        }.items(),
    )
    def test_may_not_name(self, tmp_path: Path, what: str, text: str):
        """Neither where it was built, nor from where packages came, nor a key."""
        with pytest.raises(ReleaseError, match=f"module.py holds the {what}"):
            check.contents(a_wheel(tmp_path, **{"module.py": text}))

    def test_of_an_sdist_are_looked_at_too(self, tmp_path: Path):
        """And of the chart, which is such an archive as well."""
        release = Release(VERSION, tmp_path)
        with tarfile.open(release.sdist, "w:gz") as archive:
            key = b"-----BEGIN PRIVATE KEY-----"
            member = tarfile.TarInfo("carbonaware/key")
            member.size = len(key)
            archive.addfile(member, io.BytesIO(key))

        with pytest.raises(ReleaseError, match="carbonaware/key holds the secret"):
            check.contents(release)


class TestMetadata:
    def test_of_another_version_are_refused(self, tmp_path: Path):
        """The file's name says one, its content another."""
        text = "Metadata-Version: 2.4\nName: carbonaware\nVersion: 9.9.9\n"

        with pytest.raises(ReleaseError, match=re.escape("9.9.9")):
            check.metadata(a_wheel(tmp_path, **{"carbonaware-9.dist-info/METADATA": text}))


class TestSBOM:
    @pytest.mark.parametrize("image", sbom.IMAGES)
    def test_lists_what_the_image_installs(self, image: str):
        """Each with its version, below the image itself; never a tool of developers."""
        found = sbom.document(image, VERSION)
        pinned = {
            line.split()[0]
            for part in sbom.IMAGES[image]
            for line in (pins.FOLDER / f"{part}.txt").read_text().splitlines()
            if "==" in line
        }

        assert pinned == {f"{c['name']}=={c['version']}" for c in found["components"]}
        assert (f"carbonaware-{image}", VERSION) == (
            found["metadata"]["component"]["name"], found["metadata"]["component"]["version"],
        )  # fmt: skip

    def test_says_what_needs_what(self):
        """So that a fault in one package leads to those that bring it."""
        needs = {
            d["ref"]: d.get("dependsOn", []) for d in sbom.document("agent", "1")["dependencies"]
        }
        (h2,) = (ref for ref in needs if ref.startswith("pkg:pypi/h2@"))

        assert ["hpack", "hyperframe"] == [ref.split("/")[1].split("@")[0] for ref in needs[h2]]

    def test_that_is_not_valid_is_refused(self):
        """The schema has the word."""
        assert sbom.faults('{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": 3}')


class TestVersion:
    """It stands in pyproject.toml; everything else says the same."""

    def test_of_the_agent(self):
        """Written out, so that a start of the agent reads no metadata."""
        assert VERSION == carbonaware_agent.__version__

    def test_of_the_chart_and_what_it_installs(self):
        """The images' tag follows `appVersion`."""
        chart = yaml.safe_load((build.CHART / "Chart.yaml").read_text())

        assert (VERSION, VERSION) == (chart["version"], chart["appVersion"])

    def test_of_each_program(self, capsys: pytest.CaptureFixture[str]):
        """`--version` prints it, and nothing else."""
        for settings in (operator_settings, agent_settings):
            with pytest.raises(SystemExit, match=r"^0$"):
                settings.parse(["--version"])
        said = capsys.readouterr().out.split()

        assert [VERSION] * 3 == [*said, CliRunner().invoke(cli, ["--version"]).stdout.strip()]

    def test_of_the_images_is_told_to_the_build(self):
        """The Dockerfile names none of its own."""
        dockerfile = (pins.ROOT / "Dockerfile").read_text()

        assert 'org.opencontainers.image.version="${VERSION}"' in dockerfile
        assert VERSION not in dockerfile
