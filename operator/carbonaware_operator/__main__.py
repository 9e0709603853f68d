"""Console script `carbonaware-operator`: settings, logging, and the operator's life."""

import asyncio
import sys

from carbonaware_operator import settings
from carbonaware_operator.engine import lifecycle
from carbonaware_operator.telemetry import logs


def main() -> None:
    """Run the operator; exit code 0 after SIGTERM or SIGINT, 1 when a loop failed."""
    given = settings.parse()
    logs.configure(given.log_level)
    sys.exit(asyncio.run(lifecycle.run(given)))


if __name__ == "__main__":
    main()
