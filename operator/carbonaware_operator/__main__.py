"""Console script `carbonaware-operator`: settings, logging, and the operator's life."""

import asyncio
import sys

from carbonaware_operator import settings
from carbonaware_operator.engine import lifecycle
from carbonaware_operator.telemetry import logs


def main() -> None:
    """Run the operator; exit code 0 after SIGTERM or SIGINT, 1 when it cannot run or a loop failed.

    A setting that cannot be right ends it with 2.
    """
    given = settings.parse()
    logs.configure(given.log_level)
    try:
        code = asyncio.run(lifecycle.run(given))
    except lifecycle.CannotStartError as error:
        sys.exit(f"carbonaware-operator: {error}")
    sys.exit(code)


if __name__ == "__main__":
    main()
