"""The ValidatingAdmissionPolicies beside the CRDs: what a schema cannot see.

A schema's rules see neither the creation time nor who asks. The first policy refuses instants that
are past when the job is created, and lets nobody make the operator create a Job that they may not
create themselves. The second binds the operator's own account, which may create Jobs in every
namespace, to those of CarbonAwareJobs.
"""

from typing import Any

from carbonaware_operator.api.schema import GROUP, VERSION

POLICY = f"carbonawarejobs.{GROUP}"
OPERATOR_POLICY = f"operator-jobs.{GROUP}"
OPERATOR_ACCOUNT = "system:serviceaccount:carbonaware-system:carbonaware-operator"
_SCHEDULE = "object.spec.?schedule.?"


def documents(operator_account: str = OPERATOR_ACCOUNT) -> list[dict[str, Any]]:
    """The policies, each with its binding; operator_account: the operator's user name."""
    return [
        _policy(POLICY, _for_users()),
        _binding(POLICY),
        _policy(OPERATOR_POLICY, _for_operator(operator_account)),
        _binding(OPERATOR_POLICY),
    ]


def _policy(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail", **spec},
    }


def _binding(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }


def _created_or_updated(group: str, version: str, resource: str) -> dict[str, Any]:
    rule = {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }
    return {"resourceRules": [rule]}


def _for_users() -> dict[str, Any]:
    return {
        "matchConstraints": _created_or_updated(GROUP, VERSION, "carbonawarejobs"),
        # Else garbage collection of a foreground deletion, an update by a controller that
        # may create no Jobs, would be refused.
        "matchConditions": [
            {
                "name": "template-is-new",
                "expression": "request.operation == 'CREATE'"
                " || object.spec.jobTemplate != oldObject.spec.jobTemplate",
            }
        ],
        "validations": [
            _may_create_jobs(),
            _in_the_future("startBy"),
            _in_the_future("finishBy"),
        ],
    }


def _may_create_jobs() -> dict[str, str]:
    return {
        "expression": "authorizer.group('batch').resource('jobs')"
        ".namespace(object.metadata.namespace).check('create').allowed()",
        "message": "you must be allowed to create Jobs in this namespace to create a"
        " CarbonAwareJob in it",
        "reason": "Forbidden",
    }


def _in_the_future(field: str) -> dict[str, str]:
    given = f"{_SCHEDULE}{field}"
    return {
        "expression": f"request.operation != 'CREATE' || !{given}.hasValue()"
        f" || timestamp({given}.value()) > timestamp(object.metadata.creationTimestamp)",
        "message": f"`spec.schedule.{field}` must be in the future",
    }


def _for_operator(account: str) -> dict[str, Any]:
    return {
        "matchConstraints": _created_or_updated("batch", "v1", "jobs"),
        "matchConditions": [
            {"name": "by-the-operator", "expression": f"request.userInfo.username == '{account}'"}
        ],
        "validations": [
            _forbids(
                _owned("object"),
                "the operator must create Jobs of CarbonAwareJobs only",
            ),
            _forbids(
                f"request.operation != 'UPDATE' || ({_owned('oldObject')}"
                " && object.spec.template == oldObject.spec.template)",
                "the operator must change Jobs of CarbonAwareJobs only, and never their pods",
            ),
        ],
    }


def _forbids(expression: str, message: str) -> dict[str, str]:
    return {"expression": expression, "message": message, "reason": "Forbidden"}


def _owned(variable: str) -> str:
    """Whether the controller of an object is a CarbonAwareJob, which is of the same namespace."""
    return (
        f"{variable}.metadata.?ownerReferences.orValue([]).exists(owner,"
        f" owner.kind == 'CarbonAwareJob' && owner.apiVersion.startsWith('{GROUP}/')"
        " && owner.?controller.orValue(false))"
    )
