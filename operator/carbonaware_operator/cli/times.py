"""The clock of the commands."""

from datetime import UTC, datetime

from carbonaware_operator.quantities.instants import Instant


def now() -> Instant:
    """The instant as which everything that a command shows is seen."""
    return datetime.now(UTC)
