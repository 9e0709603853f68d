"""The idle power of a zone: given, else learned from quiet moments, else estimated.

It changes only when an accounting period closes, so that within a period every interval is
divided by the same rule.
"""

from dataclasses import dataclass

# Median of the SPECpower results of servers since 2019: idle power over maximum power.
IDLE_SHARE_OF_MAXIMUM = 0.22
QUIET_LOAD = 0.03
SAMPLES_TO_LEARN = 300
MEAN_WINDOW_US = 60_000_000


@dataclass(slots=True)
class IdlePower:
    """Idle power of one zone kind and what is being learned about it. Power in microwatts.

    in_force_uw: the value that divides energy now. origin: fixed, learned, estimated or unknown.
    quiet_count, quiet_sum_uw: samples below 3 % load. lowest_uw, highest_uw: extremes of the
    means over 60 s; 0 until there is one.
    """

    in_force_uw: int = 0
    origin: str = "unknown"
    quiet_count: int = 0
    quiet_sum_uw: int = 0
    lowest_uw: int = 0
    highest_uw: int = 0
    window_energy_uj: int = 0
    window_us: int = 0

    def observe(self, energy_uj: int, duration_us: int, load: float) -> None:
        """Learn from one interval; load is the busy share of the node's CPUs, 0 to 1."""
        if load < QUIET_LOAD:
            self.quiet_count += 1
            self.quiet_sum_uw += energy_uj * 1_000_000 // duration_us
        self.window_energy_uj += energy_uj
        self.window_us += duration_us
        if self.window_us < MEAN_WINDOW_US:
            return
        mean_uw = self.window_energy_uj * 1_000_000 // self.window_us
        self.lowest_uw = min(self.lowest_uw or mean_uw, mean_uw)
        self.highest_uw = max(self.highest_uw, mean_uw)
        self.window_energy_uj = self.window_us = 0

    def revise(self, *, fixed_uw: int | None, maximum_uw: int | None) -> None:
        """Put the best value known into force; call it when a period closes.

        fixed_uw: set by the operator of the node or exact by construction of a model.
        maximum_uw: the zone's maximum power; None takes the highest mean seen so far.
        """
        if fixed_uw is not None:
            self.in_force_uw, self.origin = fixed_uw, "fixed"
        elif self.quiet_count >= SAMPLES_TO_LEARN:
            self.in_force_uw, self.origin = self.quiet_sum_uw // self.quiet_count, "learned"
        elif maximum_uw or self.highest_uw:
            estimate = int(IDLE_SHARE_OF_MAXIMUM * (maximum_uw or self.highest_uw))
            self.in_force_uw = min(estimate, self.lowest_uw or estimate)
            self.origin = "estimated"

    def energy_uj(self, duration_us: int) -> int:
        """Idle energy over an interval, in microjoules."""
        return self.in_force_uw * duration_us // 1_000_000
