"""One word for how far a job has come, from the conditions that the operator set."""

from dataclasses import dataclass
from enum import StrEnum

from carbonaware_operator.api.reasons import ConditionType
from carbonaware_operator.planning.progress import Condition, Progress


class State(StrEnum):
    """How far a job has come."""

    PENDING = "Pending"
    HELD = "Held"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """A state and the condition that says so; no condition while Pending."""

    state: State
    condition: Condition | None = None

    @property
    def reason(self) -> str:
        """The condition's reason; empty without one."""
        return str(self.condition.reason) if self.condition else ""

    @property
    def message(self) -> str:
        """The condition's message; empty without one."""
        return self.condition.message if self.condition else ""


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
