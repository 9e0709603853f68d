"""`python -m deploy.krew --wheel FILE --base-url URL FOLDER`: write archive and manifest."""

import argparse
from pathlib import Path

from deploy.krew import write


def main() -> None:
    """Read the arguments and write."""
    parser = argparse.ArgumentParser(prog="python -m deploy.krew", description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel to pack")
    parser.add_argument(
        "--base-url", required=True, help="where the archive will be published, without its name"
    )
    parser.add_argument("folder", type=Path, help="where to write both")
    given = parser.parse_args()
    for file in write(given.wheel, given.base_url, given.folder):
        print(file)


if __name__ == "__main__":
    main()
