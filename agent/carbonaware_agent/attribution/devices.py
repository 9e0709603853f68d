"""Who uses a device that pods hold whole, in parts or by turns.

Dynamic energy follows activity where it is known, else the parts held; idle energy follows the
parts alone, since who reserves a part keeps others from it. Parts that nobody holds are
unallocated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from carbonaware_agent.attribution.apportion import apportion
from carbonaware_agent.attribution.shares import NodeUse, PodUse

# A whole microsecond of a card of 700 W is 700 microjoules, by which equal holders would differ.
_FINE = 1000


class Method(StrEnum):
    """How a device's energy is divided now."""

    EXCLUSIVE = "exclusive"
    MIG_ACTIVITY = "mig_activity"
    MIG_SLICES = "mig_slices"
    SM_UTIL = "sm_util"
    EQUAL = "equal"
    UNHELD = "unheld"


class Claim(NamedTuple):
    """What one pod holds of a device, and its activity in the unit of the holding's others."""

    pod: str
    parts: int
    activity: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a device. whole: its parts. strangers: parts held by whom nobody knows.

    active_strangers: activity that is no known pod's. The method says whether activity counts.
    """

    method: Method = Method.UNHELD
    claims: tuple[Claim, ...] = ()
    whole: int = 1
    strangers: int = 0
    active_strangers: int = 0

    @property
    def held(self) -> bool:
        """Whether anybody keeps others from using it."""
        return bool(self.claims or self.strangers)


def device_use(holding: Holding, present_us: Mapping[str, int], duration_us: int) -> NodeUse:
    """The holders' use over an interval of > 0 microseconds, in fine parts of its time.

    present_us: how long each pod existed in it. Pods that are not in it get nothing.
    """
    time = duration_us * _FINE
    claims = [claim for claim in holding.claims if present_us.get(claim.pod)]
    if not claims:
        return NodeUse((), busy_us=time * holding.held, allocatable_us=time)
    reserved = [claim.parts * present_us[claim.pod] for claim in claims]
    free = max(0, holding.whole * duration_us - sum(reserved))
    active = [claim.activity * present_us[claim.pod] for claim in claims]
    strange = holding.active_strangers * duration_us
    if sum(active) + strange == 0:
        # Parts that nobody holds draw no dynamic power, so only holders share it.
        active, strange = reserved, holding.strangers * duration_us
    busy = apportion(time, [*active, strange])
    reserves = apportion(time, [*reserved, free])
    return NodeUse(
        tuple(
            PodUse(claim.pod, used, reserve, present_us[claim.pod])
            # The last of each belongs to no known pod.
            for claim, used, reserve in zip(claims, busy, reserves, strict=False)
        ),
        busy_us=time,
        allocatable_us=time,
        binding=True,
    )
