"""Where a job stands, for people: the state that the operator set, and what its pods say."""

from dataclasses import dataclass, replace

from carbonaware_operator.api.reasons import EndReason, State
from carbonaware_operator.kinds.pods import Startup
from carbonaware_operator.planning import state as planning_state
from carbonaware_operator.planning.progress import Condition, Progress

_STARTED = (State.STARTING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Standing:
    """A state, the reason for it, and the condition that says so; none before the first look.

    startup: what its pods say, where they are known and it matters.
    """

    state: State
    reason: str = ""
    condition: Condition | None = None
    startup: Startup | None = None

    @property
    def cause(self) -> str:
        """What people look for: what its pods lack or how they failed, else the reason."""
        if self.startup and self.startup.reason and not self.startup.ready:
            return self.startup.reason
        return self.reason

    @property
    def message(self) -> str:
        """The condition's message; empty without one."""
        return self.condition.message if self.condition else ""


def with_pods(standing: Standing, startup: Startup | None) -> Standing:
    """The same, knowing its pods: what they lack is the reason, and no other state."""
    condition = standing.condition
    failed = condition is not None and condition.reason == EndReason.WORKLOAD_FAILED
    if standing.state in _STARTED or failed:
        return replace(standing, startup=startup)
    return standing


def standing(progress: Progress) -> Standing:
    """Where a job stands by its status."""
    state, reason = planning_state.standing_of(progress)
    return Standing(state, reason, planning_state.deciding(progress))
