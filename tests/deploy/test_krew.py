"""The plugin for krew: what is published, and that it works where krew puts it."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from deploy import krew
from testbed import wheels

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def unpacked(archive: Path, home: Path) -> Path:
    """Where krew puts an archive and its link; the folder of the link."""
    store = home / ".krew" / "store" / "carbonaware" / "v0"
    store.mkdir(parents=True)
    with tarfile.open(archive) as files:
        files.extractall(store, filter="data")
    bin_folder = home / ".krew" / "bin"
    bin_folder.mkdir()
    (bin_folder / "kubectl-carbonaware").symlink_to(store / "kubectl-carbonaware")
    return bin_folder


class TestArchive:
    def test_is_named_by_the_manifest_with_its_digest(self, tmp_path: Path, wheel: Path) -> None:
        """Krew refuses an archive that differs; the same wheel makes the same one."""
        archive, manifest = krew.write(wheel, "https://downloads.example.com/v1/", tmp_path)

        version = wheel.name.split("-")[1]
        (platform,) = yaml.safe_load(manifest.read_text())["spec"]["platforms"]
        assert f"https://downloads.example.com/v1/{archive.name}" == platform["uri"]
        assert hashlib.sha256(archive.read_bytes()).hexdigest() == platform["sha256"]
        assert krew.archive(wheel) == archive.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as files:
            assert [platform["bin"], "requirements.txt", wheel.name] == files.getnames()
        assert version in archive.name

    def test_says_what_it_needs_where_no_python_will_do(self, tmp_path: Path, wheel: Path) -> None:
        """One line that names the version, and no half-made environment."""
        archive, _ = krew.write(wheel, "https://downloads.example.com", tmp_path)
        bin_folder = unpacked(archive, tmp_path / "home")
        tools = tmp_path / "tools"
        tools.mkdir()
        for tool in ("dirname", "readlink"):
            (tools / tool).symlink_to(f"/usr/bin/{tool}")

        done = subprocess.run(
            ["/bin/sh", str(bin_folder / "kubectl-carbonaware")],
            env={"PATH": str(tools), "HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (1, "") == (done.returncode, done.stdout)
        assert "needs Python 3.11 or later" in done.stderr

    @pytest.mark.slow
    def test_works_where_krew_puts_it(self, tmp_path: Path, wheel: Path) -> None:
        """In an empty home: the first call installs its packages, the next ones are quick."""
        archive, _ = krew.write(wheel, "https://downloads.example.com", tmp_path)
        bin_folder = unpacked(archive, tmp_path / "home")
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        environment = pip | {
            "HOME": str(tmp_path / "home"),
            "PATH": os.pathsep.join(
                (str(bin_folder), f"{sys.base_prefix}/bin", "/usr/bin", "/bin")
            ),
        }

        def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
            argv = [str(wheels.kubectl()), "carbonaware", *arguments]
            return subprocess.run(
                argv, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
            )

        (tmp_path / "click.py").write_text("raise SystemExit('another module was imported')\n")
        first, second = call("--version"), call("--version")

        version = wheel.name.split("-")[1]
        assert (0, f"{version}\n") == (first.returncode, first.stdout), first.stderr
        assert (0, f"{version}\n", "") == (second.returncode, second.stdout, second.stderr)
        assert "installing its Python packages" in first.stderr
        assert ["env"] == [
            f.name for f in (bin_folder.parent / "store/carbonaware/v0").glob("env*")
        ]
        assert 3 == call("list").returncode  # there is no cluster in an empty home
