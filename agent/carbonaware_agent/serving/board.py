"""What scrapers see: the last snapshot that was saved, rendered once for all of them.

It is read back from the saved bytes, on the first scrape after each tick. So a scrape changes
nothing, nothing unsaved is ever shown, and a tick that nobody looks at costs no rendering.
"""

import gzip
import threading
from functools import cached_property

from carbonaware_agent.saved.journal import Journal
from carbonaware_agent.saved.snapshot import Snapshot
from carbonaware_agent.saved.snapshot_format import decode
from carbonaware_agent.serving import exposition
from carbonaware_agent.serving.exposition import AgentHealth

_FASTEST = 1


class _Page:
    """One state of the board; rendered when first asked for."""

    def __init__(self, content: bytes, health: AgentHealth) -> None:
        self.content = content
        self.health = health

    @cached_property
    def snapshot(self) -> Snapshot:
        return decode(self.content)

    @cached_property
    def metrics(self) -> bytes:
        return exposition.metrics(self.snapshot, self.health).encode()

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.metrics, compresslevel=_FASTEST)


class Board:
    """The published state of one node, for any number of readers."""

    def __init__(self, node: str, journal: Journal) -> None:
        self._node = node
        self._journal = journal
        self._page: _Page | None = None
        self._lock = threading.Lock()

    @property
    def ready(self) -> bool:
        """Whether anything was published yet."""
        return self._page is not None

    def publish(self, content: bytes, health: AgentHealth) -> None:
        """Show a snapshot, given as the bytes that were saved."""
        self._page = _Page(content, health)

    def freeze(self, health: AgentHealth) -> None:
        """Keep showing the last snapshot, as a newer one could not be saved."""
        if self._page is not None:
            self._page = _Page(self._page.content, health)

    def metrics(self, *, compressed: bool = False) -> bytes | None:
        """The text of /metrics, perhaps as gzip; None before the first snapshot."""
        page = self._page
        if page is None:
            return None
        # Scrapers that come together wait for one rendering instead of each doing it.
        with self._lock:
            return page.compressed if compressed else page.metrics

    def accounting(self, since_us: int) -> bytes | None:
        """The text of /metrics/accounting; None before the first snapshot."""
        page = self._page
        if page is None:
            return None
        with self._lock:
            snapshot = page.snapshot
        return exposition.accounting(
            snapshot, self._journal.histories(), node=self._node, since_us=since_us
        ).encode()
