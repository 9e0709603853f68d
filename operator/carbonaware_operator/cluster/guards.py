"""Whether the admission policies that guard the operator are bound, and bind this very operator."""

from carbonaware_operator.api.admission import OPERATOR_POLICY, POLICY
from carbonaware_operator.cluster.kube import ApiError, Kind, KubeClient, Object

_ADMISSION = "admissionregistration.k8s.io/v1"
_POLICIES = Kind(_ADMISSION, "validatingadmissionpolicies", namespaced=False)
_BINDINGS = Kind(_ADMISSION, "validatingadmissionpolicybindings", namespaced=False)
_REVIEW = "authentication.k8s.io/v1"
_REVIEWS = Kind(_REVIEW, "selfsubjectreviews", namespaced=False)


async def guards(kube: KubeClient) -> dict[str, str]:
    """For each policy what lacks for it to guard; empty where nothing does. Raises ApiError."""
    return {
        POLICY: await _lack(kube, POLICY),
        OPERATOR_POLICY: await _lack(kube, OPERATOR_POLICY) or await _stranger(kube),
    }


async def _lack(kube: KubeClient, name: str) -> str:
    for kind in (_POLICIES, _BINDINGS):
        try:
            found = await kube.get(kind, None, name)
        except ApiError as error:
            if error.status == 404:
                return f"{kind.plural} {name} must exist: apply crds/admission.yaml"
            if error.status == 403:
                return f"the operator must be allowed to get {kind.plural} {name}"
            raise
    spec = found["spec"]
    if spec.get("policyName") != name or "Deny" not in spec.get("validationActions", ()):
        return f"{kind.plural} {name} must deny what its policy forbids"
    return ""


async def _stranger(kube: KubeClient) -> str:
    """What lacks when the policy is about another account than this operator's."""
    review: Object = {"apiVersion": _REVIEW, "kind": "SelfSubjectReview", "metadata": {}}
    answer = await kube.create(_REVIEWS, None, review)
    account = answer["status"]["userInfo"].get("username", "")
    policy = await kube.get(_POLICIES, None, OPERATOR_POLICY)
    conditions = policy["spec"].get("matchConditions") or []
    if any(f"'{account}'" in condition["expression"] for condition in conditions):
        return ""
    return f"{_POLICIES.plural} {OPERATOR_POLICY} must be about the operator's user {account}"
