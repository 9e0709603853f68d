"""Leave nothing behind: what undoes each step is noted before the step is taken.

The first SIGINT, SIGTERM or SIGHUP is raised as KeyboardInterrupt wherever the program is; every
later one is ignored, also by programs started from then on, so that tidying up is not cut short.
"""

import signal
from collections.abc import Callable
from types import FrameType

Report = Callable[[str], None]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_once() -> None:
    """Let the first signal interrupt the program, and no other."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in _SIGNALS:
        signal.signal(each, interrupt)


class Undo:
    """Steps to undo, newest first.

    A step must be idempotent, and right even if what it undoes was never done. An interrupted
    run() is repeated by calling it again: it goes on with the step that was interrupted.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], object]]] = []

    def note(self, what: str, step: Callable[[], object]) -> None:
        """Note a step before doing what it undoes.

        what: completes the sentence "cannot …".
        """
        self._steps.append((what, step))

    def run(self, report: Report) -> bool:
        """Undo everything; False when a step failed, which is reported and keeps no other back."""
        clean = True
        while self._steps:
            what, step = self._steps[-1]
            try:
                step()
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest must be undone
                report(f"cannot {what}: {error}")
                clean = False
            self._steps.pop()
        return clean
