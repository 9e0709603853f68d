"""One word for how far a job has come, from the conditions that the operator set."""

from dataclasses import dataclass, replace
from enum import StrEnum

from carbonaware_operator.api.reasons import ConditionType, EndReason
from carbonaware_operator.cli.startup import Startup
from carbonaware_operator.planning.progress import Condition, Progress


class State(StrEnum):
    """How far a job has come."""

    PENDING = "Pending"
    HELD = "Held"
    STARTING = "Starting"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """A state and the condition that says so; no condition while Pending.

    startup: what its pods say, where they are known and it matters.
    """

    state: State
    condition: Condition | None = None
    startup: Startup | None = None

    @property
    def reason(self) -> str:
        """The condition's reason; empty without one."""
        return str(self.condition.reason) if self.condition else ""

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
    """The same, knowing its pods: a started job without a ready one is still starting."""
    if startup is None:
        return standing
    if standing.state is State.RUNNING:
        state = State.RUNNING if startup.ready else State.STARTING
        return replace(standing, state=state, startup=startup)
    if standing.state is State.FAILED and standing.reason == EndReason.WORKLOAD_FAILED:
        return replace(standing, startup=startup)
    return standing


def standing(progress: Progress) -> Standing:
    """Where a job stands by its status."""
    for kind, state in (
        (ConditionType.COMPLETE, State.COMPLETE),
        (ConditionType.FAILED, State.FAILED),
    ):
        ending = progress.condition(kind)
        if ending and ending.status:
            return Standing(state, ending)
    released = progress.condition(ConditionType.RELEASED)
    if released is None:
        return Standing(State.PENDING)
    if released.status:
        return Standing(State.RUNNING, released)
    return Standing(State.SUSPENDED if progress.workload else State.HELD, released)
