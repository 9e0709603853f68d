"""Whether RAPL's psys can be believed: on many boards it sees less than the packages alone."""

import logging
from collections.abc import Mapping

from carbonaware_agent.sources.sensor import PLATFORM, WALL, Energy, Interval, Sensor, Stream

_log = logging.getLogger(__name__)
_TRIAL_US = 60_000_000

PSYS = Stream(PLATFORM, "rapl", WALL)


class PsysTrial:
    """Watches psys beside the packages for a minute. `passed` is None until then."""

    def __init__(self) -> None:
        self.passed: bool | None = None
        self._begin_us = 0
        self._begin: Mapping[str, int] = {}

    def observe(self, sensor: Sensor, values: Mapping[str, int], now_us: int) -> None:
        """Take what the RAPL sensor shows now; it is left out while psys or a package fails."""
        packages = {domain.name for domain in sensor.domains if domain.stream.domain == "package"}
        watched = {domain.name for domain in sensor.domains if domain.stream == PSYS} | packages
        if not packages or not watched <= values.keys():
            return
        if not watched <= self._begin.keys():
            self._begin, self._begin_us = dict(values), now_us
            return
        if now_us - self._begin_us >= _TRIAL_US:
            drawn = self._drawn(sensor, values, now_us - self._begin_us)
            of_packages = sum(drawn[name] for name in packages)
            self.passed = sum(drawn.values()) - of_packages >= of_packages
            if not self.passed:
                _log.warning("psys is ignored: it sees less than the packages draw")

    def _drawn(self, sensor: Sensor, values: Mapping[str, int], duration_us: int) -> dict[str, int]:
        """Microjoules by domain name since the trial began."""
        drawn = {}
        for domain in sensor.domains:
            if domain.stream == PSYS or domain.stream.domain == "package":
                energy = sensor.energy(
                    domain, self._begin[domain.name], values[domain.name], Interval(duration_us)
                )
                drawn[domain.name] = energy.microjoules if isinstance(energy, Energy) else 0
        return drawn
