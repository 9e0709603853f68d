"""The port that every kind of workload implements; a registry of kinds drives whoever watches."""

from typing import Any, Protocol

from carbonaware_operator.api.workloads import WorkloadResource
from carbonaware_operator.planning.decision import Release
from carbonaware_operator.planning.observed import Cause, Observed
from carbonaware_operator.quantities.instants import Instant

Object = dict[str, Any]


class WorkloadKind(Protocol):
    """One kind of object that can run a CarbonAwareJob."""

    @property
    def resource(self) -> WorkloadResource:
        """Where the API serves it."""
        ...

    def build(self, parent: Object, release: Release, handled_request: str | None) -> Object:
        """The object to create for a CarbonAwareJob, owned by it and running."""
        ...

    def observe(self, body: Object) -> Observed:
        """What an object of the kind says; raises ValueError or KeyError for an odd one."""
        ...

    def suspend_patch(self, seen: Observed, cause: Cause, now: Instant) -> Object:
        """The merge patch that suspends an object which is still as it was seen."""
        ...

    def resume_patch(self, seen: Observed) -> Object:
        """The merge patch that lifts our own suspension of an object as it was seen."""
        ...
