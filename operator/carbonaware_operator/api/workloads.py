"""Which kinds of objects may run a CarbonAwareJob: where the API serves them, and with what rights.

The table of rights is made from it; `kinds/registry.py` holds an implementation for each entry.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkloadResource:
    """Where the API serves a kind.

    verbs: what the operator does with its objects beside reading them; why: for what.
    """

    group: str
    version: str
    kind: str
    plural: str
    verbs: tuple[str, ...]
    why: str

    @property
    def api_version(self) -> str:
        """Group and version, as objects bear them."""
        return f"{self.group}/{self.version}"


BATCH_JOB = WorkloadResource(
    "batch", "v1", "Job", "jobs", ("create", "patch"), "release, suspend and resume"
)

WORKLOADS = (BATCH_JOB,)
"""All of them."""
