"""What is seen of the object that runs a job: that it exists and that it runs are two facts.

An object may exist and be kept from running by us, by its user, by a queue or by anybody else; and
while it is suspended its pods may still be ending.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from carbonaware_operator.quantities.instants import Instant


class Cause(StrEnum):
    """Whose suspension it is; all but the last are lifted by the operator alone."""

    USER = "User"
    CARBON = "Carbon"
    BUDGET = "Budget"
    ENDED = "Ended"
    OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a workload ended."""

    time: Instant
    succeeded: bool
    message: str


@dataclass(frozen=True, slots=True)
class Workload:
    """Which object runs a job: never a second one."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Observed:
    """The object that runs a job, as last seen.

    suspended_by: whose suspension keeps it from running; None when it is to run.
    suspended_since: when we suspended it; also while somebody else has lifted that.
    gate: the queue that decides when it runs, such as Kueue's.
    stopped: it is suspended and no pod of it is left.
    ready: a pod of it is ready, or has succeeded.
    owner_uids: the owners under which agents report the energy of its pods.
    left_out: fields of its template that it was created without.
    release_reason, release_basis: why it was created, in the words that it carries.
    """

    workload: Workload
    resource_version: str
    created: Instant
    suspended_by: Cause | None
    suspended_since: Instant | None
    gate: str | None
    stopped: bool
    ready: bool
    ending: Ending | None
    owner_uids: frozenset[str]
    release_reason: str
    release_basis: str
    handled_request: str | None
    left_out: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.workload.name

    @property
    def uid(self) -> str:
        """Its uid."""
        return self.workload.uid

    @property
    def runs(self) -> bool:
        """Whether it has or is about to have pods."""
        return self.suspended_by is None and self.ending is None


class Stage(Enum):
    """How far a job has come whose end is not in its status yet."""

    HELD = auto()
    RUNNING = auto()
    SUSPENDED = auto()
    ENDED = auto()


def stage_of(observed: Observed | None) -> Stage:
    """How far an unfinished job with this workload has come."""
    if observed is None:
        return Stage.HELD
    if observed.ending:
        return Stage.ENDED
    return Stage.RUNNING if observed.suspended_by is None else Stage.SUSPENDED
