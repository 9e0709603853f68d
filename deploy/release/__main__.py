"""`python -m deploy.release [--base-url URL] [FOLDER]`: build a release and check it."""

import argparse
import sys
import time
from pathlib import Path

from deploy import pins
from deploy.release import check
from deploy.release.build import ReleaseError, build, commit_time
from testbed.errors import TestbedError


def main() -> None:
    """Build, then check one after the other; exits with 1 at the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m deploy.release", description=__doc__)
    parser.add_argument(
        "--base-url",
        default="https://example.com/carbonaware",
        help="where the files will be published: the krew manifest points there",
    )
    parser.add_argument("folder", type=Path, nargs="?", default=pins.ROOT / "dist")
    given = parser.parse_args()
    epoch = commit_time()
    try:
        release = build(given.folder, given.base_url, epoch)
        for what, checked in check.everything(release, given.base_url, epoch):
            started = time.monotonic()
            checked()
            print(f"ok  {what} ({time.monotonic() - started:.0f} s)", flush=True)
    except (ReleaseError, TestbedError) as error:
        sys.exit(f"release: {error}")
    for file in sorted(given.folder.iterdir()):
        print(f"{file.stat().st_size / 1000:8.0f} kB  {file.name}")


if __name__ == "__main__":
    main()
