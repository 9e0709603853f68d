"""Runs every scenario, prints the tables and writes them to the page that is named."""

import logging
import sys
from pathlib import Path

from conformance.document import rendered
from conformance.report import tables


def main() -> None:
    """Write the page whose path is the first argument."""
    # The scenarios provoke warnings by the dozen; the tables say what came of them.
    logging.disable(logging.CRITICAL)
    found = tables()
    sys.stdout.write("\n\n".join(f"{name}\n{table}" for name, table in found.items()) + "\n")
    Path(sys.argv[1]).write_text(rendered(found))


if __name__ == "__main__":
    main()
