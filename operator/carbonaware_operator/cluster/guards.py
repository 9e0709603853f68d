"""Whether the admission policies that guard the operator are bound, and bind this very operator.

A name guards nobody: a policy that was edited, or a binding that leaves namespaces out, is there
and lets everything pass. So both are compared with what this version would apply.
"""

from typing import Any

from carbonaware_operator.api.admission import OPERATOR_POLICY, POLICY, documents
from carbonaware_operator.cluster.kube import ApiError, Kind, KubeClient, Object

_ADMISSION = "admissionregistration.k8s.io/v1"
_POLICIES = Kind(_ADMISSION, "validatingadmissionpolicies", namespaced=False)
_BINDINGS = Kind(_ADMISSION, "validatingadmissionpolicybindings", namespaced=False)
_REVIEW = "authentication.k8s.io/v1"
_REVIEWS = Kind(_REVIEW, "selfsubjectreviews", namespaced=False)
GUARDS = (POLICY, OPERATOR_POLICY)
"""The names of the policies that guard."""
_DEFAULTS: Object = {
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "scope": "*",
}
"""What the API server adds to what is applied, and what is the same as leaving it out."""


async def guards(kube: KubeClient) -> dict[str, str]:
    """For each policy what lacks for it to guard; empty where nothing does.

    Raises ApiError: the API server does not answer; what it refuses is a lack.
    """
    account = await _account(kube)
    wanted = {
        (body["kind"], body["metadata"]["name"]): body["spec"] for body in documents(account or "")
    }
    return {
        name: await _lack(kube, name, account, wanted["ValidatingAdmissionPolicy", name])
        for name in GUARDS
    }


async def _account(kube: KubeClient) -> str | None:
    """The operator's own user name, as the API server knows it; None where it does not tell."""
    review: Object = {"apiVersion": _REVIEW, "kind": "SelfSubjectReview", "metadata": {}}
    try:
        answer = await kube.create(_REVIEWS, None, review)
    except ApiError as error:
        if error.retryable:
            raise
        return None
    return str(answer["status"]["userInfo"].get("username", ""))


async def _lack(kube: KubeClient, name: str, account: str | None, wanted: Object) -> str:
    specs = []
    for kind in (_POLICIES, _BINDINGS):
        try:
            specs.append((await kube.get(kind, None, name))["spec"])
        except ApiError as error:
            if error.status == 404:
                return f"{kind.plural} {name} must exist: apply crds/admission.yaml"
            if not error.retryable:
                return f"the operator must be allowed to get {kind.plural} {name}"
            raise
    policy, binding = specs
    if name == OPERATOR_POLICY and account is None:
        return (
            f"the operator must be allowed to create {_REVIEWS.plural}, to see that"
            f" {_POLICIES.plural} {name} is about its user"
        )
    if name == OPERATOR_POLICY and not _is_about(policy, account or ""):
        return f"{_POLICIES.plural} {name} must be about the operator's user {account}"
    if _without_defaults(policy) != wanted:
        return f"{_POLICIES.plural} {name} must be that of this version: apply it again"
    if not _denies_everywhere(binding, name):
        return f"{_BINDINGS.plural} {name} must deny what its policy forbids, everywhere"
    return ""


def _is_about(policy: Object, account: str) -> bool:
    conditions = policy.get("matchConditions") or []
    return any(f"'{account}'" in condition["expression"] for condition in conditions)


def _denies_everywhere(binding: Object, name: str) -> bool:
    """Whether a binding binds its policy for all objects; it may warn or audit besides."""
    rest = _without_defaults(binding)
    actions = rest.pop("validationActions", None) or ()
    rest = {key: value for key, value in rest.items() if value != {}}
    return "Deny" in actions and rest == {"policyName": name}


def _without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in _DEFAULTS or v != _DEFAULTS[k]}
        return {key: _without_defaults(inner) for key, inner in kept.items()}
    if isinstance(value, list):
        return [_without_defaults(inner) for inner in value]
    return value
