"""Uids of deleted objects, for a while: an answer or event that comes late revives none of them."""

from dataclasses import dataclass, field

MOST = 20_000
"""In each of two halves; about 2 MB. More deletions than that outrun no answer still on its way."""


@dataclass(slots=True)
class Graves:
    """Two halves: when the newer one is full, or has had its time, the older one is given up."""

    _newer: set[str] = field(default_factory=set)
    _older: set[str] = field(default_factory=set)

    def __contains__(self, uid: str) -> bool:
        return uid in self._newer or uid in self._older

    def add(self, uid: str) -> None:
        """Remember a deleted object: its uid never comes back, that is what uids are for."""
        self._newer.add(uid)
        if len(self._newer) >= MOST:
            self.age()

    def age(self) -> None:
        """Give up what was there at the call before this one."""
        self._older, self._newer = self._newer, set()
