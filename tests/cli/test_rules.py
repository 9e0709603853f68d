"""One word for what each rule did."""

import pytest

from carbonaware_operator.api.reasons import EndReason, HoldReason, ReleaseReason
from carbonaware_operator.cli.rules import Verdict, verdict
from carbonaware_operator.planning.decision import Basis, Decision, Fail, Hold, Release
from carbonaware_operator.planning.rules import Finding


@pytest.mark.parametrize(
    ("decision", "asked", "word"),
    [
        (None, True, Verdict.PASS),
        (None, False, Verdict.NOT_ASKED),
        (Hold(HoldReason.NO_ZONE, "none"), True, Verdict.HOLDS),
        (Release(ReleaseReason.IMMEDIATE, Basis.SCHEDULE), True, Verdict.STARTS),
        (Fail(EndReason.DEADLINE_MISSED, "late"), True, Verdict.FAILS),
    ],
)
def test_a_finding_has_a_word(decision: Decision | None, asked: bool, word: Verdict) -> None:
    """As `explain` prints it before each rule."""
    assert word is verdict(Finding("zone", asked, decision, "fact"))
