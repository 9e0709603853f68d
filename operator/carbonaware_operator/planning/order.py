"""Release order: when many jobs qualify at once, the least slack goes first, then the oldest."""

from carbonaware_operator.quantities.instants import Instant


def release_key(deadline: Instant, created: Instant, uid: str) -> tuple[Instant, Instant, str]:
    """Sort key: the slack at any one instant orders as the deadline does."""
    return deadline, created, uid
