"""The node's busy time from /proc/stat."""

import os
from pathlib import Path

from carbonaware_agent.kept_file import KeptFile

_MICROSECONDS_PER_TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")
# user nice system idle iowait irq softirq steal: steal is time in which others ran, and guest
# time, which follows, is contained in user.
_BUSY_COLUMNS = (1, 2, 3, 6, 7)


class CpuTime:
    """Cumulative busy time of all processors."""

    def __init__(self, proc: Path) -> None:
        self._file = KeptFile(proc / "stat")

    def busy_us(self) -> int:
        """Busy microseconds since boot. Raises OSError or ValueError: unreadable."""
        line = self._file.read(512).split(b"\n", 1)[0].split()
        if not line or line[0] != b"cpu" or len(line) <= max(_BUSY_COLUMNS):
            raise ValueError("the first line of /proc/stat must be the sum over all processors")
        columns = [line[column] for column in _BUSY_COLUMNS]
        if not all(column.isdigit() for column in columns):
            raise ValueError(f"/proc/stat must count ticks, not {columns}")
        return sum(map(int, columns)) * _MICROSECONDS_PER_TICK

    def close(self) -> None:
        """Close /proc/stat."""
        self._file.close()
