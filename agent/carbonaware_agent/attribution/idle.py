"""The idle power of a domain: given, else learned from quiet moments, else estimated.

It changes only when an accounting period closes, so that within a period every interval is
divided by the same rule.
"""

from dataclasses import dataclass

# Median of the SPECpower results of servers since 2019: idle power over maximum power.
IDLE_SHARE_OF_MAXIMUM = 0.22
QUIET_LOAD = 0.03
SAMPLES_TO_LEARN = 300
# Up to this load power curves are nearly straight, so quiet and light moments lie on one line.
_LIGHT_LOAD = 0.10
LIGHT_SAMPLES = 60
MEAN_WINDOW_US = 60_000_000


@dataclass(slots=True)
class IdlePower:
    """Idle power of one domain kind and what is being learned about it. Power in microwatts.

    in_force_uw: the value that divides energy now. origin: fixed, learned, estimated, unknown, or
    lowest, for the lowest 60 s mean of a device that was never without a holder.
    quiet_count, quiet_sum_uw, quiet_sum_ppm: samples below 3 % load, their powers and loads;
    light_...: the same of those from there to 10 %. lowest_uw, highest_uw: extremes of the means
    over 60 s; 0 until there is one. highest_load_ppm: the mean load in the highest. unheld_uw: the
    same lowest, of a device that nobody held. device_held: whether a device is held now; None of
    all that is no device.
    """

    in_force_uw: int = 0
    origin: str = "unknown"
    quiet_count: int = 0
    quiet_sum_uw: int = 0
    lowest_uw: int = 0
    highest_uw: int = 0
    window_energy_uj: int = 0
    window_us: int = 0
    unheld_uw: int = 0
    device_held: bool | None = None
    quiet_sum_ppm: int = 0
    light_count: int = 0
    light_sum_uw: int = 0
    light_sum_ppm: int = 0
    window_busy_us: int = 0
    highest_load_ppm: int = 1_000_000

    def observe(self, energy_uj: int, duration_us: int, load: float) -> None:
        """Learn from one interval; load is the busy share of the node's CPUs, 0 to 1."""
        power_uw = energy_uj * 1_000_000 // duration_us
        if load < QUIET_LOAD:
            self.quiet_count += 1
            self.quiet_sum_uw += power_uw
            self.quiet_sum_ppm += round(load * 1e6)
        elif load <= _LIGHT_LOAD:
            self.light_count += 1
            self.light_sum_uw += power_uw
            self.light_sum_ppm += round(load * 1e6)
        self._add(energy_uj, duration_us, load)

    def observe_device(self, energy_uj: int, duration_us: int, *, held: bool) -> None:
        """Learn from one interval of a device; a mean that includes work is nobody's idle power."""
        if held != self.device_held:
            self._empty_window()
            self.device_held = held
        # What a device could draw beyond the most it drew, its activity does not tell.
        mean_uw = self._add(energy_uj, duration_us, load=1.0)
        if mean_uw is not None and not held:
            self.unheld_uw = min(self.unheld_uw or mean_uw, mean_uw)

    def _add(self, energy_uj: int, duration_us: int, load: float) -> int | None:
        """The mean power of the last 60 s, whenever they are full."""
        self.window_energy_uj += energy_uj
        self.window_us += duration_us
        self.window_busy_us += round(load * duration_us)
        if self.window_us < MEAN_WINDOW_US:
            return None
        mean_uw = self.window_energy_uj * 1_000_000 // self.window_us
        self.lowest_uw = min(self.lowest_uw or mean_uw, mean_uw)
        if mean_uw > self.highest_uw:
            self.highest_uw = mean_uw
            self.highest_load_ppm = self.window_busy_us * 1_000_000 // self.window_us
        self._empty_window()
        return mean_uw

    def _empty_window(self) -> None:
        self.window_energy_uj = self.window_us = self.window_busy_us = 0

    def revise(self, *, fixed_uw: int | None, maximum_uw: int | None) -> None:
        """Put the best value known into force; call it when a period closes.

        fixed_uw: set by the operator of the node or exact by construction of a model.
        maximum_uw: the domain's maximum power, known or supposed; None before anything is known.
        """
        if fixed_uw is not None:
            self.in_force_uw, self.origin = fixed_uw, "fixed"
        elif self.unheld_uw:
            self.in_force_uw, self.origin = self.unheld_uw, "learned"
        elif self.quiet_count >= SAMPLES_TO_LEARN:
            self.in_force_uw, self.origin = self._learned_uw(), "learned"
        elif maximum_uw:
            estimate = int(IDLE_SHARE_OF_MAXIMUM * maximum_uw)
            self.in_force_uw = min(estimate, self.lowest_uw or estimate)
            # Of a device that always works the lowest mean is no idle power: the estimate caps it.
            lowest = self.device_held is not None and self.in_force_uw == self.lowest_uw
            self.origin = "lowest" if lowest else "estimated"

    def energy_uj(self, duration_us: int) -> int:
        """Idle energy over an interval, in microjoules."""
        return self.in_force_uw * duration_us // 1_000_000

    def _learned_uw(self) -> int:
        """Power at no load, on the line through the means of quiet and of light moments.

        A node's daemons never rest. On the median server, what 2 % load draws beyond idle power is
        a fifth of what 10 % do, which pods would then lack. Without a line, the quiet mean.
        """
        quiet_uw = self.quiet_sum_uw // self.quiet_count
        if self.light_count < LIGHT_SAMPLES:
            return quiet_uw
        quiet_ppm = self.quiet_sum_ppm // self.quiet_count
        rise_uw = self.light_sum_uw // self.light_count - quiet_uw
        rise_ppm = self.light_sum_ppm // self.light_count - quiet_ppm
        return max(0, quiet_uw - max(0, rise_uw) * quiet_ppm // rise_ppm)
