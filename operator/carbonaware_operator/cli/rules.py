"""What each rule did, in one word; the rules themselves are those of the operator."""

from enum import StrEnum

from carbonaware_operator.planning.decision import Fail, Hold, Release
from carbonaware_operator.planning.rules import Finding


class Verdict(StrEnum):
    """What a rule did; the first that does not pass decides, and no other is asked."""

    PASS = "pass"  # noqa: S105 - no password
    HOLDS = "holds"
    STARTS = "starts"
    FAILS = "fails"
    NOT_ASKED = "not asked"


def verdict(finding: Finding) -> Verdict:
    """The word for what a rule found of a job that waits to be started."""
    match finding.decision:
        case Hold():
            return Verdict.HOLDS
        case Release():
            return Verdict.STARTS
        case Fail():
            return Verdict.FAILS
        case _:
            return Verdict.PASS if finding.asked else Verdict.NOT_ASKED
