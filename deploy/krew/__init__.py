"""The plugin for krew: an archive, and the manifest that names it.

`python -m deploy.krew --wheel FILE --base-url URL FOLDER` writes both. The archive is the same for
every system: our wheel, what it needs pinned with hashes, and a script that installs the two into a
Python environment of its own on the first call. A single file with everything inside would have to
be made for each system and each version of Python, and weigh a hundred times as much.
"""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import yaml

PLUGIN = "carbonaware"
LAUNCHER = Path(__file__).with_name("kubectl-carbonaware")
REQUIREMENTS = Path(__file__).parents[1] / "requirements" / "cli.txt"

_EXECUTABLE, _PLAIN = 0o755, 0o644
_DESCRIPTION = """\
Answers what users of carbon-aware jobs ask: what is waiting, why, until when, and how to start it
now; what draws power and what that emits; how clean the grid is. Needs carbonaware in the cluster.
"""
_CAVEATS = """\
Needs Python 3.11 or later (on Debian and Ubuntu also the package python3-venv). The first call
installs the Python packages that it needs with pip, pinned by their hashes, into krew's own folder.
"""


def archive(wheel: Path) -> bytes:
    """The archive of a wheel; the same bytes for the same wheel and pins."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as files,
    ):
        for name, content, mode in (
            (LAUNCHER.name, LAUNCHER.read_bytes(), _EXECUTABLE),
            ("requirements.txt", REQUIREMENTS.read_bytes(), _PLAIN),
            (wheel.name, wheel.read_bytes(), _PLAIN),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            files.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def archive_name(version: str) -> str:
    """What the archive of a version is called."""
    return f"kubectl-carbonaware-{version}.tar.gz"


def manifest(version: str, base_url: str, packed: bytes) -> dict[str, Any]:
    """What krew reads. base_url: where the archive is published, without its name."""
    systems = {"key": "os", "operator": "In", "values": ["darwin", "linux"]}
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": PLUGIN},
        "spec": {
            "version": f"v{version}",
            "shortDescription": "See, start and measure carbon-aware jobs",
            "description": _DESCRIPTION,
            "caveats": _CAVEATS,
            "platforms": [
                {
                    "selector": {"matchExpressions": [systems]},
                    "uri": f"{base_url.rstrip('/')}/{archive_name(version)}",
                    "sha256": hashlib.sha256(packed).hexdigest(),
                    "bin": LAUNCHER.name,
                }
            ],
        },
    }


def write(wheel: Path, base_url: str, folder: Path) -> tuple[Path, Path]:
    """Write archive and manifest into a folder; their paths."""
    version, packed = wheel.name.split("-")[1], archive(wheel)
    files = folder / archive_name(version), folder / f"{PLUGIN}.yaml"
    files[0].write_bytes(packed)
    files[1].write_text(yaml.safe_dump(manifest(version, base_url, packed), sort_keys=False))
    return files
