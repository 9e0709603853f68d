"""The one table of RBAC rights: who may do what to which objects, and why.

The chart's roles are made from it, and a test compares it with what the API server's audit log
shows: a verb that is used must be granted here, and a verb that is granted must be used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from carbonaware_operator.api.admission import OPERATOR_POLICY, POLICY
from carbonaware_operator.api.schema import CRD_NAMES, GROUP
from carbonaware_operator.api.workloads import WORKLOADS

_READ = ("get", "list", "watch")
_CHANGE = ("create", "delete", "deletecollection", "patch", "update")


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on resources of one API group.

    names: the only objects that it is about; empty for all. why: what needs it.
    """

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()

    def rule(self) -> dict[str, Any]:
        """The right as a rule of a Role or a ClusterRole."""
        rule: dict[str, Any] = {
            "apiGroups": [self.group],
            "resources": list(self.resources),
            "verbs": list(self.verbs),
        }
        return rule | ({"resourceNames": list(self.names)} if self.names else {})


OPERATOR_JOBS = (
    Right(GROUP, ("carbonawarejobs",), _READ, "decide on jobs"),
    Right(GROUP, ("carbonawarejobs",), ("delete",), "ttlAfterFinished"),
    Right(GROUP, ("carbonawarejobs/status",), ("patch",), "say what was decided and used"),
    Right(GROUP, ("carbonawarejobs/finalizers",), ("update",), "own a Job with blockOwnerDeletion"),
    *(Right(each.group, (each.plural,), (*_READ, *each.verbs), each.why) for each in WORKLOADS),
    Right("events.k8s.io", ("events",), ("create",), "tell a job's story"),
    Right("", ("pods",), ("list",), "say why a started job has no ready pod, or how it failed"),
    Right("", ("events",), ("list",), "say why a Job gets no pods, such as a quota on pods"),
)
"""The operator's, wherever jobs are: a ClusterRole, or the same Role in each namespace."""

OPERATOR_CLUSTER = (
    Right(GROUP, ("carbonzones",), ("list", "watch"), "follow the zones"),
    Right(GROUP, ("carbonzones/status",), ("patch",), "say what the grid does"),
    Right(
        "apiextensions.k8s.io",
        ("customresourcedefinitions",),
        ("get",),
        "wait until the API server serves them",
        CRD_NAMES,
    ),
    Right(
        "admissionregistration.k8s.io",
        ("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        ("get",),
        "say whether the operator is guarded",
        (POLICY, OPERATOR_POLICY),
    ),
)
"""The operator's on objects without a namespace: always a ClusterRole."""

AGENT = (
    Right("", ("pods",), ("list", "watch"), "whose energy it is; its own node's by field selector"),
    Right("", ("nodes",), ("get",), "what its node can allocate"),
    Right("", ("nodes/pods",), ("get",), "kubelet's list, while the API server cannot be asked"),
)
"""The agent's: a ClusterRole, as RBAC knows no node of a pod."""

PRE_DELETE_HOOK = (
    Right(GROUP, ("carbonawarejobs",), ("list", "patch"), "take the settle finalizer off"),
)
"""The hook's that runs before an uninstall; wherever OPERATOR_JOBS is granted."""

PRE_DELETE_CLUSTER = (
    Right(GROUP, ("carbonzones",), ("list", "delete"), "remove the zones that came with a release"),
)
"""The same hook's on objects without a namespace: a ClusterRole."""

ZONES_HOOK = (Right(GROUP, ("carbonzones",), ("get", "update"), "write what Helm 3 leaves out"),)
"""The hook's that runs after an upgrade with Helm 3: a ClusterRole."""

HELM_TEST = (
    Right(GROUP, ("carbonawarejobs",), ("create", "get", "delete"), "apply a held job"),
    Right("batch", ("jobs",), ("create",), "the policy asks this of who creates a CarbonAwareJob"),
)
"""`helm test`'s: a Role in the release's namespace."""

VIEW = (
    Right(GROUP, ("carbonawarejobs",), _READ, "see jobs"),
    Right(GROUP, ("carbonzones",), _READ, "see what jobs wait for"),
)
"""Aggregated to the role `view`, and so to `edit` and `admin`."""

EDIT = (Right(GROUP, ("carbonawarejobs",), _CHANGE, "change jobs"),)
"""Aggregated to the role `edit`, and so to `admin`; zones are the cluster administrator's."""

AGGREGATE_TO_VIEW = {
    f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")
}
AGGREGATE_TO_EDIT = {
    f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("edit", "admin")
}


def operator_own(lease: str = "carbonaware-operator") -> tuple[Right, ...]:
    """The operator's in its own namespace: a Role; lease: the name of its Lease."""
    return (
        Right("coordination.k8s.io", ("leases",), ("create",), "RBAC cannot name what is created"),
        Right("coordination.k8s.io", ("leases",), ("get", "update"), "lead alone", (lease,)),
        Right("", ("configmaps",), ("get", "create", "patch"), "recordings read, archives kept"),
        Right("", ("secrets",), ("get",), "keys of providers; it uses labelled Secrets alone"),
        Right("discovery.k8s.io", ("endpointslices",), ("list",), "where the agents are"),
    )


def pre_delete_own(operator: str = "carbonaware-operator") -> tuple[Right, ...]:
    """The hook's beside the operator; operator: the name of its Deployment and of its Lease."""
    return (
        Right("apps", ("deployments/scale",), ("patch",), "end the operator", (operator,)),
        Right("", ("configmaps",), ("list", "delete"), "remove the archives of the grid"),
        Right("coordination.k8s.io", ("leases",), ("create",), "RBAC cannot name what is created"),
        Right(
            "coordination.k8s.io",
            ("leases",),
            ("get", "update", "delete"),
            "be sure that no operator acts",
            (operator,),
        ),
    )


def exporter(config_map: str = "carbon-intensity") -> tuple[Right, ...]:
    """The operator's in the namespace of kubernetes-carbon-intensity-exporter: a Role.

    Needed only where a zone has a source of type ConfigMap; config_map: that source's `name`.
    """
    return (Right("", ("configmaps",), ("get",), "the exporter's values", (config_map,)),)


def rules(rights: Sequence[Right]) -> list[dict[str, Any]]:
    """The `rules` of a Role or a ClusterRole."""
    return [right.rule() for right in rights]
