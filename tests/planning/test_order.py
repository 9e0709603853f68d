"""Release order: least slack first, then age."""

from builders import NOON, hours
from carbonaware_operator.planning.order import release_key


def test_orders_by_deadline_then_age_then_uid():
    """Whoever can wait least goes first; among equals the oldest; uids make it one order."""
    urgent = release_key(NOON + hours(1), NOON, "d")
    oldest = release_key(NOON + hours(2), NOON - hours(1), "c")
    first, second = release_key(NOON + hours(2), NOON, "a"), release_key(NOON + hours(2), NOON, "b")

    assert [urgent, oldest, first, second] == sorted([second, first, oldest, urgent])
