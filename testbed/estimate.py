"""PURE: how far a build has come and how long it may still take.

The compiler names every package as it starts it, and starts none before all that the package
imports is finished. What is finished but was never named lay in the compiler's cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# Fitted to the processor time of 2,600 packages: reading what a package imports takes as long as
# compiling this much source, and linking a program as long as this many bytes.
_BYTES_PER_PACKAGE = 50_000
_BYTES_PER_PROGRAM = 2_500_000

_SHARE_BEFORE_A_GUESS = 0.05


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the build: its import path, bytes of Go source and what it imports."""

    path: str
    size: int
    imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a build stands.

    percent: of the work, not of the packages; 100 only once everything is finished.
    finished, total: packages.
    left: seconds that the rest may take, None while too little is known.
    """

    percent: int
    finished: int
    total: int
    left: float | None

    def __str__(self) -> str:
        share = f"{self.percent} % ({self.finished} of {self.total} packages)"
        match self.left:
            case None:
                return share
            case left if left < 90:
                return f"{share}, about {max(10, round(left, -1)):.0f} s left"
            case left:
                return f"{share}, about {left / 60:.0f} min left"


class Estimate:
    """Follows one build from the names that the compiler prints.

    workers: how many packages are compiled at a time.
    programs: the packages that end in a program to link.
    """

    def __init__(
        self, packages: Iterable[Package], *, programs: Iterable[str], workers: int
    ) -> None:
        self._packages = {package.path: package for package in packages}
        self._programs = frozenset(programs)
        self._workers = workers
        self._named: list[str] = []
        self._finished: set[str] = set()
        self._total = sum(map(self._work, self._packages))

    def started(self, path: str) -> None:
        """The compiler has named a package; whatever else it prints is no matter."""
        if path not in self._packages:
            return
        self._named.append(path)
        self._finish(self._packages[path].imports)
        self._finish(self._named[: -self._workers][-1:])

    def after(self, seconds: float) -> Progress:
        """Where the build stands so many seconds after its start."""
        finished = sum(map(self._work, self._finished))
        compiled = sum(self._work(path) for path in self._named if path in self._finished)
        guess = compiled > _SHARE_BEFORE_A_GUESS * self._total
        return Progress(
            percent=int(100 * finished / self._total),
            finished=len(self._finished),
            total=len(self._packages),
            left=seconds * (self._total - finished) / compiled if guess else None,
        )

    def _work(self, path: str) -> int:
        linking = _BYTES_PER_PROGRAM if path in self._programs else 0
        return _BYTES_PER_PACKAGE + self._packages[path].size + linking

    def _finish(self, paths: Iterable[str]) -> None:
        waiting = list(paths)
        while waiting:
            path = waiting.pop()
            if path in self._packages and path not in self._finished:
                self._finished.add(path)
                waiting += self._packages[path].imports
