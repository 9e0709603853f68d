"""Whether the API server serves a kind of ours yet."""

from carbonaware_operator.cluster.kube import CRDS, ApiError, KubeClient


async def established(kube: KubeClient, name: str) -> bool:
    """Whether a CustomResourceDefinition exists and its objects can be asked for.

    Raises ApiError: the API server does not tell.
    """
    try:
        crd = await kube.get(CRDS, None, name)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    conditions = (crd.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
