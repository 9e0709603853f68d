"""Providers that fail in every way: an hour and a half of the day that `grid_faults` simulates."""

from benchmarks import grid_faults


def test_providers_that_fail_leave_no_zone_without_a_signal():
    """Nothing escapes, every zone can be decided on, and limits hold, whatever comes back."""
    result = grid_faults.run(hours=1.5, seed=2)

    assert [] == result.escaped
    assert {} == result.undecidable
    assert [] == result.wrong_kind
    assert {} == result.over_limit
    assert 10 <= sum(1 for count in result.faults.values() if count)
