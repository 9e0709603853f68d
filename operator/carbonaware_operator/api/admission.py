"""The ValidatingAdmissionPolicies beside the CRDs: what a schema cannot see.

A schema's rules see neither the creation time nor who asks, nor what a Job's template holds, nor
the status. The first policy refuses what could never run, what is past when the job is created and
what cannot be changed any more, and lets nobody make the operator create a Job that they may not
create themselves. The second warns. The third binds the operator's own account, which may create
Jobs in every namespace, to those of CarbonAwareJobs.
"""

from typing import Any

from carbonaware_operator.api.schema import GROUP, VERSION

POLICY = f"carbonawarejobs.{GROUP}"
WARNING_POLICY = f"carbonawarejob-warnings.{GROUP}"
OPERATOR_POLICY = f"operator-jobs.{GROUP}"
OPERATOR_ACCOUNT = "system:serviceaccount:carbonaware-system:carbonaware-operator"
_SCHEDULE = "object.spec.?schedule.?"


def documents(operator_account: str = OPERATOR_ACCOUNT) -> list[dict[str, Any]]:
    """The policies, each with its binding; operator_account: the operator's user name."""
    return [
        _policy(POLICY, _for_users()),
        _binding(POLICY),
        _policy(WARNING_POLICY, _for_users_to_know()),
        _binding(WARNING_POLICY, "Warn"),
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


def _binding(name: str, action: str = "Deny") -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": [action]},
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
                "name": "spec-is-new",
                "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec",
            }
        ],
        "variables": [
            {
                "name": "templateIsNew",
                "expression": "request.operation == 'CREATE'"
                " || object.spec.jobTemplate != oldObject.spec.jobTemplate",
            },
            # A variable cannot be an optional: it is absent then, whatever it holds.
            {
                "name": "pod",
                "expression": "object.spec.jobTemplate.spec.?template.?spec.orValue({})",
            },
            {
                "name": "containers",
                "expression": "variables.pod.?initContainers.orValue([])"
                " + variables.pod.?containers.orValue([])",
            },
        ],
        "validations": [
            _may_create_jobs(),
            *_of_templates(),
            _in_the_future("startBy"),
            _in_the_future("finishBy"),
            _kept_after_the_start(),
        ],
    }


def _may_create_jobs() -> dict[str, str]:
    return {
        "expression": "!variables.templateIsNew || authorizer.group('batch').resource('jobs')"
        ".namespace(object.metadata.namespace).check('create').allowed()",
        "message": "you must be allowed to create Jobs in this namespace to create a"
        " CarbonAwareJob in it",
        "reason": "Forbidden",
    }


def _of_templates() -> list[dict[str, str]]:
    """What the operator's dry run would be told later, and the template cannot be changed then."""
    return [
        _runs(
            "variables.pod.?restartPolicy.orValue('') in ['Never', 'OnFailure']",
            "the pod's `restartPolicy` must be Never or OnFailure, such as"
            " `template: {spec: {restartPolicy: Never, containers: [...]}}`",
        ),
        _runs(
            "size(variables.pod.?containers.orValue([])) > 0",
            "the pod must have containers, such as"
            " `containers: [{name: train, image: busybox:1.36, command: [sleep, '60']}]`",
        ),
        _runs(
            "variables.containers.all(c, c.?name.orValue('') != '' && c.?image.orValue('') != '')",
            "each container must have a `name` and an `image`, such as"
            " `{name: train, image: busybox:1.36}`",
        ),
        _runs(
            "variables.containers.all(c, [c.?resources.?requests.orValue({}),"
            " c.?resources.?limits.orValue({})].all(amounts,"
            " amounts.all(name, isQuantity(string(amounts[name])))))",
            "each amount in a container's `resources` must be a quantity, such as"
            " `{cpu: 500m, memory: 2Gi, nvidia.com/gpu: 1}`",
        ),
    ]


def _runs(expression: str, message: str) -> dict[str, str]:
    return {
        "expression": f"!variables.templateIsNew || {expression}",
        "message": f"`spec.jobTemplate` can never run: {message}",
    }


def _in_the_future(field: str) -> dict[str, str]:
    given = f"{_SCHEDULE}{field}"
    return {
        "expression": f"request.operation != 'CREATE' || !{given}.hasValue()"
        f" || timestamp({given}.value()) > timestamp(object.metadata.creationTimestamp)",
        "message": f"`spec.schedule.{field}` must be in the future",
    }


def _kept_after_the_start() -> dict[str, str]:
    """A change would have no effect, or take the job its prices."""
    return {
        "expression": "request.operation == 'CREATE'"
        " || !oldObject.?status.?workload.hasValue()"
        " || (object.spec.?schedule == oldObject.spec.?schedule"
        " && object.spec.?zoneName == oldObject.spec.?zoneName)",
        "message": "`spec.schedule` and `spec.zoneName` must stay as they were once the job has"
        " started; to run it under others, delete the job and create another",
    }


def _for_users_to_know() -> dict[str, Any]:
    finish, duration = f"{_SCHEDULE}finishBy", f"{_SCHEDULE}expectedDuration"
    return {
        "matchConstraints": _created_or_updated(GROUP, VERSION, "carbonawarejobs"),
        "validations": [
            {
                "expression": "request.operation != 'CREATE'"
                f" || !{finish}.hasValue() || !{duration}.hasValue()"
                f" || timestamp({finish}.value()) - duration({duration}.value())"
                " >= timestamp(object.metadata.creationTimestamp)",
                "message": "the job cannot end by `finishBy`, even if it starts at once: it is"
                " less than `expectedDuration` away",
            }
        ],
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
