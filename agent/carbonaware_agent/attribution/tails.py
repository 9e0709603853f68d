"""The CPU time of pods that ended between two ticks, found in what their parent slice remembers.

A parent cgroup keeps the usage of children that are gone. Its cumulative usage, less all that was
ever credited to its children, is the residual. Children are read before their parent, so the
residual also holds a little of what ran in between; it is therefore compared with the smallest
residual of recent quiet ticks, and looked at only when a pod ended or was never seen alive.
"""

from dataclasses import dataclass, field

# A pod that was never seen is known from the API a few seconds after it ended.
QUIET_TICKS = 10


@dataclass(slots=True)
class ParentSlice:
    """What one parent cgroup used and what of it was credited, in microseconds of CPU time."""

    usage_us: int
    credited_us: int
    quiet_us: list[int] = field(default_factory=list)

    @classmethod
    def baseline(cls, usage_us: int) -> "ParentSlice":
        """A parent that had used so much when it came into view: that is nobody's tail."""
        return cls(usage_us=usage_us, credited_us=usage_us, quiet_us=[0])

    def settle(self, usage_us: int, credited_us: int, *, ended: bool, cap_us: int) -> int:
        """Take this tick's readings; returns the tail of the pods that ended, 0 on a quiet tick.

        usage_us: cumulative usage of the parent. credited_us: what this tick credited to its
        children. cap_us: all the CPU time there was, so no error can become a larger tail.
        """
        self.usage_us = usage_us
        self.credited_us += credited_us
        residual = usage_us - self.credited_us
        if not ended:
            self.quiet_us = [*self.quiet_us[1 - QUIET_TICKS :], residual]
            return 0
        tail = max(0, min(residual - min(self.quiet_us), cap_us))
        self.credited_us += tail
        return tail
