"""The ValidatingAdmissionPolicy beside the CRDs: what a schema cannot see.

A schema's rules see neither the creation time nor who asks. The policy refuses instants that are
past when the job is created, and lets nobody make the operator create a Job that they may not
create themselves.
"""

from typing import Any

from carbonaware_operator.api.schema import GROUP, VERSION

POLICY = "carbonawarejobs.carbonaware.io"
_SCHEDULE = "object.spec.?schedule.?"


def documents() -> list[dict[str, Any]]:
    """The policy and its binding."""
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": POLICY},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [_carbon_aware_jobs()]},
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
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": POLICY},
            "spec": {"policyName": POLICY, "validationActions": ["Deny"]},
        },
    ]


def _carbon_aware_jobs() -> dict[str, Any]:
    return {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["carbonawarejobs"],
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
