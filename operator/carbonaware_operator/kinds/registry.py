"""All kinds of workloads: whoever watches, lists or reads them goes through this table."""

from typing import Any

from carbonaware_operator.kinds.job import BatchJob
from carbonaware_operator.kinds.workload import WorkloadKind
from carbonaware_operator.planning.observed import Observed, Workload

JOB: WorkloadKind = BatchJob()
"""What `jobTemplate` describes."""

KINDS: tuple[WorkloadKind, ...] = (JOB,)
_BY_NAME = {(kind.resource.api_version, kind.resource.kind): kind for kind in KINDS}


def kind_of(workload: Workload) -> WorkloadKind:
    """The kind of a workload."""
    return _BY_NAME[workload.api_version, workload.kind]


def observe(body: dict[str, Any]) -> Observed:
    """What an object says that runs a job; raises KeyError or ValueError for an odd one."""
    return _BY_NAME[body["apiVersion"], body["kind"]].observe(body)
