"""The loop: one tick after the other, each saved before it is shown."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from carbonaware_agent.clock import Clock
from carbonaware_agent.gpus.holdings import GpuPicture
from carbonaware_agent.metering.meter import Meter
from carbonaware_agent.readings import Collected, Reader
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.saved.store import StateFolder
from carbonaware_agent.serving.board import Board
from carbonaware_agent.serving.exposition import AgentHealth

_log = logging.getLogger(__name__)
# A slow disk makes a tick long; a loop that stood still for a minute will not go on by itself.
_STANDSTILL_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the agent reports beside its own collectors.

    collectors: whether each works, by name; None while it is not in use. model_errors: by (domain,
    source). gpus: None while their holders are not known.
    """

    collectors: Mapping[str, Callable[[], bool | None]]
    model_errors: Mapping[tuple[str, str], float]
    gpus: Callable[[], GpuPicture | None] = lambda: None


class Agent:
    """Measures one node until it is told to stop.

    begun: whether the snapshot holds a baseline of this boot.
    """

    def __init__(
        self,
        clock: Clock,
        reader: Reader,
        meter: Meter,
        snapshot: Snapshot,
        folder: StateFolder,
        board: Board,
        surroundings: Surroundings,
        *,
        begun: bool,
    ) -> None:
        self._clock = clock
        self._reader = reader
        self._meter = meter
        self._snapshot = snapshot
        self._folder = folder
        self._board = board
        self._surroundings = surroundings
        self._begun = begun
        self._state = Collected(success=True)
        self._ticked_us = clock.boottime_us()

    def alive(self) -> bool:
        """Whether a tick was made within the last minute."""
        return self._clock.boottime_us() - self._ticked_us < _STANDSTILL_US

    def run(self, stop: threading.Event, tick_us: int) -> None:
        """Tick until told to stop, then save for good.

        Ticks keep to multiples of `tick_us` after the first; those that are missed are skipped.
        """
        due_us = self._clock.boottime_us()
        while not stop.is_set():
            now_us = self._clock.boottime_us()
            self.tick(lag_us=now_us - due_us)
            # Rounded up to the next multiple that is still ahead.
            due_us += tick_us * max(1, -((due_us - self._clock.boottime_us()) // tick_us))
            stop.wait(max(0, due_us - self._clock.boottime_us()) / 1e6)
        self.tick(sync=True)

    def tick(self, *, lag_us: int = 0, sync: bool = False) -> None:
        """Read, count, save and show; what cannot be saved is not shown.

        lag_us: how late this tick is. sync: have the snapshot on disk before it is shown.
        """
        readings = self._reader.read()
        if readings is not None:
            if self._begun:
                self._meter.tick(readings)
            else:
                self._meter.begin(readings)
                self._begun = True
        content = self._save(sync=sync) if self._begun else None
        health = self._health(lag_us)
        if content is not None:
            self._board.publish(content, health)
        else:
            self._board.freeze(health)
        self._ticked_us = self._clock.boottime_us()

    def _save(self, *, sync: bool) -> bytes | None:
        begin_us = self._clock.boottime_us()
        content = None
        try:
            content = self._folder.save(self._snapshot, sync=sync)
        except OSError as error:
            if self._state.success:
                _log.error("state cannot be saved", extra={"reason": str(error)})
        duration_us = self._clock.boottime_us() - begin_us
        self._state = Collected(content is not None, duration_us / 1e6)
        return content

    def _health(self, lag_us: int) -> AgentHealth:
        collected = dict(self._reader.collected)
        for name, works in self._surroundings.collectors.items():
            if (success := works()) is not None:
                collected[name] = Collected(success)
        collected["state"] = self._state
        collected["restore"] = Collected(self._folder.restored)
        # A copy, because scrapers read it while the next tick may choose other sensors.
        model_errors = dict(self._surroundings.model_errors)
        gpus = self._surroundings.gpus() or GpuPicture()
        return AgentHealth(collected, lag_us / 1e6, model_errors, gpus)
