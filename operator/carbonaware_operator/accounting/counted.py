"""How much of each job's account has been counted in metrics: counters must not fall."""

from dataclasses import dataclass, field, fields

from carbonaware_operator.accounting.sums import Sums, sums_of
from carbonaware_operator.api.ledger import Ledger


@dataclass(slots=True)
class Counted:
    """The highest sums of each job so far, by uid.

    A job begins with what its ledger held when first seen: that was counted by the operator that
    posted it, and a counter that began with it would count it twice across a restart.
    """

    _highest: dict[str, Sums] = field(default_factory=dict)

    def begin(self, ledgers: dict[str, Ledger | None]) -> None:
        """These are the jobs, with their ledgers as found; all others are forgotten."""
        self._highest = {
            uid: self._highest.get(uid) or (sums_of(ledger) if ledger else Sums())
            for uid, ledger in ledgers.items()
        }

    def gained(self, uid: str, ledger: Ledger) -> Sums:
        """By how much the sums of a job have risen above all that was counted.

        A revised price may lower a sum. Nothing is counted then until the sum is above what it
        once was.
        """
        before, now = self._highest.get(uid, Sums()), sums_of(ledger)
        highest = Sums(*(max(getattr(before, f.name), getattr(now, f.name)) for f in fields(Sums)))
        self._highest[uid] = highest
        return Sums(*(getattr(highest, f.name) - getattr(before, f.name) for f in fields(Sums)))
